//! Handlers: every shape, every kind of error, panics, and the registry while it serves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use switchboard::format::{self, Line};
use switchboard::transport::PeerAddress;
use switchboard::{
    Call, Client, Code, Command, Connection, Context, Endpoint, Error, Fault, IntoError, Limits,
    Notification, Report, Result, blocking, transport, with_state,
};

use super::support::*;

type Text = Command<String, String, Line>;

const X: Text = Command::new("X");

/// A handler answers `X`.
macro_rules! check_shape {
    ($handler:expr) => {
        check(&Endpoint::new().on(X, $handler), "X 1 1 f=line\na", "<1 ok 2\nab").await
    };
}

struct State(&'static str);

impl State {
    async fn add(self: Arc<Self>, text: String) -> Result<String> {
        Ok(text + self.0)
    }

    async fn add_in(self: Arc<Self>, text: String, _context: Context) -> Result<String> {
        Ok(text + self.0)
    }

    fn add_blocking(self: Arc<Self>, text: String) -> Result<String> {
        Ok(text + self.0)
    }

    fn add_blocking_in(self: Arc<Self>, text: String, context: Context) -> Result<String, String> {
        if context.is_cancelled() { Err("cancelled".to_owned()) } else { Ok(text + self.0) }
    }
}

#[tokio::test(start_paused = true)]
async fn every_shape_of_handler_answers() {
    async fn alone(text: String) -> Result<String> {
        Ok(text + "b")
    }
    async fn in_context(text: String, context: Context) -> anyhow::Result<String> {
        anyhow::ensure!(context.command() == "X");
        Ok(text + "b")
    }
    fn blocks(text: String) -> std::io::Result<String> {
        Ok(text + "b")
    }
    fn blocks_in_context(text: String, context: Context) -> Result<String, &'static str> {
        if context.is_cancelled() { Err("cancelled") } else { Ok(text + "b") }
    }
    let state = Arc::new(State("b"));
    check_shape!(alone);
    check_shape!(in_context);
    check_shape!(blocking(blocks));
    check_shape!(blocking(blocks_in_context));
    check_shape!(blocking(|text: String| Ok::<_, String>(text + "b")));
    check_shape!(with_state(&state, State::add));
    check_shape!(with_state(&state, State::add_in));
    check_shape!(with_state(&state, blocking(State::add_blocking)));
    check_shape!(with_state(&state, blocking(State::add_blocking_in)));
    check_shape!(|text: String| async move { Ok::<_, Error>(text + "b") });
    check_shape!(|text: String, _: Context| async move { Ok::<_, String>(text + "b") });
    check_shape!(async |text: String| Ok::<_, Error>(text + "b"));
    check_shape!(async |text: String, _: Context| Ok::<_, Error>(text + "b"));
    check_shape!(|text: String| std::future::ready(Ok::<_, Error>(text + "b")));
}

#[tokio::test(start_paused = true)]
async fn only_our_own_errors_cross_the_wire() {
    let denied = || Error::new(Code::Denied, "not you");
    check_failure(denied, Code::Denied, "not you").await;
    check_failure(|| Error::new(Code::TooLarge, ""), Code::TooLarge, "").await;
    check_failure(move || denied().with_source("secret"), Code::Denied, "not you").await;
    let failed = "the handler failed";
    check_failure(|| Error::new(Code::Disconnected, "secret"), Code::Failed, failed).await;
    check_failure(|| anyhow::anyhow!("secret"), Code::Failed, failed).await;
    check_failure(move || anyhow::Error::from(denied()), Code::Failed, failed).await;
    check_failure(|| std::io::Error::other("secret"), Code::Failed, failed).await;
    check_failure(|| Error::from(std::io::Error::other("secret")), Code::Failed, failed).await;
    check_failure(|| "secret", Code::Failed, failed).await;
    check_failure(|| "secret".to_owned(), Code::Failed, failed).await;
    let long = "é".repeat(3000);
    check_failure(move || Error::new(Code::Failed, long.clone()), Code::Failed, &"é".repeat(2048))
        .await;
}

async fn check_failure<E, Kind: 'static>(
    error: impl Fn() -> E + Clone + Send + Sync + 'static,
    code: Code,
    text: &str,
) where
    E: IntoError<Kind> + Send + 'static,
{
    let (kept, late) = (error.clone(), error.clone());
    let endpoint = Endpoint::new()
        .on(X, move |_: String| std::future::ready(Err::<String, _>(error())))
        .on(Text::new("BLOCKING"), blocking(move |_: String| Err::<String, _>(kept())))
        .on(Text::new("LATE"), move |_: String| {
            let late = late.clone();
            async move {
                tokio::task::yield_now().await;
                Err::<String, _>(late())
            }
        });
    check(&endpoint, "X 1 0 f=line\n", &ran(1, code, text)).await;
    check(&endpoint, "BLOCKING 1 0 f=line\n", &ran(1, code, text)).await;
    check(&endpoint, "LATE 1 0 f=line\n", &ran(1, code, text)).await;
    check(&endpoint, "X\n\n", &ran(0, code, text)).await;
}

