//! Listening and accepting over real sockets. Dialling, which is not public, is tested where it is.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "the functions that tests share are tests too")]

use switchboard::transport::{
    self, Address, DEFAULT_PORT, Listener, MemoryDialer, MemoryListener, Peer, PeerAddress,
};
use switchboard::{Code, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[test]
fn addresses_are_parsed_and_printed() {
    check_address("127.0.0.1:7000", "127.0.0.1", 7000);
    check_address("localhost:0", "localhost", 0);
    check_address("example.org:65535", "example.org", 65535);
    check_address("example.org", "example.org", DEFAULT_PORT);
    check_address(":7000", "127.0.0.1", 7000);
    check_address("[::1]:7000", "::1", 7000);
    check_address("[::1]", "::1", DEFAULT_PORT);
    check_address("::1", "::1", DEFAULT_PORT);
    check_address("::", "::", DEFAULT_PORT);
    check_address("::1:8080", "::1:8080", DEFAULT_PORT);
    check_address("fe80::1%eth0", "fe80::1%eth0", DEFAULT_PORT);
    check_address("[fe80::1%2]:7000", "fe80::1%2", 7000);
    for path in ["/run/stock.sock", "stock.sock", "a b/ü@:1", "[::1]:2"] {
        let address: Address = format!("unix:{path}").parse().unwrap();
        assert_eq!(address, Address::Unix(path.into()));
        assert_eq!(address.to_string(), format!("unix:{path}"));
    }
}

#[test]
fn an_address_that_is_none_is_told_what_is_wrong_with_it() {
    check_no_address("", "the address is empty");
    check_no_address("unix:", "the address \"unix:\" names no file");
    check_no_address("unix:a\0b", "the path \"a\\0b\" contains a zero byte");
    check_no_address(":", "the port \"\" is not a number from 0 to 65535");
    check_no_address("host:", "the port \"\" is not a number from 0 to 65535");
    check_no_address("host:65536", "the port \"65536\" is not a number from 0 to 65535");
    check_no_address("host:+1", "the port \"+1\" is not a number from 0 to 65535");
    check_no_address("host:http", "the port \"http\" is not a number from 0 to 65535");
    check_no_address("[::1", "the address \"[::1\" lacks a closing bracket");
    check_no_address("[host]:1", "\"host\" in brackets is not an IPv6 address");
    check_no_address("[::1%]:1", "\"::1%\" in brackets is not an IPv6 address");
    check_no_address("[::1]1", "\"1\" after the bracket is not a port");
    check_no_address("[::1]:", "the port \"\" is not a number from 0 to 65535");
    let text = "\"::1:61000\" has too many colons; an IPv6 address is written [::1]:61000";
    check_no_address("::1:61000", text);
    let text = "\"/run/x\" is not host:port; a Unix socket is written unix:/path";
    check_no_address("/run/x", text);
    let text = "the host \"my host\" contains a space or a control character";
    check_no_address("my host:1", text);
    let text = "an address has no user or password before an @";
    check_no_address("ada:secret@host:1", text);
    check_no_address("http://ada:secret@host", text);
}

#[tokio::test]
async fn an_accepted_stream_does_not_wait_for_more() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) =
        tokio::join!(TcpStream::connect(address), Listener::accept(&mut listener));
    let (accepted, peer) = accepted.unwrap();
    assert!(accepted.as_ref().nodelay().unwrap());
    assert_eq!(peer, Peer::tcp(dialled.unwrap().local_addr().unwrap()));
    assert_eq!(peer.credentials(), None);
}

#[tokio::test]
async fn the_port_that_the_system_chose_is_told() {
    let mut listener = transport::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let text = listener.local_address().unwrap().to_string();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(&text), listener.accept());
    let dialled = dialled.unwrap();
    assert_eq!(accepted.unwrap().1, Peer::tcp(dialled.local_addr().unwrap()));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = listener.local_addr().unwrap().to_string();
    let error = transport::bind(&text.parse().unwrap()).await.unwrap_err();
    check_error(&error, &format!("another process is listening at {text}"));
}

#[tokio::test]
async fn a_dropped_accept_loses_nobody() {
    let (listener, dialer) = transport::memory_listener();
    check_cancelled_accept(listener, async || dialer.dial().await.unwrap()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    check_cancelled_accept(listener, async || TcpStream::connect(address).await.unwrap()).await;
}

#[tokio::test]
async fn memory_carries_bytes_both_ways_and_their_end() {
    let (mut here, mut there) = transport::memory();
    here.write_all(b"ping").await.unwrap();
    here.shutdown().await.unwrap();
    let mut heard = String::new();
    there.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "ping");

    there.write_all(b"pong").await.unwrap();
    drop(there);
    heard.clear();
    here.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "pong");
}

