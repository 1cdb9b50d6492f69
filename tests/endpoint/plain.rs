//! Plain calls: the dialect for netcat, byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard::format::{Budget, Format, Framing};
use switchboard::{
    Client, Code, Command, Connection, Endpoint, Error, Limits, Result, transport, with_state,
};

use super::support::*;

#[tokio::test(start_paused = true)]
async fn transcripts() {
    let check = async |sent, expected| check(&endpoint(), sent, expected).await;
    check("STRING\nAdditional data.\n", "Thank you.\n").await;
    check("CHECK_STOCK json\n\"item1\"\n", "100\n").await;
    check("CHECK_STOCK json\r\n\"item1\"\r\n", "100\n").await;
    check("CHECK_STOCK\n6\n\u{5}item1", "1\nd").await;
    check("CHECK_STOCK bincode\r\n6\r\n\u{5}item1", "1\nd").await;
    check("ECHO\nhello\n", "hello\n").await;
    check("ECHO line\n\n", "\n").await;
    check("ECHO json\n\"a\\nb\"\n", "\"a\\nb\"\n").await;
    check("STRING\na\nECHO\nb\nCHECK_STOCK json\n\"item1\"\n", "Thank you.\nb\n100\n").await;
    check("", "").await;
}

#[tokio::test(start_paused = true)]
async fn plain_and_tagged_calls_are_mixed() {
    let sent = "ECHO 1 1 f=line\naECHO\nb\nECHO 2 1 f=line\ncSTRING\nd\nECHO 3 1 f=line\ne";
    check(&endpoint(), sent, "<1 ok 1\nab\n<2 ok 1\ncThank you.\n<3 ok 1\ne").await;
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_waits_for_the_replies_before_it() {
    let held = Held::new();
    let mut peer = peer(&held.on(endpoint()));
    peer.send("HOLD 1 1 f=line\naHOLD 2 1 f=line\nbECHO\nplain\nECHO 3 1 f=line\nc").await;
    held.begun.reach(2).await;
    settle().await;
    held.release(2);
    let mut first = [peer.next().await.unwrap(), peer.next().await.unwrap()];
    first.sort();
    assert_eq!(first, ["<1 ok 1\na", "<2 ok 1\nb"]);
    peer.expect_bytes("plain\n").await;
    peer.expect("<3 ok 1\nc").await;
}

/// However they end; one that comes when its connection is closing is none.
#[tokio::test(start_paused = true)]
async fn plain_calls_are_counted() {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving =
        tokio::spawn(async move { endpoint().serve_until(listener, stopped).await.unwrap() });
    for input in ["ECHO\na\nECHO\nb\n?\nSTRING\nx\n", "NOPE\n", "ECHO 1 1 f=line\na", ""] {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send(input).await;
        peer.finish().await;
        peer.rest().await;
    }
    drop(stop);
    let report = within(serving).await.unwrap();
    assert_eq!((report.plain_calls, report.calls_answered), (5, 1));
}

/// Where nobody knows the end of a payload, nothing in it is run.
#[tokio::test(start_paused = true)]
async fn what_has_no_known_end_closes_the_connection() {
    use Code::*;
    check_closes("NOPE", UnknownCommand, "there is no command NOPE; ? lists them").await;
    check_closes("NOPE json", UnknownCommand, "there is no command NOPE; ? lists them").await;
    check_closes("?nope", UnknownCommand, "there is no command ?nope; ? lists them").await;
    let text = "? speaks json, and lines if no format is named";
    check_closes("? xml", UnsupportedFormat, text).await;
    check_closes("ADD line", UnsupportedFormat, "this command speaks bincode and json").await;
    let text = "a raw command has no formats to choose from";
    check_closes("STRING json", UnsupportedFormat, text).await;
    check_closes("ADD json", BadPayload, "").await;
    check_closes(
        "ADD",
        BadPayload,
        "a payload of this format begins with its length, a decimal; a",
    )
    .await;
    check_closes(
        "ADD\n02\n\u{1}\u{2}",
        BadPayload,
        "a payload of this format begins with its length",
    )
    .await;
    check_closes(
        "ADD\n+2\n\u{1}\u{2}",
        BadPayload,
        "a payload of this format begins with its length",
    )
    .await;
    check_closes("ADD\n3\n\u{1}\u{2}\u{3}", BadPayload, "").await;
    let text = "a payload of 1048577 bytes is over payload_bytes_max (1048576)";
    check_closes("ADD\n1048577", TooLarge, text).await;
    check_closes("ECHO\n\u{0}", BadPayload, "the text is not one line: NUL at byte 0").await;
    check_closes("RAW_ERROR", Denied, "not you").await;
    check_closes("RAW_FOREIGN", Failed, "the handler failed").await;
    check_closes("RAW_PANIC", Panicked, "the handler panicked").await;
    check_closes("RAW_PANIC_LATER", Panicked, "the handler panicked").await;
}

async fn check_closes(sent: &str, code: Code, text: &str) {
    let endpoint = endpoint()
        .on_raw("RAW_ERROR", async |_: &mut Connection| {
            Err::<(), _>(Error::new(Code::Denied, "not you"))
        })
        .on_raw("RAW_FOREIGN", async |_: &mut Connection| Err::<(), _>("secret"))
        .on_raw("RAW_PANIC", |_: &mut Connection| -> std::future::Ready<Result<()>> { panic!() });
    async fn panic_later(connection: &mut Connection) -> Result<()> {
        tokio::task::yield_now().await;
        panic!("on purpose, over {connection:?}")
    }
    let endpoint = endpoint.on_raw("RAW_PANIC_LATER", panic_later);
    let (endpoint, canary) = with_canary(endpoint);
    let mut peer = peer(&endpoint);
    peer.send(format!("ECHO 1 1 f=line\na{sent}\nCANARY 9 0 f=line\nCANARY\nx\n")).await;
    peer.expect("<1 ok 1\na").await;
    let ran = sent.starts_with("RAW");
    let got = if ran { peer.expect_ran(0, code).await } else { peer.expect_error(0, code).await };
    assert!(got.starts_with(text), "{sent:?}: {got}");
    peer.expect_end().await;
    settle().await;
    assert_eq!(canary.now(), 0, "{sent:?}");
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_whole_payload_leaves_the_connection_open() {
    const FAIL: Command<String, String, switchboard::format::Line> = Command::new("FAIL");
    async fn fail(how: String) -> Result<String> {
        match how.as_str() {
            "denied" => Err(Error::new(Code::Denied, "not you")),
            "foreign" => Err(std::io::Error::other("secret")).map_err(|error| error.into()),
            "forever" => std::future::pending().await,
            _ => panic!("it was told to"),
        }
    }
    let endpoint = endpoint().on(FAIL, fail);
    let check = async |sent: &str, code, text| {
        let expected = ran(0, code, text) + "next\n";
        check(&endpoint, &format!("{sent}\nECHO\nnext\n"), &expected).await;
    };
    check("CHECK_STOCK json\n\"item2\"", Code::Failed, "no such item").await;
    check("FAIL\ndenied", Code::Denied, "not you").await;
    check("FAIL\nforeign", Code::Failed, "the handler failed").await;
    check("FAIL\npanic", Code::Panicked, "the handler panicked").await;
    let text = "the handler did not answer within call_time_max (30s)";
    check("FAIL\nforever", Code::DeadlineExceeded, text).await;
    let text = "a payload of 1048577 bytes is over payload_bytes_max (1048576)";
    check("LETTERS\n1048575", Code::TooLarge, text).await;
}

/// It owns the connection until it returns; what bounds it is the time of its reads and writes.
#[tokio::test(start_paused = true)]
async fn a_raw_handler_has_more_time_than_a_call() {
    async fn slow(connection: &mut Connection) -> Result<()> {
        tokio::time::sleep(600 * SECOND).await;
        connection.write_line("done").await
    }
    let endpoint = endpoint().on_raw("SLOW", slow);
    check(&endpoint, "SLOW\nECHO\nx\n", "done\nx\n").await;
}

/// The connection that was lost is another one.
#[tokio::test(start_paused = true)]
async fn an_error_from_somebody_else_is_told_and_costs_nothing() {
    let (client, there) = client_and_peer();
    drop(there);
    let far = |client: Client| {
        move |numbers: (u32, u32)| {
            let client = client.clone();
            async move { client.call(ADD, &numbers).await }
        }
    };
    let endpoint = Endpoint::new()
        .on(Command::<(u32, u32), u32>::new("FAR"), far(client))
        .on(ECHO, async |text: String| Ok::<_, Error>(text));
    let expected = ran(0, Code::Failed, "the handler failed") + "b\n";
    check(&endpoint, "FAR json\n[1,2]\nECHO\nb\n", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_in_a_payload_is_told_so() {
    let text = "the stream ended in the middle of a payload";
    check(&endpoint(), "ECHO\nhel", &err(0, Code::BadPayload, text)).await;
    check(&endpoint(), "ADD\n2\na", &err(0, Code::BadPayload, text)).await;
    let text = "the stream ended where a payload should be";
    check(&endpoint(), "ECHO\n", &err(0, Code::BadPayload, text)).await;
    let text = "the stream ended in the middle of a line or a body";
    check(&endpoint(), "ECHO", &err(0, Code::Protocol, text)).await;
    check(&endpoint(), "ECHO 1 5 f=line\nhel", &err(0, Code::Protocol, text)).await;
}

/// The time of a line ends with the line, in however many pieces it came.
#[tokio::test(start_paused = true)]
async fn a_plain_call_has_its_own_time() {
    let mut peer = peer(&endpoint());
    peer.send("ECH").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    peer.send("O\n").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    peer.send("x\nECH").await;
    peer.expect_bytes("x\n").await;
    // What was read ahead of a command is the beginning of a line, whose time runs.
    let text = peer.expect_error(0, Code::DeadlineExceeded).await;
    assert_eq!(text, "a line took longer than line_time_max (10s)");
}

#[tokio::test]
async fn after_a_half_close_every_reply_arrives() {
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let endpoint = endpoint();
    tokio::spawn(async move { endpoint.serve(listener).await });
    let sent: String = (1..=50).map(|tag| format!("LETTERS {tag} 5 f=json\n10000")).collect();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let got = exchange_over(stream, sent + "ECHO\nlast\n").await;
    let expected: String =
        (1..=50).map(|tag| format!("<{tag} ok 10002\n\"{}\"", "x".repeat(10_000))).collect();
    assert!(got == expected + "last\n", "{} bytes", got.len());
}

/// A raw handler that waits is polled when something came for it, and not all the time.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_payload_costs_nothing() {
    static POLLS: AtomicUsize = AtomicUsize::new(0);
    async fn wait(connection: &mut Connection) -> Result<()> {
        {
            let mut line = std::pin::pin!(connection.read_line());
            let counted = std::future::poll_fn(|cx| {
                POLLS.fetch_add(1, Ordering::Relaxed);
                line.as_mut().poll(cx)
            });
            counted.await?;
        }
        connection.write_line("done").await
    }
    let mut peer = peer(&endpoint().on_raw("WAIT", wait));
    peer.send("WAIT\nx").await;
    settle().await;
    // Woken from outside, after which a driver that wakes itself would never rest.
    peer.send("x").await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    peer.send("x\nECHO\nx\n").await;
    peer.expect_bytes("done\nx\n").await;
    let polls = POLLS.load(Ordering::Relaxed);
    assert!(polls < 20, "polled {polls} times");
}

#[tokio::test(start_paused = true)]
async fn a_raw_handler_may_have_shared_state() {
    async fn count(lines: Arc<AtomicUsize>, connection: &mut Connection) -> Result<()> {
        connection.read_line().await?;
        let number = lines.fetch_add(1, Ordering::Relaxed) + 1;
        connection.write_line(&number.to_string()).await
    }
    let lines = Arc::new(AtomicUsize::new(0));
    let endpoint = endpoint().on_raw("COUNT", with_state(&lines, count));
    check(&endpoint, "COUNT\na\nCOUNT\nb\n", "1\n2\n").await;
    assert_eq!(lines.load(Ordering::Relaxed), 2);
}

/// A format that says it ends at the line's end, and lies.
enum TwoLines {}

impl Format<String> for TwoLines {
    const NAME: &'static str = "twolines";
    const FRAMING: Framing = Framing::Line;

    fn encode(value: &String, _: &Limits, out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(format!("{value}\nCANARY").as_bytes());
        Ok(())
    }

    fn decode(payload: Bytes, _: &Budget) -> Result<String> {
        Ok(String::from_utf8_lossy(&payload).into_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_two_lines_is_refused_before_it_is_written() {
    const TWO: Command<String, String, TwoLines> = Command::new("TWO");
    let endpoint = endpoint().on(TWO, async |text: String| Ok::<_, Error>(text));
    // It is no mistake of the caller's, and the handler has run.
    let expected = ran(0, Code::Failed, "the handler failed") + "x\n";
    check(&endpoint, "TWO\nx\nECHO\nx\n", &expected).await;
}

/// Its payload was read as that command has it, and means nothing to another.
#[tokio::test(start_paused = true)]
async fn a_call_goes_to_the_command_that_was_there_when_its_line_came() {
    const COUNT: Command<u64, u64, switchboard::format::Json> = Command::new("ECHO");
    let endpoint = endpoint();
    let mut peer = peer(&endpoint);
    peer.send("ECHO\n12").await;
    settle().await;
    assert!(endpoint.remove("ECHO"));
    endpoint.add(COUNT, async |count: u64| Ok::<_, Error>(count + 1)).unwrap();
    peer.send("34\nECHO\n1234\n").await;
    peer.finish().await;
    peer.expect_bytes("1234\n1235\n").await;
}
