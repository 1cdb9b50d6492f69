//! Files of Unix sockets: whose they are, who may replace them, and who is at the other end.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use switchboard::transport::{self, Listener, PeerAddress, UnixListener};
use switchboard::{Client, Code, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixSocket, UnixStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::accept::check_error;

/// So who finds the file of another who does not listen yet takes it for dead, unless a lock
/// keeps them from looking.
#[tokio::test]
async fn a_socket_that_is_bound_and_does_not_listen_refuses() {
    let directory = Directory::new();
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(directory.file()).unwrap();
    let error = UnixStream::connect(directory.file()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn the_file_of_a_dead_process_is_replaced() {
    let directory = Directory::new();
    drop(std::os::unix::net::UnixListener::bind(directory.file()).unwrap());
    assert!(directory.file().exists());
    let listener = UnixListener::bind(directory.file()).await.unwrap();
    check_serves(listener, &directory.file()).await;
}

#[tokio::test]
async fn the_file_of_a_live_process_is_not() {
    let directory = Directory::new();
    let mut first = UnixListener::bind(directory.file()).await.unwrap();
    let mut client = UnixStream::connect(directory.file()).await.unwrap();
    check_taken(&directory.file()).await;

    let (mut accepted, _) = first.accept().await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'x');
    // The one that asked whether somebody is here.
    let (mut probe, _) = first.accept().await.unwrap();
    assert_eq!(probe.read(&mut [0]).await.unwrap(), 0);
    check_serves(first, &directory.file()).await;
}

#[tokio::test]
async fn a_full_queue_is_a_sign_of_life() {
    let directory = Directory::new();
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(directory.file()).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = UnixStream::connect(directory.file()).await {
        waiting.push(stream);
    }
    check_taken(&directory.file()).await;
    drop(listener);
}

#[tokio::test]
async fn a_datagram_socket_is_a_sign_of_life() {
    let directory = Directory::new();
    let _socket = tokio::net::UnixDatagram::bind(directory.file()).unwrap();
    check_taken(&directory.file()).await;
}

#[tokio::test]
async fn what_is_not_a_socket_is_left_alone() {
    let directory = Directory::new();
    let path = directory.file();
    let text =
        format!("what is at unix:{} already is not a socket; it is left alone", path.display());
    fs::write(&path, "precious").unwrap();
    check_error(&UnixListener::bind(&path).await.unwrap_err(), Code::Failed, &text);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    check_error(&UnixListener::bind(&path).await.unwrap_err(), Code::Failed, &text);
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("nowhere"));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check_error(&UnixListener::bind(&path).await.unwrap_err(), Code::Failed, &text);
    assert!(path.is_dir());
}

#[tokio::test]
async fn the_file_goes_with_the_listener_unless_it_is_another() {
    let directory = Directory::new();
    let listener = UnixListener::bind(directory.file()).await.unwrap();
    drop(listener);
    assert!(!directory.file().exists());

    let listener = UnixListener::bind(directory.file()).await.unwrap();
    fs::remove_file(directory.file()).unwrap();
    let other = UnixListener::bind(directory.file()).await.unwrap();
    drop(listener);
    check_serves(other, &directory.file()).await;
    assert!(!directory.file().exists());
}

#[tokio::test]
async fn a_path_is_told_what_is_wrong_with_it() {
    let directory = Directory::new();
    let longest = directory.0.join("x".repeat(82));
    check_serves(UnixListener::bind(&longest).await.unwrap(), &longest).await;

    let too_long = PathBuf::from(format!("{}x", longest.display()));
    let shown = too_long.display();
    let limit = "over 82, the most that the system takes for a Unix socket";
    let error = UnixListener::bind(&too_long).await.unwrap_err();
    check_error(
        &error,
        Code::Invalid,
        &format!("the file name of unix:{shown} has 83 bytes, {limit}"),
    );

    let error = UnixListener::bind("").await.unwrap_err();
    check_error(&error, Code::Invalid, "the path of a Unix socket is empty");
    let error = UnixListener::bind("a\0b").await.unwrap_err();
    check_error(&error, Code::Invalid, "the path \"a\\0b\" contains a zero byte");
    // A pipe in the place of a directory would be waited for if it were opened as a file.
    let mut mkfifo = Command::new("mkfifo");
    assert!(mkfifo.arg(directory.0.join("pipe")).status().unwrap().success());
    let missing = "No such file or directory (os error 2)";
    for (end, code, reason) in [
        ("..", Code::Invalid, "invalid input parameter"),
        ("socket/", Code::Invalid, "invalid input parameter"),
        ("socket/.", Code::Invalid, "invalid input parameter"),
        ("missing/socket", Code::Failed, missing),
        ("pipe/socket", Code::Failed, "Not a directory (os error 20)"),
    ] {
        let path = directory.0.join(end);
        let error = UnixListener::bind(&path).await.unwrap_err();
        let text = format!("cannot listen at unix:{}", path.display());
        check_error(&error, code, &text);
        assert_eq!(error.to_string(), format!("{code}: {text}: {reason}"));
        assert!(!error.is_transient(), "{error}");
    }
    let shown = directory.0.join("missing/socket").display().to_string();
    let error = Client::connect(&format!("unix:{shown}")).await.unwrap_err();
    let text = format!("nobody answers at unix:{shown}: {missing}");
    assert_eq!(error.to_string(), format!("disconnected: {text}"));
    assert!(error.is_safe_to_retry() && error.is_transient());
    let error = Connection::connect("unix:").await.unwrap_err();
    assert!(error.is_safe_to_retry() && !error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_who_bind_one_path_exactly_one_wins() {
    let directory = Directory::new();
    let is_taken = format!("another process is listening at unix:{}", directory.shown());
    for round in 0..20 {
        // In every other round they find the file of a dead process.
        if round % 2 == 0 {
            drop(std::os::unix::net::UnixListener::bind(directory.file()).unwrap());
        }
        let (mut racers, start) = (JoinSet::new(), Arc::new(Barrier::new(200)));
        for _ in 0..200 {
            let (path, start) = (directory.file(), start.clone());
            racers.spawn(async move {
                start.wait().await;
                UnixListener::bind(path).await
            });
        }
        let mut winners = Vec::new();
        for result in racers.join_all().await {
            match result {
                Ok(listener) => winners.push(listener),
                Err(error) => check_error(&error, Code::Failed, &is_taken),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        check_reached(&winners[0], &directory.file()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_given_back_is_not_waited_for() {
    let directory = Directory::new();
    let lock = fs::File::open(&directory.0).unwrap();
    lock.lock().unwrap();
    let error = UnixListener::bind(directory.file()).await.unwrap_err();
    let shown = directory.shown();
    check_error(
        &error,
        Code::Failed,
        &format!("the directory of unix:{shown} was locked for 10 s"),
    );
    assert!(!directory.file().exists());
    drop(lock);
    assert!(UnixListener::bind(directory.file()).await.is_ok());
}

/// Wherever in its work it is dropped.
#[tokio::test(start_paused = true)]
async fn a_bind_that_is_given_up_leaves_nothing() {
    let directory = Directory::new();
    let lock = fs::File::open(&directory.0).unwrap();
    let address = format!("unix:{}", directory.shown());
    for waits in 0..20 {
        lock.lock().unwrap();
        let mut binding = Box::pin(transport::bind(&address));
        for _ in 0..waits {
            let wait = Duration::from_millis(100);
            assert!(tokio::time::timeout(wait, &mut binding).await.is_err());
        }
        drop(binding);
        assert!(!directory.file().exists());
        // Nor does it keep the lock of the directory.
        lock.unlock().unwrap();
        lock.try_lock().unwrap();
    }
    drop(lock);
    assert!(transport::bind(&address).await.is_ok());
}

#[tokio::test]
async fn credentials_are_those_of_the_peer() {
    let directory = Directory::new();
    let mut listener = UnixListener::bind(directory.file()).await.unwrap();
    let _client = UnixStream::connect(directory.file()).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();

    let ours = fs::metadata(directory.file()).unwrap();
    let credentials = peer.credentials().unwrap();
    assert_eq!((credentials.uid, credentials.gid), (ours.uid(), ours.gid()));
    assert_eq!(peer.address(), PeerAddress::Unix);
    let pid = std::process::id();
    if cfg!(target_os = "linux") {
        assert_eq!(credentials.pid, Some(pid));
        assert_eq!(peer.to_string(), format!("unix uid {} pid {pid}", ours.uid()));
    }
}

/// The directory of a process is its own, so this too runs in a child.
#[test]
fn a_relative_path_is_found_again_from_another_directory() {
    if is_child() {
        return check_that_a_relative_path_is_found_again();
    }
    let directory = Directory::new();
    let mut child = Command::new(this_program());
    child.current_dir(&directory.0);
    run_as_child(&mut child, "unix::a_relative_path_is_found_again_from_another_directory");
    assert!(!directory.file().exists());
}

fn check_that_a_relative_path_is_found_again() {
    block_on(async {
        let listener = transport::bind("unix:socket").await.unwrap();
        let whole = std::env::current_dir().unwrap().join("socket");
        std::env::set_current_dir("/").unwrap();
        assert!(fs::metadata(&whole).unwrap().file_type().is_socket());
        let shown = listener.local_address().unwrap().to_string();
        assert_eq!(shown, format!("unix:{}", whole.display()));
        drop(listener);
        assert!(!whole.exists());
    });
}

/// Whether this process was started by `run_as_child`.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

pub(crate) fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Runs the test of this name once more, in a process that the test has prepared.
pub(crate) fn run_as_child(program: &mut Command, test: &str) {
    let child = program.args(["--exact", test]).env(CHILD, "1").output().unwrap();
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}

const CHILD: &str = "SWITCHBOARD_TRANSPORT_CHILD";

async fn check_taken(path: &Path) {
    let before = identity_of(path);
    let error = UnixListener::bind(path).await.unwrap_err();
    check_error(
        &error,
        Code::Failed,
        &format!("another process is listening at unix:{}", path.display()),
    );
    assert_eq!(identity_of(path), before);
}

/// Which file it is, and its mode.
pub(crate) fn identity_of(path: &Path) -> (u64, u64, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino(), metadata.mode())
}

/// Whether who dials the path reaches this listener, and its file has the right mode.
async fn check_serves(mut listener: UnixListener, path: &Path) {
    assert_eq!(mode(path), 0o600);
    // Not both at once: where nobody can dial, nobody would ever be accepted.
    let mut dialled = UnixStream::connect(path).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    dialled.write_all(b"x").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'x');
}

/// The socket file is the one that this listener has made.
async fn check_reached(listener: &UnixListener, path: &Path) {
    assert_eq!(listener.path(), path.canonicalize().unwrap());
    UnixStream::connect(path).await.unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) fn block_on(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future);
}

/// A directory of one test, deleted with all that is in it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, as paths of sockets are: a name of 82 bytes must have room behind it.
        let name = format!("sb-{}-{count}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("socket")
    }

    pub(crate) fn shown(&self) -> String {
        self.file().display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
