//! What the library tells a handler, and what of it the caller learns when the handler hands it on.
//!
//! A caller trusts `overloaded` to mean that nothing was done. So an error that a handler was given
//! must not look like a refusal of the call that it answers.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard::format::{Budget, Format, Framing, Json};
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Limits, Result, blocking};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use super::support::*;

type Body = fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

const RUN: Command<(), (), Json> = Command::new("RUN");
const BLOCK: Command<(), (), Json> = Command::new("BLOCK");

/// A format of the user's own, which carries nothing.
enum Picky {}

impl Format<String> for Picky {
    const NAME: &'static str = "picky";
    const FRAMING: Framing = Framing::Line;

    fn encode(_: &String, _: &Limits, _: &mut BytesMut) -> Result<()> {
        Err(Error::new(Code::BadPayload, "secret"))
    }

    fn decode(_: Bytes, _: &Budget) -> Result<String> {
        Err(Error::new(Code::BadPayload, "secret"))
    }
}

/// Somebody else than the caller, who has these limits.
fn other(change: fn(&mut Limits)) -> (Client, MemoryStream) {
    let (here, there) = transport::memory();
    (Endpoint::new().with_limits(Limits::default().with(change)).connect_over(here), there)
}

/// A connection to somebody else, who has sent this.
async fn back_end(sent: &[u8], change: fn(&mut Limits)) -> (Connection, MemoryStream) {
    let (here, mut there) = transport::memory();
    there.write_all(sent).await.unwrap();
    (Connection::connect_over(here).with_limits(Limits::default().with(change)), there)
}

/// What goes wrong in a handler, and with which code the handler is told.
const WRONG: [(&str, Code, Body); 15] = [
    ("no room for a call of its own", Code::Overloaded, || {
        Box::pin(async {
            let (client, _there) = other(|limits| limits.held_bytes_max = 1);
            client.call(ECHO, &"x".repeat(100_000)).await.map(drop)
        })
    }),
    ("a value that the format cannot carry", Code::BadPayload, || {
        Box::pin(async {
            let (client, _there) = other(|_| ());
            client.call(ECHO, &"two\nlines".to_owned()).await.map(drop)
        })
    }),
    ("a value that a format of the user's cannot carry", Code::BadPayload, || {
        Box::pin(async {
            let (client, _there) = other(|_| ());
            client.call(Command::<String, String, Picky>::new("X"), &String::new()).await.map(drop)
        })
    }),
    ("a request over a limit of this side", Code::TooLarge, || {
        Box::pin(async {
            let (client, _there) = other(|limits| limits.payload_bytes_max = 9);
            client.call(ECHO, &"x".repeat(10)).await.map(drop)
        })
    }),
    ("a deadline of its own", Code::DeadlineExceeded, || {
        Box::pin(async {
            let (client, _there) = other(|_| ());
            client.call(ECHO, &String::new()).timeout(Duration::from_millis(1)).await.map(drop)
        })
    }),
    ("a callee that is full", Code::Overloaded, || {
        Box::pin(async {
            let full = async |_: ()| Err::<(), _>(Error::new(Code::Overloaded, "secret"));
            client(&Endpoint::new().on(RUN, full)).call(RUN, &()).await
        })
    }),
    ("a back end that is silent", Code::DeadlineExceeded, || {
        Box::pin(async {
            let quick = |limits: &mut Limits| limits.idle_time_max = Duration::from_millis(1);
            let (mut connection, _there) = back_end(b"", quick).await;
            connection.read_line().await.map(drop)
        })
    }),
    ("a line too long of a back end", Code::TooLarge, || {
        Box::pin(async {
            let (mut connection, _there) =
                back_end(b"abc\n", |limits| limits.payload_bytes_max = 2).await;
            connection.read_line().await.map(drop)
        })
    }),
    ("a line of a back end that is not UTF-8", Code::BadPayload, || {
        Box::pin(async {
            let (mut connection, _there) = back_end(b"\xff\n", |_| ()).await;
            connection.read_line().await.map(drop)
        })
    }),
    ("no room for what a back end sends", Code::Overloaded, || {
        Box::pin(async {
            let (mut connection, _there) =
                back_end(&[b'x'; 10_000], |limits| limits.held_bytes_max = 1).await;
            connection.read_bytes(10_000).await.map(drop)
        })
    }),
    ("a value of a back end that does not decode", Code::BadPayload, || {
        Box::pin(async {
            let (mut connection, _there) = back_end(b"secret\n", |_| ()).await;
            connection.read_value::<Json, u32>().await.map(drop)
        })
    }),
    ("a value of a back end that the user's format refuses", Code::BadPayload, || {
        Box::pin(async {
            let (mut connection, _there) = back_end(b"secret\n", |_| ()).await;
            connection.read_value::<Picky, String>().await.map(drop)
        })
    }),
    ("two lines for a back end", Code::BadPayload, || {
        Box::pin(async {
            let (mut connection, _there) = back_end(b"", |_| ()).await;
            connection.write_line("two\nlines").await
        })
    }),
    ("a payload that the handler decodes itself", Code::BadPayload, || {
        Box::pin(async {
            let budget = Budget::new(&Limits::default(), 6);
            let decoded: Result<u32> = Json::decode(Bytes::from_static(b"secret"), &budget);
            decoded.map(drop)
        })
    }),
    ("an error of the system", Code::Disconnected, || {
        Box::pin(async { Ok(Err(io::Error::other("secret"))?) })
    }),
];

