//! Unix sockets: a file that only its owner may connect to, and that cleans up after itself.
//!
//! # Who may connect
//!
//! The file has mode 0600, so the user who runs the process and root. That holds from the first
//! moment on, whatever the umask: the socket is bound, then its file gets its mode, then the socket
//! listens, and until it listens nobody gets through. Who wants more people in changes the mode
//! afterwards, by intent. The directory decides who may delete or replace the file, so it should
//! belong to the same user; a directory that others can write to must at least be sticky.
//!
//! # Whose file it is
//!
//! A process that dies leaves its file behind, and the next one must be able to start. But a live
//! listener must never lose its file, for its clients would then reach somebody else. What tells
//! the two apart is a connection: only if it is refused is nobody there. Everything else, a full
//! queue and silence too, counts as live. (Where a full queue refuses as well, on BSD and macOS,
//! a listener that is flooded at this very moment is taken for dead.)
//!
//! Three races are closed by a lock on the directory, held from before the socket is bound until it
//! listens: two who find the same dead file; one who finds the file of another who does not listen
//! yet; one who deletes the file that another has just put there. Who does not lock (another
//! program) is only protected by the connection.
//!
//! At drop the file is deleted while the socket still listens, so nobody who obeys the rules above
//! can have replaced it in between. It is deleted only if device and inode are those of our socket:
//! a bound socket keeps its inode, so the number cannot have been given to another file meanwhile.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixSocket, UnixStream};
use tokio::time::{sleep, timeout};

use crate::error::{Code, Error, Result};
use crate::transport::address::Address;
use crate::transport::listener::Listener;
use crate::transport::origin::Origin;

/// A Unix socket that listens, and its file.
///
/// The file has mode 0600 before anybody can connect: only the user of this process and root get
/// in. It is deleted when this is dropped, unless somebody has put another one in its place.
///
/// Use it rather than the listener of tokio, which neither restricts nor deletes its file.
pub struct UnixListener {
    // Dropped before the listener: the file goes while the socket still holds the inode.
    file: SocketFile,
    listener: tokio::net::UnixListener,
}

impl UnixListener {
    /// Listens at `path`. The socket file of a process that is no more is replaced; the one of a
    /// process that listens never is, and neither is a file that is not a socket.
    ///
    /// File system calls are made on the calling thread: a few short ones, once.
    ///
    /// # Errors
    ///
    /// `failed` if the path is taken, too long for the system (107 bytes on Linux), in a directory
    /// that cannot be read and written, or in one that somebody else keeps locked for ten seconds.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing open and no file behind.
    pub async fn bind(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        check_path(path).map_err(|text| Error::local(Code::Failed, text))?;
        Self::bind_checked(path).await.map_err(|refusal| refusal.into_error(path))
    }

    async fn bind_checked(path: &Path) -> Result<Self, Refusal> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // A relative path would lead elsewhere once the process has changed its directory.
        let directory = fs::canonicalize(parent.unwrap_or_else(|| Path::new(".")))?;
        let _lock = lock(&directory).await?;

        let socket = UnixSocket::new_stream()?;
        if let Err(error) = socket.bind(path) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error.into());
            }
            remove_stale(path).await?;
            socket.bind(path)?;
        }
        // Nothing waits from here on, so nobody can drop the future with the file half done.
        let file = SocketFile::of_bound(directory.join(name))?;
        fs::set_permissions(&file.path, Permissions::from_mode(MODE))?;
        let listener = socket.listen(BACKLOG)?;
        Ok(Self { file, listener })
    }

    /// The whole path of the socket file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

/// # Cancel safety
///
/// Cancel safe, as the listener of tokio is.
impl Listener for UnixListener {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Origin)> {
        Listener::accept(&mut self.listener).await
    }
}

/// Who made this listener answers for the mode and the end of its file; [`UnixListener`] does both.
///
/// # Cancel safety
///
/// Cancel safe, as its own `accept` is.
impl Listener for tokio::net::UnixListener {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Origin)> {
        // By path: `self.accept()` would call this function, the inherent one takes `&self`.
        let (stream, _) = Self::accept(self).await?;
        let origin = Origin::of_unix(&stream);
        Ok((stream, origin))
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener").field("path", &self.file.path).finish_non_exhaustive()
    }
}