#[tokio::test]
async fn memory_holds_64_kib_and_no_more() {
    let (mut here, mut there) = transport::memory();
    let too_much = vec![7; 65_536 + 1];
    let taken = tokio::time::timeout(std::time::Duration::ZERO, here.write_all(&too_much)).await;
    assert!(taken.is_err());
    drop(here);
    let mut heard = Vec::new();
    assert_eq!(there.read_to_end(&mut heard).await.unwrap(), 65_536);
    assert_eq!(there.write_all(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn memory_is_taken_as_bytes_are_written_and_given_back_when_they_are_read() {
    const PAIRS: i64 = 4;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let live_bytes = |step: &mut dyn FnMut()| allocation_counter::measure(step).bytes_current;
    let mut pairs = Vec::with_capacity(4);
    let fresh = live_bytes(&mut || pairs.extend((0..PAIRS).map(|_| transport::memory())));
    assert!(fresh < PAIRS * 512, "{fresh} bytes before anything is written");
    let mut room = vec![0; 65_536];
    let taken = live_bytes(&mut || {
        runtime.block_on(async {
            for (here, there) in &mut pairs {
                here.write_all(&[7; 40_000]).await.unwrap();
                there.write_all(&[7; 40_000]).await.unwrap();
            }
        });
    });
    let written = PAIRS * 80_000;
    assert!((written..=written * 2).contains(&taken), "{taken} bytes for {written} that wait");
    let given_back = live_bytes(&mut || {
        runtime.block_on(async {
            for (here, there) in &mut pairs {
                here.read_exact(&mut room[..40_000]).await.unwrap();
                there.read_exact(&mut room[..40_000]).await.unwrap();
            }
        });
    });
    // Two buffers at most are kept, for the whole thread.
    let kept = taken + given_back;
    assert!((0..=131_200).contains(&kept), "{kept} bytes are kept by pipes in which nothing waits");
}

#[tokio::test]
async fn a_reader_that_leaves_wakes_its_writer_and_a_writer_its_reader() {
    let (mut here, there) = transport::memory();
    let much = vec![7; 65_537];
    let (written, ()) = tokio::join!(here.write_all(&much), async { drop(there) });
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);

    let (mut here, there) = transport::memory();
    let mut heard = Vec::new();
    let (read, ()) = tokio::join!(here.read_to_end(&mut heard), async { drop(there) });
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn memory_takes_turns_with_other_tasks() {
    let (mut here, mut there) = transport::memory();
    let other = tokio::spawn(async {});
    // Two busy ends do not keep the thread for ever.
    while !other.is_finished() {
        here.write_all(b"x").await.unwrap();
        assert_eq!(there.read_u8().await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_memory_listener_accepts_what_is_dialled() {
    let (mut listener, dialer): (MemoryListener, MemoryDialer) = transport::memory_listener();
    let mut dialled = dialer.clone().dial().await.unwrap();
    let (mut accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.address(), PeerAddress::Memory);
    dialled.write_all(b"x").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'x');

    drop(listener);
    let error = dialer.dial().await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Disconnected, "nobody answers in memory"));
}

#[test]
fn everything_may_move_between_threads() {
    fn check<T: Send + 'static>(_: fn() -> T) {}
    check(|| transport::bind(Box::leak(Box::new(Address::Unix("".into())))));
    check::<transport::BoxedIo>(|| unreachable!());
    check::<transport::AnyListener>(|| unreachable!());
    check::<transport::MemoryStream>(|| unreachable!());
    check(|| async { transport::memory_listener().0.accept().await.map(|_| ()) });
}

fn check_address(text: &str, host: &str, port: u16) {
    let address: Address = text.parse().unwrap();
    assert_eq!(address, Address::Tcp { host: host.to_owned(), port }, "{text}");
    assert_eq!(address.to_string().parse::<Address>().unwrap(), address, "{text}");
}

fn check_no_address(text: &str, expected: &str) {
    check_error(&text.parse::<Address>().unwrap_err(), expected);
}

fn check_error(error: &Error, text: &str) {
    assert_eq!((error.code(), error.text()), (Code::Failed, text));
}

async fn check_cancelled_accept<L: Listener, S>(mut listener: L, dial: impl AsyncFn() -> S) {
    let abandoned = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(abandoned.is_err(), "nobody had dialled yet");
    let dialled = dial().await;
    assert!(listener.accept().await.is_ok());
    drop(dialled);
}

#[cfg(target_os = "linux")]
#[path = "transport/dial.rs"]
mod dial;
#[cfg(target_os = "linux")]
#[path = "transport/links.rs"]
mod links;
#[cfg(unix)]
#[path = "transport/strangers.rs"]
mod strangers;

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use switchboard::transport::UnixListener;
    use tokio::net::{UnixSocket, UnixStream};
    use tokio::sync::Barrier;
    use tokio::task::JoinSet;

    use super::*;

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
        check_error(&UnixListener::bind(&path).await.unwrap_err(), &text);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        check_error(&UnixListener::bind(&path).await.unwrap_err(), &text);
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("nowhere"));

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        check_error(&UnixListener::bind(&path).await.unwrap_err(), &text);
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
        check_error(&error, &format!("the file name of unix:{shown} has 83 bytes, {limit}"));

        let error = UnixListener::bind("").await.unwrap_err();
        check_error(&error, "the path of a Unix socket is empty");
        let error = UnixListener::bind("a\0b").await.unwrap_err();
        check_error(&error, "the path \"a\\0b\" contains a zero byte");
        // A pipe in the place of a directory would be waited for if it were opened as a file.
        let mut mkfifo = Command::new("mkfifo");
        assert!(mkfifo.arg(directory.0.join("pipe")).status().unwrap().success());
        for end in ["..", "missing/socket", "pipe/socket", "socket/", "socket/."] {
            let path = directory.0.join(end);
            let error = UnixListener::bind(&path).await.unwrap_err();
            check_error(&error, &format!("cannot listen at unix:{}", path.display()));
        }
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
                    Err(error) => check_error(&error, &is_taken),
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
        check_error(&error, &format!("the directory of unix:{shown} was locked for 10 s"));
        assert!(!directory.file().exists());
        drop(lock);
        assert!(UnixListener::bind(directory.file()).await.is_ok());
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
            let listener = transport::bind(&"unix:socket".parse().unwrap()).await.unwrap();
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
        check_error(&error, &format!("another process is listening at unix:{}", path.display()));
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
        let (dialled, accepted) = tokio::join!(UnixStream::connect(path), listener.accept());
        let (mut dialled, (mut accepted, _)) = (dialled.unwrap(), accepted.unwrap());
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
            let name = format!("switchboard-{}-{count}", std::process::id());
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
}