#[tokio::test]
async fn what_the_library_tells_a_handler_is_not_told_to_its_caller() {
    for (what, code, body) in WRONG {
        assert_eq!(body().await.unwrap_err().code(), code, "{what}");
        check_kept(what, body).await;
    }
}

/// An error in such a handler is `failed` in each kind of call, and no mistake of the caller's.
async fn check_kept(what: &str, body: Body) {
    let endpoint = limited(|limits| limits.consecutive_errors_max = 2)
        .on(RUN, move |()| body())
        .on(BLOCK, blocking(move |()| Handle::current().block_on(body())))
        .on_raw("RAW", move |_: &mut Connection| body());
    let client = client(&endpoint);
    for command in [RUN, BLOCK] {
        for _ in 0..4 {
            let error = client.call(command, &()).await.unwrap_err();
            assert_eq!(
                (error.code(), error.text()),
                (Code::Failed, "the handler failed"),
                "{what}"
            );
            assert!(error.was_sent() && !error.is_safe_to_retry(), "{what}");
        }
        assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3, "{what}");
    }
    let failed = ran(0, Code::Failed, "the handler failed");
    check(&endpoint, "RUN\nnull\n", &failed).await;
    check(&endpoint, "RAW\n", &failed).await;
}

/// A person at netcat is told what is wrong with what they type, and nothing that looks like a
/// refusal once the handler has begun.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_lent_connection_is_told() {
    use Code::*;
    let line = "a line of 101 bytes or more is over payload_bytes_max (100)";
    check_lent("LINE", "x".repeat(101) + "\n", TooLarge, line).await;
    check_lent("LINE", "\u{0}\u{1}".to_owned(), BadPayload, "the stream ended in the middle").await;
    check_lent("BYTES", "x".repeat(9), BadPayload, "the stream ended in the middle").await;
    check_lent("LONG", "x".repeat(9), TooLarge, "a payload of 101 bytes is over payload_").await;
    check_lent("VALUE", "[]\n".to_owned(), BadPayload, "the payload is not valid json").await;
    check_lent("FULL", "x".repeat(9000), Failed, "over held_bytes_max (1)").await;
    // What the handler itself got wrong is no business of the caller's.
    check_lent("TWO", String::new(), Failed, "the handler failed").await;
    check_lent("MUCH", String::new(), TooLarge, "a payload of 102 bytes is over payload_").await;
}

async fn check_lent(command: &str, sent: String, code: Code, text: &str) {
    async fn line(connection: &mut Connection) -> Result<()> {
        connection.read_line().await.map(drop)
    }
    async fn bytes(connection: &mut Connection) -> Result<()> {
        connection.read_bytes(10).await.map(drop)
    }
    async fn long(connection: &mut Connection) -> Result<()> {
        connection.read_bytes(101).await.map(drop)
    }
    async fn value(connection: &mut Connection) -> Result<()> {
        connection.read_value::<Json, u32>().await.map(drop)
    }
    async fn two(connection: &mut Connection) -> Result<()> {
        connection.write_line("two\nlines").await
    }
    async fn much(connection: &mut Connection) -> Result<()> {
        connection.write_value::<Json, _>(&"x".repeat(100)).await
    }
    let limits = Limits::default().with(|limits| {
        let is_full = command == "FULL";
        limits.payload_bytes_max = if is_full { 10_000 } else { 100 };
        limits.held_bytes_max = if is_full { 1 } else { limits.held_bytes_max };
    });
    let endpoint = Endpoint::new()
        .with_limits(limits)
        .on_raw("LINE", line)
        .on_raw("FULL", line)
        .on_raw("BYTES", bytes)
        .on_raw("LONG", long)
        .on_raw("VALUE", value)
        .on_raw("TWO", two)
        .on_raw("MUCH", much);
    let mut peer = peer(&endpoint);
    peer.send(format!("{command}\n")).await;
    settle().await;
    peer.send(sent).await;
    peer.finish().await;
    let told = peer.expect_ran(0, code).await;
    assert!(told.contains(text), "{command}: {told}");
}

/// What its author says of the payload is no mistake of the caller's either: the limit is about
/// peers that guess, and it is the library that finds them out.
#[tokio::test(start_paused = true)]
async fn what_an_author_says_reaches_the_caller_and_does_not_count() {
    let says = |code| move |()| std::future::ready(Err::<(), _>(Error::new(code, "said")));
    for code in Code::ALL.iter().copied() {
        let endpoint = limited(|limits| limits.consecutive_errors_max = 2).on(RUN, says(code));
        let client = client(&endpoint);
        for _ in 0..4 {
            let error = client.call(RUN, &()).await.unwrap_err();
            let expected = if code.is_on_wire() { (code, "said") } else { (Code::Failed, "") };
            assert_eq!(error.code(), expected.0);
            assert!(error.text().starts_with(expected.1), "{error}");
            assert!(!error.is_safe_to_retry(), "{code} from a handler, which has begun");
        }
    }
}

/// A line that was written may have been acted upon, whatever comes of the answer.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_connection_is_not_safe_to_retry() {
    let (mut connection, there) = back_end(b"\xff\n", |_| ()).await;
    let error = connection.write_line("two\nlines").await.unwrap_err();
    assert!(error.is_safe_to_retry(), "nothing was written");
    connection.write_line("DO").await.unwrap();
    assert!(!connection.read_line().await.unwrap_err().is_safe_to_retry());
    let error = connection.read_line().await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::DeadlineExceeded, false));
    drop(there);
    let error = connection.write_line("DO").await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
}