/// Connects to the socket at `path`.
pub(super) async fn dial(path: &Path) -> Result<(UnixStream, Origin)> {
    check_path(path).map_err(|text| Error::local(Code::Disconnected, text))?;
    let connected = UnixStream::connect(path).await;
    let stream = connected.map_err(|error| Address::Unix(path.to_owned()).dial_error(error))?;
    let origin = Origin::of_unix(&stream);
    Ok((stream, origin))
}

/// The file of a socket that we have bound, deleted at drop if it still is that one.
struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

impl SocketFile {
    /// Takes charge of the file that was bound just now, under the lock on its directory.
    fn of_bound(path: PathBuf) -> io::Result<Self> {
        let identity = identity_of(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity_of(&metadata) == self.identity);
        if is_ours {
            // If it can't be deleted the next one who binds finds a stale file and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity_of(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Why a path cannot be listened at.
enum Refusal {
    /// Something is there, and it listens or might.
    Live(Option<io::Error>),
    /// It may listen, but not to us.
    Foreign(io::Error),
    /// Something is there that nobody can connect to.
    NotASocket,
    /// Somebody holds the lock on the directory and does not let go.
    Locked,
    /// The system said no.
    Io(io::Error),
}

impl<E: Into<io::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

impl Refusal {
    fn into_error(self, path: &Path) -> Error {
        let address = Address::Unix(path.to_owned());
        let (text, source) = match self {
            Self::Live(source) => (format!("another process is listening at {address}"), source),
            Self::Foreign(error) => {
                (format!("somebody else has the socket at {address}"), Some(error))
            }
            Self::NotASocket => {
                (format!("what is at {address} already is not a socket; it is left alone"), None)
            }
            Self::Locked => {
                let seconds = LOCK_TIME_MAX.as_secs();
                (format!("the directory of {address} was locked for {seconds} s"), None)
            }
            Self::Io(error) => return address.bind_error(error),
        };
        let error = Error::local(Code::Failed, text);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// Locks a directory until the file is dropped. The lock is advice to those who ask for it.
///
/// Anybody who can read the directory can hold the lock, so the wait has an end. And it is a series
/// of tries, because a thread that waits for a lock could not be called back.
async fn lock(directory: &Path) -> Result<File, Refusal> {
    let file = File::open(directory)?;
    let locked = timeout(LOCK_TIME_MAX, async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    });
    locked.await.map_err(|_| Refusal::Locked)??;
    Ok(file)
}

/// Deletes the socket file at `path` if nobody listens there. The directory is locked.
async fn remove_stale(path: &Path) -> Result<(), Refusal> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        return Err(Refusal::NotASocket);
    }
    let Ok(Err(error)) = timeout(PROBE_TIME_MAX, UnixStream::connect(path)).await else {
        return Err(Refusal::Live(None));
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        // Its owner has just deleted it.
        io::ErrorKind::NotFound => Ok(()),
        io::ErrorKind::PermissionDenied => Err(Refusal::Foreign(error)),
        _ => Err(Refusal::Live(Some(error))),
    }
}

/// The text of what is wrong with a path, before the system gets to say it less clearly.
fn check_path(path: &Path) -> Result<(), String> {
    let bytes = OsStr::as_bytes(path.as_os_str());
    if bytes.is_empty() {
        return Err("the path of a Unix socket is empty".to_owned());
    }
    // On Linux a zero byte in front would mean a name outside of the file system.
    if bytes.contains(&0) {
        return Err(format!("the path {path:?} contains a zero byte"));
    }
    if bytes.len() > PATH_BYTES_MAX {
        let (shown, came) = (path.display(), bytes.len());
        let limit = "the most that the system takes for a Unix socket";
        return Err(format!("the path {shown} of {came} bytes is over {PATH_BYTES_MAX}, {limit}"));
    }
    Ok(())
}

/// To be read and written by the owner; connecting needs the right to write.
const MODE: u32 = 0o600;
/// Connections that wait to be accepted. The system may allow fewer.
const BACKLOG: u32 = 1024;
/// The size of `sun_path` less the zero at its end.
const PATH_BYTES_MAX: usize = if cfg!(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)) {
    103
} else {
    107
};
/// A listener on the same machine that doesn't take a connection within this time is busy.
const PROBE_TIME_MAX: Duration = Duration::from_secs(1);
/// The lock is held for a probe and a few system calls.
const LOCK_TIME_MAX: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(1);
