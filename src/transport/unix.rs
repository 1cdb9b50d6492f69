//! Unix sockets: a file that only its owner may connect to, and that cleans up after itself.
//!
//! # Who may connect
//!
//! The file has mode 0600, so the user who runs the process and root. That holds from the moment
//! at which the file is there, whatever the umask. It would be too late to set the mode between
//! `bind` and `listen`: a `connect` looks at the mode when it looks the path up, and later, under
//! another lock, at whether the socket listens. Whoever was let past the first gets through if the
//! socket listens by the second, and another user who tried in a loop did in 5 % of binds. So:
//!
//! - On Linux a file gets the mode of its socket, less the umask. The mode is set on the socket
//!   before it is bound.
//! - Elsewhere a socket has no mode of its own. The file is made in a new directory that nobody
//!   else can enter, gets its mode there, and is moved to its place.
//!
//! A file system may have modes of its own, so the file is looked at before the socket listens.
//!
//! To let more people in, change the mode afterwards. The directory decides who may delete or
//! replace the file, so it should belong to the same user; a directory that others can write to
//! must at least be sticky.
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
//! A fourth is closed by [`Directory`]: the path may lead elsewhere meanwhile, if somebody else can
//! change one of its links. All is done in the one directory that was found first.
//!
//! At drop the file is deleted while the socket still listens, so nobody who obeys the rules above
//! can have replaced it in between. It is deleted only if device and inode are those of our socket:
//! a bound socket keeps its inode, so the number cannot have been given to another file meanwhile.
//!
//! What stays open, for the system cannot "delete this file if it is that one": whoever may replace
//! the file and does not lock can do so between our look and the next step, which then meets the
//! new file. That is between the bind and the look at what was bound, between the probe of a dead
//! socket and its end, and between the look and the end at drop. Each is a few microseconds, and
//! needs the right to write to the directory, with which one can delete the file anyway.

use std::ffi::{OsStr, OsString};
use std::fmt;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::fs::File;
use std::fs::{self, Permissions};
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixSocket, UnixStream};
use tokio::time::{sleep, timeout};

use crate::error::{Code, Error, Result};
use crate::transport::address::{Address, wrong};
use crate::transport::directory::{Directory, Identity, shortened};
use crate::transport::listener::Listener;
use crate::transport::peer::Peer;
use crate::transport::socket::Socket;

/// A Unix socket that listens, and its file.
///
/// The file has mode 0600 from the first moment on, or less if the umask says so: only the user of
/// this process and root get in. Dropping the listener deletes the file, unless somebody has put
/// another one in its place. An endpoint drops it when it begins to drain, so the path is no lock:
/// another process may listen there while this one still ends its calls.
///
/// Use it instead of the listener of tokio, which neither restricts nor deletes its file.
pub struct UnixListener {
    // Dropped before the listener: the file goes while the socket still holds the inode.
    file: SocketFile,
    listener: tokio::net::UnixListener,
}

impl UnixListener {
    /// Listens at `path`. The socket file of a dead process is replaced; the file of a process that
    /// listens never is, and neither is a file that is not a socket.
    ///
    /// The directory stays open as long as the listener lives, so later changes of the path do not
    /// matter. The calling thread makes a few short calls to the file system, once.
    ///
    /// # Errors
    ///
    /// `failed` if the path is taken, if its directory cannot be read and written or is locked by
    /// somebody else for ten seconds, or if the file system lets others in.
    ///
    /// `invalid` if it is empty or too long. On Linux its file name may have 82 bytes, however long
    /// the rest is. Elsewhere, and without `/proc`, the whole path without links may have as many
    /// bytes as the system takes for a socket: 107 on Linux, 103 on BSD and macOS.
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
        check_path(path)?;
        Self::bind_checked(path).await.map_err(|refusal| refusal.into_error(path))
    }

    async fn bind_checked(path: &Path) -> Result<Self, Refusal> {
        let name = name_of(path).ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Directory::open(parent.unwrap_or_else(|| Path::new(".")))?;
        check_length(&directory, name)?;
        let entry = directory.entry(name);
        // Anybody who can read the directory can hold the lock, so the wait has an end.
        let lock = timeout(LOCK_TIME_MAX, directory.lock()).await;
        let _lock = lock.map_err(|_| Refusal::Locked)??;

        let socket = UnixSocket::new_stream()?;
        if let Err(error) = bind_for_owner(&socket, &entry) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error.into());
            }
            remove_stale(&entry).await?;
            bind_for_owner(&socket, &entry)?;
        }
        // Nothing waits from here on, so nobody can drop the future with the file half done.
        let file = SocketFile::of_bound(directory, name)?;
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
    type Io = Socket<UnixStream>;

    async fn accept(&mut self) -> io::Result<(Socket<UnixStream>, Peer)> {
        Listener::accept(&mut self.listener).await
    }
}