/// Panics when it is decoded, encoded or dropped, as it says.
#[derive(Debug)]
struct Bomb(String);

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert_ne!(text, "decode", "a panic on purpose");
        Ok(Self(text))
    }
}

impl Serialize for Bomb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, "encode", "a panic on purpose");
        self.0.serialize(serializer)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_ne!(self.0, "drop", "a panic on purpose");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_call_and_nothing_else() {
    const BOMB: Command<Bomb, Bomb, format::Json> = Command::new("BOMB");
    async fn bomb(bomb: Bomb) -> Result<Bomb> {
        match bomb.0.as_str() {
            "at once" => panic!("a panic on purpose"),
            "later" => {
                tokio::task::yield_now().await;
                panic!("a panic on purpose")
            }
            _ => Ok(bomb),
        }
    }
    fn no_future(_: String) -> std::future::Ready<Result<String>> {
        panic!("a panic on purpose")
    }
    fn blocks(_: String) -> Result<String> {
        panic!("a panic on purpose")
    }
    let held = Held::new();
    let endpoint = held
        .on(endpoint())
        .on(BOMB, bomb)
        .on(X, no_future)
        .on(Text::new("BLOCKS"), blocking(blocks));
    let calls = [
        "BOMB 2 9 f=json\n\"at once\"",
        "BOMB 2 7 f=json\n\"later\"",
        "BOMB 2 8 f=json\n\"decode\"",
        "BOMB 2 8 f=json\n\"encode\"",
        "BOMB 2 6 f=json\n\"drop\"",
        "X 2 0 f=line\n",
        "BLOCKS 2 0 f=line\n",
    ];
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\nh").await;
    for call in calls {
        peer.send(call).await;
        assert_eq!(peer.expect_ran(2, Code::Panicked).await, "the handler panicked", "{call:?}");
        peer.send("ECHO 3 1 f=line\nx").await;
        peer.expect("<3 ok 1\nx").await;
    }
    held.release(1);
    peer.expect("<1 ok 1\nh").await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_registers_and_removes_others_while_serving() {
    const ADD_ONE: Text = Command::new("ADD_ONE");
    const REMOVE: Text = Command::new("REMOVE");
    let endpoint = Endpoint::new();
    let inner = endpoint.clone();
    let outer = endpoint.clone();
    let endpoint = endpoint
        .on(ADD_ONE, move |text: String| {
            inner.add(X, async |text: String| Ok::<_, Error>(text + "!")).unwrap();
            std::future::ready(Ok::<_, Error>(text))
        })
        .on(REMOVE, move |name: String| {
            std::future::ready(Ok::<_, Error>(outer.remove(&name).to_string()))
        });
    let mut peer = peer(&endpoint);
    peer.send("X 1 1 f=line\na").await;
    peer.expect_error(1, Code::UnknownCommand).await;
    peer.send("ADD_ONE 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;
    peer.send("X 1 1 f=line\na").await;
    peer.expect("<1 ok 2\na!").await;
    peer.send("REMOVE 1 1 f=line\nX").await;
    peer.expect("<1 ok 4\ntrue").await;
    peer.send("REMOVE 1 1 f=line\nX").await;
    peer.expect("<1 ok 5\nfalse").await;
    peer.send("X 1 1 f=line\na").await;
    peer.expect_error(1, Code::UnknownCommand).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_keeps_its_handler() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    assert!(endpoint.remove("HOLD"));
    held.release(1);
    peer.expect("<1 ok 1\na").await;
    peer.send("HOLD 1 1 f=line\na").await;
    peer.expect_error(1, Code::UnknownCommand).await;
}

/// What a removed handler owns may be dropped by whoever ends last, and may use the registry.
#[tokio::test(start_paused = true)]
async fn a_handler_may_use_the_registry_as_it_is_dropped() {
    struct Leaves(Endpoint);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.0.remove("ECHO");
        }
    }
    let endpoint = endpoint();
    let leaves = Leaves(endpoint.clone());
    let endpoint = endpoint.on(X, move |text: String| {
        let _kept = &leaves;
        std::future::ready(Ok::<_, Error>(text))
    });
    endpoint.remove("X");
    check(
        &endpoint,
        "ECHO 1 0 f=line\nADD 2 2\n\u{1}\u{1}",
        &format!(
            "{}<2 ok 1\n\u{2}",
            err(1, Code::UnknownCommand, "there is no command ECHO; ? lists them")
        ),
    )
    .await;
}

