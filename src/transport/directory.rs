//! A directory that is held open, and what leads to the files in it.
//!
//! A path that is looked up twice may lead to two places. With a parent that is a link, switched
//! in between by somebody else, one would bind a socket here, and change, delete or take for dead
//! the socket of another there. So a directory is looked up once, and whatever is done to a file in
//! it begins at the open directory.
//!
//! There is no `bindat` and no `connectat`. On Linux the path `/proc/self/fd/N/name` does the same:
//! it begins at what the descriptor `N` has open, wherever that is by now. It is short as well, and
//! the system takes only 107 bytes for the path of a socket, so with it a directory may be as deep
//! as it likes. Its price is that programs that list sockets show this path.
//!
//! Where there is no such path (other systems, or a root without `/proc`) the path of the directory
//! without links is used. It still leads elsewhere if one of the directories in it is renamed.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// A directory, the same one for as long as this lives.
pub(super) struct Directory {
    handle: File,
    // Without links. To be shown, and to lead here where the handle cannot.
    path: PathBuf,
    by_handle: Option<PathBuf>,
}

/// A lock on a directory, given back at drop. It is advice to those who ask for it.
pub(super) struct Lock {
    handle: File,
}

/// Device and inode: which file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // A relative path would lead elsewhere once the process has changed its directory.
        let path = fs::canonicalize(path)?;
        // To open a pipe, for one, would wait for somebody at its other end.
        let mut options = OpenOptions::new();
        let handle = options.read(true).custom_flags(libc::O_DIRECTORY).open(&path)?;
        let by_handle = path_by_handle(&handle);
        Ok(Self { handle, path, by_handle })
    }

    /// The whole path of the file of this name, for people and for who comes from elsewhere.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// What leads to the file of this name from within this process.
    pub(super) fn entry(&self, name: &OsStr) -> PathBuf {
        self.by_handle.as_ref().unwrap_or(&self.path).join(name)
    }

    /// Whether entries are found by way of the open directory.
    pub(super) fn is_by_handle(&self) -> bool {
        self.by_handle.is_some()
    }

    /// Waits for the lock: in a series of tries, since a thread that waits for a lock could not be
    /// called back.
    pub(super) async fn lock(&self) -> io::Result<Lock> {
        let handle = self.handle.try_clone()?;
        loop {
            match handle.try_lock() {
                Ok(()) => return Ok(Lock { handle }),
                Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // By closing it would be given back only with the directory, whose handle is the same.
        let _ = self.handle.unlock();
    }
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Opens what is at `path` only to name it: whatever it is, nothing happens to it, and no right is
/// needed but to get there. With it comes a short path, which holds while the file is open.
///
/// `None` where there is no such path.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn shortened(path: &Path) -> io::Result<Option<(File, PathBuf)>> {
    let handle = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    Ok(path_by_handle(&handle).map(|short| (handle, short)))
}

/// There is no such path here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn shortened(_: &Path) -> io::Result<Option<(File, PathBuf)>> {
    Ok(None)
}

/// A path that leads to what is open here, if there is one.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn path_by_handle(handle: &File) -> Option<PathBuf> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    let (there, here) = (fs::metadata(&path).ok()?, handle.metadata().ok()?);
    (Identity::of(&there) == Identity::of(&here)).then_some(path)
}

/// There is no such path here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn path_by_handle(_: &File) -> Option<PathBuf> {
    None
}

const LOCK_PAUSE: Duration = Duration::from_millis(1);