/// The program that made this listener is responsible for the mode and the end of its file;
/// [`UnixListener`] takes care of both.
///
/// # Cancel safety
///
/// Cancel safe, as its own `accept` is.
impl Listener for tokio::net::UnixListener {
    type Io = Socket<UnixStream>;

    async fn accept(&mut self) -> io::Result<(Socket<UnixStream>, Peer)> {
        // By path: `self.accept()` would call this function, the inherent one takes `&self`.
        let (stream, _) = Self::accept(self).await?;
        let peer = Peer::of_unix(&stream);
        Ok((stream.into(), peer))
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener").field("path", &self.file.path).finish_non_exhaustive()
    }
}

/// Connects to the socket at `path`; waits while its queue is full.
pub(super) async fn dial(path: &Path) -> Result<(Socket<UnixStream>, Peer)> {
    check_path(path)?;
    let connected = connect(path).await;
    let stream = connected.map_err(|error| Address::Unix(path.to_owned()).dial_error(error))?;
    let peer = Peer::of_unix(&stream);
    Ok((stream.into(), peer))
}

/// By a shorter path where the system would not take this one, and as often as it takes while too
/// many others wait to be accepted: a blocking `connect` would wait in line, ours is told at once.
/// (On Linux. BSD and macOS refuse both, as if nobody were there.)
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let is_short = path.as_os_str().len() <= PATH_BYTES_MAX;
    let mut pause = DIAL_PAUSE_MIN;
    loop {
        // Anew each time, for the listener may have been replaced.
        let shorter = if is_short { None } else { shortened(path)? };
        let path = shorter.as_ref().map_or(path, |(_handle, path)| path);
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            connected => return connected,
        }
        pause = pause.saturating_mul(2).min(DIAL_PAUSE_MAX);
    }
}

/// The file of a socket that we have bound, deleted at drop if it still is that one.
struct SocketFile {
    directory: Directory,
    name: OsString,
    // To be shown, and to be dialled from elsewhere.
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    /// Takes charge of the file that was bound just now, under the lock on its directory, if it is
    /// for its owner alone.
    fn of_bound(directory: Directory, name: &OsStr) -> Result<Self, Refusal> {
        let metadata = fs::symlink_metadata(directory.entry(name))?;
        let (path, identity) = (directory.path_of(name), Identity::of(&metadata));
        let file = Self { directory, name: name.to_owned(), path, identity };
        let is_closed_to_others = metadata.permissions().mode() & MODE_BITS & !MODE == 0;
        if is_closed_to_others { Ok(file) } else { Err(Refusal::Open) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let entry = self.directory.entry(&self.name);
        let is_ours = fs::symlink_metadata(&entry)
            .is_ok_and(|metadata| Identity::of(&metadata) == self.identity);
        if is_ours {
            // If it can't be deleted the next one who binds finds a stale file and replaces it.
            let _ = fs::remove_file(entry);
        }
    }
}

/// Why a path cannot be listened at.
enum Refusal {
    /// Something is there, and it listens or might.
    Live(Option<io::Error>),
    /// It may listen, but not to us.
    Foreign(io::Error),
    /// Something is there that nobody can connect to.
    NotASocket,
    /// The file system lets others in.
    Open,
    /// Somebody holds the lock on the directory and does not let go.
    Locked,
    /// The path, or what of it counts, is longer than the system takes.
    TooLong { part: &'static str, bytes: usize, bytes_max: usize },
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
        let code = if let Self::TooLong { .. } = self { Code::Invalid } else { Code::Failed };
        let (text, source) = match self {
            Self::Live(source) => (format!("another process is listening at {address}"), source),
            Self::Foreign(error) => {
                (format!("somebody else has the socket at {address}"), Some(error))
            }
            Self::NotASocket => {
                (format!("what is at {address} already is not a socket; it is left alone"), None)
            }
            Self::Open => {
                (format!("the file system does not keep others away from {address}"), None)
            }
            Self::Locked => {
                let seconds = LOCK_TIME_MAX.as_secs();
                (format!("the directory of {address} was locked for {seconds} s"), None)
            }
            Self::TooLong { part, bytes, bytes_max } => {
                let limit = "the most that the system takes for a Unix socket";
                (
                    format!("the {part} of {address} has {bytes} bytes, over {bytes_max}, {limit}"),
                    None,
                )
            }
            Self::Io(error) => return address.bind_error(error),
        };
        let error = Error::local(code, text);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// Binds the socket so that at no time anybody but its owner may connect.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_for_owner(socket: &UnixSocket, path: &Path) -> io::Result<()> {
    let file = File::from(socket.as_fd().try_clone_to_owned()?);
    file.set_permissions(Permissions::from_mode(MODE))?;
    socket.bind(path)
}

/// Binds the socket so that at no time anybody but its owner may connect.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_for_owner(socket: &UnixSocket, path: &Path) -> io::Result<()> {
    bind_apart(socket, path)
}

/// Binds the socket in a directory that nobody else can enter, and moves its file to `path`.
///
/// Moving replaces what is there, so it is looked at first. The lock on the directory keeps others
/// like us away between the two, and nothing keeps other programs away.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
fn bind_apart(socket: &UnixSocket, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let apart = path.with_file_name(format!(".{}", std::process::id()));
    let file = apart.join("s");
    // As a process of this number has left it that died half-way.
    let _ = fs::remove_file(&file);
    let _ = fs::remove_dir(&apart);
    // Fails if it is there, so it is never one that somebody else has made.
    fs::DirBuilder::new().mode(0o700).create(&apart)?;
    let bound = socket.bind(&file);
    let bound = bound.and_then(|()| fs::set_permissions(&file, Permissions::from_mode(MODE)));
    let bound = bound.and_then(|()| fs::rename(&file, path));
    if bound.is_err() {
        let _ = fs::remove_file(&file);
    }
    let _ = fs::remove_dir(&apart);
    bound
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

/// The name of the file that a path ends in; none if it ends in a directory.
fn name_of(path: &Path) -> Option<&OsStr> {
    let name = path.file_name()?;
    // Not so with a slash, or a slash and a dot, behind it.
    path.as_os_str().as_bytes().ends_with(name.as_bytes()).then_some(name)
}

/// Says what is wrong with a path, before the system gets to say it less clearly.
fn check_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(wrong("the path of a Unix socket is empty".to_owned()));
    }
    // On Linux a zero byte in front would mean a name outside of the file system.
    if bytes.contains(&0) {
        return Err(wrong(format!("the path {path:?} contains a zero byte")));
    }
    Ok(())
}