#[test]
fn a_name_is_never_taken_over() {
    let endpoint = endpoint();
    let error = endpoint.add(ECHO, async |_: String| Ok::<_, Error>("b".into())).unwrap_err();
    let text = "a handler is registered under ECHO already";
    assert_eq!((error.code(), error.text()), (Code::Failed, text));
    let raw = async |_: &mut Connection| Ok::<_, Error>(());
    assert_eq!(endpoint.add_raw("ECHO", raw).unwrap_err().text(), text);

    let (again, again_raw) = (endpoint.clone(), endpoint.clone());
    let line = line!() + 1;
    check_panic(line, text, || drop(again.on(ECHO, async |text: String| Ok::<_, Error>(text))));
    let line = line!() + 1;
    check_panic(line, text, || drop(again_raw.on_raw("ECHO", raw)));
}

/// `work` panics with `text`, at `line` of this file.
fn check_panic(line: u32, text: &str, work: impl FnOnce()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().unwrap();
        kept.lock().unwrap().push((place.file().to_owned(), place.line()));
    }));
    let payload = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
    std::panic::set_hook(hook);
    assert_eq!(payload.downcast_ref::<String>().unwrap(), text);
    assert!(seen.lock().unwrap().contains(&(file!().to_owned(), line)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_handler_is_dropped_where_it_waits() {
    let held = Held::new();
    let mut peer = peer(&held.on(endpoint()));
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    peer.send(">1 cancel\n").await;
    assert_eq!(peer.expect_ran(1, Code::Cancelled).await, "the caller cancelled");
    held.ended.reach(1).await;
    peer.send(">1 cancel\n>9 cancel\nECHO 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;

    peer.send("HOLD 2 1 f=line\na").await;
    held.begun.reach(2).await;
    peer.finish().await;
    drop(peer);
    held.ended.reach(2).await;
}

#[tokio::test]
async fn a_blocking_handler_learns_that_nobody_waits() {
    let (begun, stopped) = (Count::default(), Count::default());
    let (starts, stops) = (begun.clone(), stopped.clone());
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let spin = move |text: String, context: Context| {
        starts.add();
        while !context.is_cancelled() && !over.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        stops.add();
        Ok::<_, Error>(text)
    };
    let mut peer = peer(&endpoint().on(X, blocking(spin)));
    peer.send("X 1 1 f=line\na").await;
    begun.reach(1).await;
    peer.send("ECHO 2 1 f=line\nx").await;
    peer.expect("<2 ok 1\nx").await;
    assert_eq!(stopped.now(), 0);
    peer.send(">1 cancel\n").await;
    peer.expect_ran(1, Code::Cancelled).await;
    stopped.reach(1).await;
    is_over.store(true, Ordering::Relaxed);
    peer.send("X 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;
}

#[tokio::test(start_paused = true)]
async fn a_context_tells_who_calls_and_until_when() {
    async fn tell(_: String, context: Context) -> Result<String> {
        let left = context.time_left();
        let until = context.deadline() - tokio::time::Instant::now().into_std();
        assert_eq!(left, until);
        assert!(!context.is_cancelled());
        Ok(format!(
            "{} {left:?} {:?} {} {}",
            context.command(),
            context.trace().map(|trace| trace.to_string()),
            context.is_one_way(),
            context.peer(),
        ))
    }
    let endpoint = Endpoint::new().on(X, tell);
    let check = async |sent: &str, expected: &str| {
        let expected = format!("<1 ok {}\n{expected}", expected.len());
        check(&endpoint, sent, &expected).await;
    };
    check("X 1 0 f=line\n", "X 30s None false unknown").await;
    check("X 1 0 f=line t=250\n", "X 250ms None false unknown").await;
    check("X 1 0 f=line t=18446744073709551615\n", "X 30s None false unknown").await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = format!("X 1 0 f=line trace={trace}\n");
    check(&sent, &format!("X 30s Some(\"{trace}\") false unknown")).await;
    for bad in ["", "x", "00-1", &trace.to_uppercase(), &"x".repeat(5000)] {
        let sent = format!("X 1 0 f=line trace={bad}\n");
        check(&sent, "X 30s None false unknown").await;
    }
    super::support::check(&endpoint, "X\n\n", "X 30s None false unknown\n").await;

    let (listener, dialer) = transport::memory_listener();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let client = Endpoint::new().connect_over(dialer.dial().await.unwrap());
    let told = client.call(X, &String::new()).timeout(Duration::from_secs(1)).await.unwrap();
    assert_eq!(told, "X 1s None false memory");
    assert_eq!(client.peer().address(), PeerAddress::Unknown);
}

#[cfg(unix)]
#[tokio::test]
async fn a_context_tells_the_user_behind_a_unix_socket() {
    let file = format!("switchboard-{}-peer.sock", std::process::id());
    let path = std::env::temp_dir().join(file);
    let address = format!("unix:{}", path.display());
    let listener = transport::bind(&address).await.unwrap();
    let endpoint = Endpoint::new().on(X, async |_: String, context: Context| {
        Ok::<_, Error>(context.peer().credentials().unwrap().pid.unwrap().to_string())
    });
    tokio::spawn(async move { endpoint.serve(listener).await });
    let client = Client::connect(&address).await.unwrap();
    let pid = client.call(X, &String::new()).await.unwrap();
    assert_eq!(pid, std::process::id().to_string());
    std::fs::remove_file(path).unwrap();
}

/// Fails to compile where a type is not what it must be.
#[test]
fn everything_public_goes_between_threads() {
    const fn is_shared<T: Send + Sync + 'static>() {}
    const fn is_sent<T: Send>(_: &T) {}
    is_shared::<Client>();
    is_shared::<Endpoint>();
    is_shared::<Context>();
    is_shared::<Error>();
    is_shared::<(Code, Fault, Limits, Report)>();
    is_shared::<Command<std::cell::Cell<u8>, *const u8, Line>>();
    is_shared::<switchboard::WithState<u8, fn()>>();
    is_shared::<switchboard::Blocking<fn()>>();
    is_shared::<transport::Peer>();
    is_shared::<transport::Address>();
    is_shared::<transport::MemoryListener>();
    is_shared::<transport::MemoryDialer>();
    is_shared::<transport::MemoryStream>();
    is_shared::<switchboard::session::Session>();
    is_shared::<switchboard::wire::Decoder>();
    is_shared::<switchboard::wire::Outbox>();
    is_shared::<Notification>();
    is_shared::<Call<u8>>();
    const fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_error::<Error>();
    is_error::<switchboard::wire::Flaw>();
    is_error::<switchboard::session::Violation>();
    // Of bytes that only one task may read.
    const fn is_moved<T: Send + 'static>() {}
    is_moved::<Connection>();

    let futures = |endpoint: Endpoint, client: Client, mut connection: Connection| {
        is_sent(&endpoint.listen("a"));
        is_sent(&endpoint.connect("a"));
        is_sent(&endpoint.serve(transport::memory_listener().0));
        is_sent(&endpoint.serve_until(transport::memory_listener().0, async {}));
        is_sent(&endpoint.serve_stream(transport::memory().0));
        is_sent(&client.closed());
        is_sent(&client.close());
        is_sent(&Client::connect("a"));
        is_sent(&Connection::connect("a"));
        is_sent(&connection.read_line());
        is_sent(&connection.read_bytes(1));
        is_sent(&connection.read_value::<Line, String>());
        is_sent(&connection.write_line("a"));
        is_sent(&connection.write_value::<Line, String>(&String::new()));
        is_sent(&connection.finish());
    };
    let _ = futures;
}

/// What an error owns is dropped when nothing is locked.
#[tokio::test(start_paused = true)]
async fn an_error_may_own_what_looks_at_its_connection() {
    struct Looks(Context);
    impl std::fmt::Debug for Looks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Looks")
        }
    }
    impl std::fmt::Display for Looks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("looks")
        }
    }
    impl std::error::Error for Looks {}
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(!self.0.client().is_closed());
        }
    }
    let endpoint = endpoint().on(X, async |_: String, context: Context| {
        Err::<String, _>(Box::<dyn std::error::Error + Send + Sync>::from(Looks(context)))
    });
    check(
        &endpoint,
        "X 1 0 f=line\nECHO 2 1 f=line\na",
        "<1 err 18 failed ran=1\nthe handler failed<2 ok 1\na",
    )
    .await;
}

/// Code of a user that panics where nobody expects it.
#[tokio::test(start_paused = true)]
async fn a_text_or_a_panic_that_panics_ends_one_call() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    impl std::error::Error for Unspeakable {}
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("and again")
            }
        }
    }
    let endpoint = endpoint().on(X, async |text: String| {
        if text == "panic" {
            std::panic::panic_any(Again);
        }
        Err::<String, _>(Box::<dyn std::error::Error + Send + Sync>::from(Unspeakable))
    });
    let sent = "X 1 5 f=line\npanicX 2 0 f=line\nECHO 3 1 f=line\na";
    let expected = "<1 err 20 panicked ran=1\nthe handler panicked\
                    <2 err 18 failed ran=1\nthe handler failed<3 ok 1\na";
    check(&endpoint, sent, expected).await;
}
