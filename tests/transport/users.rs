//! Who is at the other end of a Unix socket: whoever connected, whatever has become of them since.
//!
//! Other users are processes of this program, or a shell. Only root can start them.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};

use rustix::process::geteuid;
use switchboard::format::Line;
use switchboard::transport::{Listener, UnixListener};
use switchboard::{Code, Command, Context, Endpoint, Error, Limits, Result};
use tokio::task::spawn_blocking;

use super::unix::{Directory, this_program};

#[tokio::test]
async fn a_handler_sees_who_has_connected_whoever_else_does() {
    if let Some(path) = std::env::var_os(SOCKET) {
        for _ in 0..ROUNDS {
            assert_eq!(ask(&mut connect(Path::new(&path))), geteuid().as_raw().to_string());
        }
        return;
    }
    let Some(scene) = Scene::new("a_handler_sees_who_has_connected_whoever_else_does") else {
        return;
    };
    scene.serve(Limits::default()).await;
    let users = [NOBODY, NOBODY - 1, NOBODY - 2, 0];
    for mut stranger in users.map(|user| scene.stranger(user)) {
        assert!(spawn_blocking(move || stranger.wait()).await.unwrap().unwrap().success());
    }
}

/// Its number may belong to somebody else by then.
#[tokio::test]
async fn who_has_left_before_the_accept_is_told_all_the_same() {
    if let Some(path) = std::env::var_os(SOCKET) {
        connect(Path::new(&path)).write_all(b"WHO\n\n").unwrap();
        return;
    }
    let Some(scene) = Scene::new("who_has_left_before_the_accept_is_told_all_the_same") else {
        return;
    };
    let mut listener = scene.bind().await;
    for user in [NOBODY, NOBODY - 1, 0] {
        let mut stranger = scene.stranger(user);
        assert!(stranger.wait().unwrap().success());
        let (_, peer) = listener.accept().await.unwrap();
        let credentials = peer.credentials().unwrap();
        assert_eq!((credentials.uid, credentials.pid), (user, Some(stranger.id())));
    }
}

/// As a process that connects and then gives its rights up: what it says is said in the name of who
/// connected.
#[tokio::test]
async fn a_connection_that_was_handed_on_is_still_that_of_who_connected() {
    let Some(scene) = Scene::new("") else { return };
    scene.serve(Limits::default()).await;
    let path = scene.socket();
    let asking = spawn_blocking(move || {
        let socket = OwnedFd::from(connect(&path));
        let mut shell = Program::new("sh");
        shell.args(["-c", r#"id -u >&2; printf 'WHO\n\n'; read uid; echo "$uid" >&2"#]);
        shell.stdin(socket.try_clone().unwrap()).stdout(socket).uid(NOBODY);
        shell.output().unwrap()
    });
    let told = String::from_utf8(asking.await.unwrap().stderr).unwrap();
    assert_eq!(told, format!("{NOBODY}\n0\n"));
}

#[tokio::test]
async fn a_user_who_has_all_places_leaves_those_of_others() {
    if let Some(path) = std::env::var_os(SOCKET) {
        let mut streams = [(); 3].map(|()| connect(Path::new(&path)));
        let [one, two, three] = &mut streams;
        assert_eq!(ask(one), ask(two));
        let mut told = String::new();
        three.read_to_string(&mut told).unwrap();
        assert!(told.contains("connections_per_peer_max (2) of yours are open"), "{told}");
        println!("{FULL}");
        // Until the others have tried.
        let _ = io::stdin().read(&mut [0]);
        return;
    }
    let Some(scene) = Scene::new("a_user_who_has_all_places_leaves_those_of_others") else {
        return;
    };
    scene.serve(Limits::default().with(|limits| limits.connections_per_peer_max = 2)).await;
    let path = scene.socket();
    let mut stranger = scene.stranger(NOBODY);
    // Kept until it has ended, for it has more to say.
    let mut lines = BufReader::new(stranger.stdout.take().unwrap()).lines();
    let trying = spawn_blocking(move || {
        let mut told = lines.by_ref().map_while(io::Result::ok);
        assert!(told.any(|line| line.ends_with(FULL)), "it is not told");
        let told = ask(&mut connect(&path));
        drop(stranger.stdin.take());
        lines.for_each(drop);
        assert!(stranger.wait().unwrap().success());
        told
    });
    assert_eq!(trying.await.unwrap(), "0");
}

/// A socket that everybody may connect to, and this program where everybody can run it.
struct Scene {
    directory: Directory,
    test: &'static str,
}

impl Scene {
    /// `None` if there cannot be others.
    fn new(test: &'static str) -> Option<Self> {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "only root can try as another user");
            eprintln!("SKIPPED: only root can try as another user");
            return None;
        }
        let directory = Directory::new();
        let program = directory.0.join("program");
        fs::copy(this_program(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Some(Self { directory, test })
    }

    fn socket(&self) -> PathBuf {
        self.directory.file()
    }

    async fn bind(&self) -> UnixListener {
        let listener = UnixListener::bind(self.socket()).await.unwrap();
        fs::set_permissions(self.socket(), Permissions::from_mode(0o666)).unwrap();
        listener
    }

    async fn serve(&self, limits: Limits) {
        let listener = self.bind().await;
        let endpoint = Endpoint::new().with_limits(limits).on(WHO, who);
        tokio::spawn(async move { endpoint.serve(listener).await });
    }

    /// Runs the test as this user.
    fn stranger(&self, user: u32) -> Child {
        let mut stranger = Program::new(self.directory.0.join("program"));
        let test = format!("users::{}", self.test);
        stranger.args(["--exact", &test, "--nocapture"]).env(SOCKET, self.socket()).uid(user);
        stranger.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }
}

async fn who(_: String, context: Context) -> Result<String> {
    match context.peer().credentials() {
        Some(credentials) => Ok(credentials.uid.to_string()),
        None => Err(Error::new(Code::Unauthenticated, "nobody knows")),
    }
}

fn connect(path: &Path) -> UnixStream {
    UnixStream::connect(path).unwrap()
}

/// Which user the other side says that we are.
fn ask(stream: &mut UnixStream) -> String {
    stream.write_all(b"WHO\n\n").unwrap();
    let mut told = String::new();
    BufReader::new(stream).read_line(&mut told).unwrap();
    told.trim_end().to_owned()
}

/// Answers which user the caller is.
const WHO: Command<String, String, Line> = Command::new("WHO");
/// What tells a process that it is a stranger, and where it connects.
const SOCKET: &str = "SWITCHBOARD_USERS_SOCKET";
/// What the stranger says who has all places.
const FULL: &str = "all places are taken";
/// The user that owns nothing; those below it have no names.
const NOBODY: u32 = 65_534;
const ROUNDS: u32 = 500;