/// Whether the system takes the path by which this file will be bound, and dialled.
fn check_length(directory: &Directory, name: &OsStr) -> Result<(), Refusal> {
    let (part, bytes, bytes_max) = if directory.is_by_handle() {
        ("file name", name.len(), NAME_BYTES_MAX)
    } else {
        ("whole path", directory.path_of(name).as_os_str().len(), PATH_BYTES_MAX)
    };
    if bytes > bytes_max { Err(Refusal::TooLong { part, bytes, bytes_max }) } else { Ok(()) }
}

/// To be read and written by the owner; connecting needs the right to write.
const MODE: u32 = 0o600;
/// What of a mode says who may do what.
const MODE_BITS: u32 = 0o777;
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
/// What is left of that on Linux behind `/proc/self/fd/2147483647/`. Most numbers are shorter, but
/// whether a name is taken must not depend on how many files are open.
const NAME_BYTES_MAX: usize = 82;
/// Between tries of a dial to a full queue. Each costs a system call, and a server that is busy for
/// a moment should not be found late.
const DIAL_PAUSE_MIN: Duration = Duration::from_millis(1);
const DIAL_PAUSE_MAX: Duration = Duration::from_millis(64);
/// A listener on the same machine that doesn't take a connection within this time is busy.
const PROBE_TIME_MAX: Duration = Duration::from_secs(1);
/// The lock is held for a probe and a few system calls.
const LOCK_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of other systems, which works here too.
    #[tokio::test]
    async fn a_socket_that_is_bound_apart_is_moved_to_its_place() {
        let directory = std::env::temp_dir().join(format!("switchboard-{}", std::process::id()));
        let path = directory.join("socket");
        fs::create_dir(&directory).unwrap();
        // Left by one that died half-way.
        let apart = directory.join(format!(".{}", std::process::id()));
        fs::create_dir(&apart).unwrap();
        fs::write(apart.join("s"), "").unwrap();

        let socket = UnixSocket::new_stream().unwrap();
        bind_apart(&socket, &path).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        let opened = Directory::open(&directory).unwrap();
        let file = SocketFile::of_bound(opened, "socket".as_ref());
        let file = file.unwrap_or_else(|_| panic!("open to others"));
        let listener = socket.listen(1).unwrap();
        let (dialled, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        assert!(dialled.is_ok() && accepted.is_ok());

        // What is there is never replaced.
        let error = bind_apart(&UnixSocket::new_stream().unwrap(), &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(file);
        fs::remove_dir(directory).unwrap();
    }

    #[test]
    fn a_file_that_others_may_use_is_not_listened_at() {
        let name = format!("switchboard-open-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        for mode in [0o606, 0o660, 0o601] {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let directory = Directory::open(&std::env::temp_dir()).unwrap();
            let file = SocketFile::of_bound(directory, name.as_ref());
            assert!(matches!(file, Err(Refusal::Open)), "{mode:o}");
            assert!(!path.exists(), "{mode:o}");
        }
    }
}
