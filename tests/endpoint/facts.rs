//! What a command says of itself stands in the place of limits: for its own calls alone, wherever
//! they come in. How they go out is in `facts_asked`.

use std::time::Duration;

use bytes::Bytes;
use switchboard::format::{self, Json, Line};
use switchboard::service::{Request, Service};
use switchboard::{Code, Command, Endpoint, Error, Limits};
use tokio::time::{Instant, sleep};

use super::support::*;

const LARGE: Command<String, String, Line> = Command::new("LARGE").payload_bytes_max(16);
const SMALL: Command<String, String, Line> = Command::new("SMALL").payload_bytes_max(4);
const COUNTED: Command<Bytes, Bytes, format::Bytes> = Command::new("COUNTED").payload_bytes_max(16);
const MANY: Command<usize, String, Json> = Command::new("MANY").payload_bytes_max(16);
const FEW: Command<usize, String, Json> = Command::new("FEW").payload_bytes_max(4);

const SLEEP: Command<u64, (), Json> = Command::new("SLEEP");
const SLOW: Command<u64, (), Json> = Command::new("SLOW").timeout(Duration::from_secs(10));
const QUICK: Command<u64, (), Json> = Command::new("QUICK").timeout(SECOND);

/// 8 bytes for a payload and 2 s for a call, unless a command says otherwise.
fn endpoint() -> Endpoint {
    let limits = |limits: &mut Limits| {
        limits.payload_bytes_max = 8;
        limits.call_time_max = 2 * SECOND;
        limits.body_time_max = 10 * SECOND;
    };
    async fn letters(count: usize) -> Result<String, Error> {
        Ok("x".repeat(count))
    }
    async fn sleep_ms(ms: u64) -> Result<(), Error> {
        sleep(Duration::from_millis(ms)).await;
        Ok(())
    }
    limited(limits)
        .on(LARGE, async |text: String| Ok::<_, Error>(text))
        .on(SMALL, async |text: String| Ok::<_, Error>(text))
        .on(COUNTED, async |bytes: Bytes| Ok::<_, Error>(bytes))
        .on(MANY, letters)
        .on(FEW, letters)
        .on(SLEEP, sleep_ms)
        .on(SLOW, sleep_ms)
        .on(QUICK, sleep_ms)
}

/// One call in each way, of a command whose payloads are lines; the reply, or the error.
async fn check_sizes(name: &str, format: &str, payload: &str, expected: Result<&str, &str>) {
    let what = format!("{name} {payload:?}");
    let (tagged, plain, direct) = match expected {
        Ok(reply) => {
            (format!("<1 ok {}\n{reply}", reply.len()), format!("{reply}\n"), reply.to_owned())
        }
        Err(text) => {
            let line =
                text.replace("a payload of", "a line of").replace("bytes is", "bytes or more is");
            let is_read = name != "MANY" && name != "FEW" && name != "LETTERS";
            let line = if is_read { &line } else { text };
            // What is read is the request, and so refused; what is not is the reply.
            let error = if is_read { err } else { ran };
            (error(1, Code::TooLarge, text), error(0, Code::TooLarge, line), text.to_owned())
        }
    };
    let endpoint = endpoint();
    let sent = format!("{name} 1 {} f={format}\n{payload}ECHO 2 1 f=line\nx", payload.len());
    assert_eq!(exchange(&endpoint, sent).await, tagged + "<2 ok 1\nx", "tagged: {what}");
    let sent = format!("{name} {format}\n{payload}\n");
    assert_eq!(exchange(&endpoint, sent).await, plain, "plain: {what}");
    let request = || Request::new(name, payload.to_owned()).unwrap().with_format(format).unwrap();
    for answer in [endpoint.door().call(request()), Service::call(&endpoint, request())] {
        let got = answer.await;
        let got = got.map(|reply| show(reply.payload()));
        let got = got.unwrap_or_else(|error| {
            assert_eq!(error.code(), Code::TooLarge);
            error.text().to_owned()
        });
        assert_eq!(got, direct, "by a door: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_may_be_as_large_as_its_command_says() {
    let full = "0123456789abcdef";
    check_sizes("LARGE", "line", full, Ok(full)).await;
    let text = "a payload of 17 bytes is over payload_bytes_max of its command (16)";
    check_sizes("LARGE", "line", &format!("{full}g"), Err(text)).await;
    check_sizes("SMALL", "line", "0123", Ok("0123")).await;
    let text = "a payload of 5 bytes is over payload_bytes_max of its command (4)";
    check_sizes("SMALL", "line", "01234", Err(text)).await;
    // Its neighbour has what all have.
    check_sizes("ECHO", "line", "01234567", Ok("01234567")).await;
    let text = "a payload of 9 bytes is over payload_bytes_max (8)";
    check_sizes("ECHO", "line", "012345678", Err(text)).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_be_as_large_as_its_command_says() {
    check_sizes("MANY", "json", "14", Ok("\"xxxxxxxxxxxxxx\"")).await;
    let text = "a payload of 17 bytes is over payload_bytes_max of its command (16)";
    check_sizes("MANY", "json", "15", Err(text)).await;
    check_sizes("FEW", "json", "2", Ok("\"xx\"")).await;
    let text = "a payload of 5 bytes is over payload_bytes_max of its command (4)";
    check_sizes("FEW", "json", "3", Err(text)).await;
    check_sizes("LETTERS", "json", "6", Ok("\"xxxxxx\"")).await;
    let text = "a payload of 9 bytes is over payload_bytes_max (8)";
    check_sizes("LETTERS", "json", "7", Err(text)).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_command_loosens_nothing_for_others() {
    let over = "a payload of 9 bytes is over payload_bytes_max (8)";
    let line = "a line of 9 bytes or more is over payload_bytes_max (8)";
    let check = async |sent: &str, expected: String| check(&endpoint(), sent, &expected).await;
    // A name that is none.
    check("NOPE 1 9\n123456789", err(1, Code::TooLarge, over)).await;
    // What comes behind it.
    let large = "<1 ok 10\n0123456789".to_owned();
    check(
        "LARGE 1 10 f=line\n0123456789ECHO 2 9 f=line\n123456789",
        large + &err(2, Code::TooLarge, over),
    )
    .await;
    let plain = "0123456789\n".to_owned();
    check("LARGE\n0123456789\nECHO\n123456789\n", plain + &err(0, Code::TooLarge, line)).await;
    let plain = "0123456789\n".to_owned();
    check("LARGE\n0123456789\nSTRING\n123456789\n", plain + &ran(0, Code::TooLarge, line)).await;
    check("COUNTED\n10\n0123456789ECHO 2 1 f=line\nx", "10\n0123456789<2 ok 1\nx".to_owned()).await;
    let text = "a payload of 17 bytes is over payload_bytes_max of its command (16)";
    check("COUNTED\n17\n", err(0, Code::TooLarge, text)).await;
    // A one-way call is taken or dropped, and nobody is told.
    check("LARGE 0 10 f=line\n0123456789ECHO 1 1 f=line\nx", "<1 ok 1\nx".to_owned()).await;
    // When it is gone it is a name like any other.
    let endpoint = endpoint();
    endpoint.remove("LARGE");
    let sent = "LARGE 1 9 f=line\n123456789";
    super::support::check(&endpoint, sent, &err(1, Code::TooLarge, over)).await;
}

#[tokio::test(start_paused = true)]
async fn a_small_command_counts_its_large_payloads_as_mistakes() {
    let limits = |limits: &mut Limits| limits.consecutive_errors_max = 1;
    let endpoint = limited(limits).on(SMALL, async |text: String| Ok::<_, Error>(text));
    let got = exchange(&endpoint, "SMALL 1 5 f=line\n01234".repeat(2)).await;
    assert!(got.contains("<0 err 53 protocol\n"), "{got}");
}

/// A call in each way that would take `ms`, of a caller who gives it so much time; when it ended,
/// and how.
async fn check_time(
    name: &str,
    ms: u64,
    time: Option<Duration>,
    expected: Result<(), &str>,
    ends_ms: u64,
) {
    let what = format!("{name} {ms} {time:?}");
    let option = time.map(|time| format!(" t={}", time.as_millis())).unwrap_or_default();
    let payload = ms.to_string();
    let tagged = async {
        let sent = format!("{name} 1 {} f=json{option}\n{payload}", payload.len());
        let got = exchange(&endpoint(), sent).await;
        let expected = match expected {
            Ok(()) => "<1 ok 4\nnull".to_owned(),
            Err(text) => ran(1, Code::DeadlineExceeded, text),
        };
        assert_eq!(got, expected, "tagged: {what}");
    };
    ends_after(&what, ends_ms, tagged).await;
    let plain = async {
        let got = exchange(&endpoint(), format!("{name}\n{payload}\n")).await;
        let expected = match expected {
            Ok(()) => "null\n".to_owned(),
            Err(text) => ran(0, Code::DeadlineExceeded, text),
        };
        assert_eq!(got, expected, "plain: {what}");
    };
    // Such a call cannot say how much time its caller has.
    if time.is_none() {
        ends_after(&what, ends_ms, plain).await;
    }
    let direct = async {
        let mut request = Request::new(name, payload.clone()).unwrap().with_format("json").unwrap();
        if let Some(time) = time {
            request = request.with_timeout(time);
        }
        let got = endpoint().door().call(request).await.map(|_| ());
        let text = got.as_ref().map_err(Error::text).copied();
        assert_eq!(text, expected, "by a door: {what}");
    };
    ends_after(&what, ends_ms, direct).await;
}

async fn ends_after(what: &str, ms: u64, work: impl Future<Output = ()>) {
    let begin = Instant::now();
    work.await;
    assert_eq!(begin.elapsed().as_millis(), u128::from(ms), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_as_long_as_its_command_says() {
    check_time("SLOW", 9000, None, Ok(()), 9000).await;
    let text = "the handler did not answer within the timeout of its command (10s)";
    check_time("SLOW", 11_000, None, Err(text), 10_000).await;
    check_time("QUICK", 900, None, Ok(()), 900).await;
    let text = "the handler did not answer within the timeout of its command (1s)";
    check_time("QUICK", 1100, None, Err(text), 1000).await;
    check_time("SLEEP", 1900, None, Ok(()), 1900).await;
    let text = "the handler did not answer within call_time_max (2s)";
    check_time("SLEEP", 2100, None, Err(text), 2000).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_have_less_time_than_the_command_and_never_gives_it_more() {
    let text = "the handler did not answer in time";
    check_time("SLOW", 9000, Some(5 * SECOND), Err(text), 5000).await;
    check_time("QUICK", 900, Some(SECOND / 2), Err(text), 500).await;
    let text = "the handler did not answer within the timeout of its command (10s)";
    check_time("SLOW", 11_000, Some(60 * SECOND), Err(text), 10_000).await;
    let text = "the handler did not answer within the timeout of its command (1s)";
    check_time("QUICK", 1500, Some(60 * SECOND), Err(text), 1000).await;
}

/// The time of a one-way call begins when it begins.
#[tokio::test(start_paused = true)]
async fn a_one_way_call_that_waited_has_the_time_of_its_command() {
    const HELD: Command<u64, (), Json> = Command::new("HELD").timeout(Duration::from_secs(10));
    let ended = Count::default();
    let (begun, count) = (Instant::now(), ended.clone());
    let endpoint = limited(|limits| {
        limits.calls_per_connection_max = 1;
        limits.call_time_max = 2 * SECOND;
    });
    let endpoint = endpoint.on(HELD, move |_: u64| {
        let guard = count.guard();
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), Error>>().await
        }
    });
    let mut peer = peer(&endpoint);
    peer.send("HELD 0 1 f=json\n1HELD 0 1 f=json\n1").await;
    ended.reach(1).await;
    assert_eq!(begun.elapsed(), 10 * SECOND);
    ended.reach(2).await;
    assert_eq!(begun.elapsed(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_large_body_has_more_time_and_others_have_not() {
    // 16 bytes are twice as many as 8.
    check_body("LARGE 1 16 f=line\n", 19, Ok("<1 ok 16\n0123456789abcdef")).await;
    check_body("COUNTED\n16\n", 19, Ok("16\n0123456789abcdef")).await;
    let text = "a body took longer than body_time_max of its command (20s)";
    check_body("LARGE 1 16 f=line\n", 21, Err((20, text))).await;
    let text = "the payload did not come within body_time_max of its command (20s)";
    check_body("COUNTED\n16\n", 21, Err((20, text))).await;
    let text = "a body took longer than body_time_max (10s)";
    check_body("ECHO 1 8 f=line\n", 11, Err((10, text))).await;
    check_body("SMALL 1 4 f=line\n", 11, Err((10, text))).await;
    // Behind one that had more.
    check_body("LARGE 1 10 f=line\n0123456789ECHO 2 8 f=line\n", 11, Err((10, text))).await;
    let text = "the payload did not come within body_time_max (10s)";
    check_body("ADD\n8\n", 11, Err((10, text))).await;
}

/// The body comes in two parts, with so many seconds between them.
async fn check_body(begin: &str, seconds: u32, expected: Result<&str, (u64, &str)>) {
    // The time of a call runs while its body comes.
    let limits = Limits::default().with(|limits| {
        limits.payload_bytes_max = 8;
        limits.call_time_max = 100 * SECOND;
        limits.body_time_max = 10 * SECOND;
    });
    let mut peer = peer(&endpoint().with_limits(limits));
    let begun = Instant::now();
    peer.send(format!("{begin}01")).await;
    settle().await;
    let ended = async {
        sleep(seconds * SECOND).await;
        std::future::pending::<()>().await;
    };
    match expected {
        Ok(reply) => {
            sleep(seconds * SECOND).await;
            peer.send("23456789abcdef").await;
            peer.expect_bytes(reply).await;
        }
        Err((after, text)) => {
            if begin.starts_with("LARGE 1 10 f=line") {
                peer.expect("<1 ok 10\n0123456789").await;
            }
            tokio::select! {
                got = peer.expect_error(0, Code::DeadlineExceeded) => assert_eq!(got, text),
                () = ended => unreachable!(),
            }
            assert_eq!(begun.elapsed(), Duration::from_secs(after), "{begin}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_decode_may_take_grows_with_the_payload_and_never_shrinks() {
    type Wide = Vec<Option<[u64; 32]>>;
    type Units = Vec<()>;
    const WIDE: Command<Wide, usize> = Command::new("WIDE");
    const WIDE_LARGE: Command<Wide, usize> = Command::new("WIDE_LARGE").payload_bytes_max(400);
    const WIDE_SMALL: Command<Wide, usize> = Command::new("WIDE_SMALL").payload_bytes_max(25);
    const UNITS: Command<Units, usize> = Command::new("UNITS");
    const UNITS_LARGE: Command<Units, usize> = Command::new("UNITS_LARGE").payload_bytes_max(400);
    const UNITS_SMALL: Command<Units, usize> = Command::new("UNITS_SMALL").payload_bytes_max(25);
    async fn wide(list: Wide) -> Result<usize, Error> {
        Ok(list.len())
    }
    async fn units(list: Units) -> Result<usize, Error> {
        Ok(list.len())
    }
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 100;
        limits.decode_bytes_max = 2048;
        limits.spare_elements_max = 8;
    })
    .on(WIDE, wide)
    .on(WIDE_LARGE, wide)
    .on(WIDE_SMALL, wide)
    .on(UNITS, units)
    .on(UNITS_LARGE, units)
    .on(UNITS_SMALL, units);
    let check = async |name: &str, count: u8, filler: &str, refused: &str| {
        let payload = format!("{}{}", char::from(count), filler.repeat(count.into()));
        let got = exchange(&endpoint, format!("{name} 1 {}\n{payload}", payload.len())).await;
        if refused.is_empty() {
            assert_eq!(got, format!("<1 ok 1\n{}", char::from(count)), "{name} {count}");
        } else {
            let is_refused = got.contains("too_large") && got.contains(refused);
            assert!(is_refused, "{name} {count}: {got}");
        }
        let request = Request::new(name, payload).unwrap();
        let got = endpoint.door().call(request).await;
        assert_eq!(got.is_ok(), refused.is_empty(), "{name} {count}: {got:?}");
    };
    check("WIDE", 7, "\0", "").await;
    check("WIDE", 16, "\0", "decode_bytes_max (2048)").await;
    check("WIDE_LARGE", 16, "\0", "").await;
    check("WIDE_LARGE", 64, "\0", "decode_bytes_max (8192)").await;
    check("WIDE_SMALL", 7, "\0", "").await;
    check("UNITS", 9, "", "").await;
    check("UNITS", 10, "", "spare_elements_max (8)").await;
    check("UNITS_LARGE", 33, "", "").await;
    check("UNITS_LARGE", 34, "", "spare_elements_max (32)").await;
    check("UNITS_SMALL", 9, "", "").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded_all_the_same() {
    const HUGE: Command<String, String, Line> =
        Command::new("HUGE").payload_bytes_max(isize::MAX.unsigned_abs());
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 1000;
        limits.held_bytes_max = 100_000;
    })
    .on(HUGE, async |text: String| Ok::<_, Error>(text));
    let large = "x".repeat(20_000);
    check(&endpoint, &format!("HUGE 1 20000 f=line\n{large}"), &format!("<1 ok 20000\n{large}"))
        .await;
    let huge = "x".repeat(200_000);
    let mut peer = peer(&endpoint);
    peer.send(format!("HUGE 1 200000 f=line\n{huge}")).await;
    let text = peer.expect_error(1, Code::Overloaded).await;
    assert!(text.contains("held_bytes_max (100000)"), "{text}");
    peer.send(format!("HUGE\n{huge}\n")).await;
    let text = peer.expect_error(0, Code::Overloaded).await;
    assert!(text.contains("held_bytes_max (100000)"), "{text}");
    let request = Request::new("HUGE", huge).unwrap().with_format("line").unwrap();
    let error = endpoint.door().call(request).await.unwrap_err();
    assert!(error.text().contains("held_bytes_max (100000)"), "{error}");
    assert_eq!(error.code(), Code::Overloaded);
    check_serves(&endpoint).await;
}

/// A gob says itself how long it is, wherever it stands.
#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn a_plain_gob_may_be_as_large_as_its_command_says() {
    let check = async |name: &str, letters: usize, text: &str| {
        let value = switchboard_gob::to_vec(&"x".repeat(letters)).unwrap();
        let sent = [format!("{name} gob\n").as_bytes(), &value, b"ECHO\nx\n"].concat();
        let got = exchange(&endpoint(), sent).await;
        if text.is_empty() {
            assert_eq!(got, show(&value) + "x\n", "{name} {letters}");
        } else {
            assert!(
                got.starts_with("<0 err ") && got.ends_with(&format!("{text}\n")),
                "{name} {letters}: {got}"
            );
        }
        // What comes behind it, in gob as well, is bound as before.
        let large = switchboard_gob::to_vec(&"x".repeat(8)).unwrap();
        let sent = [&b"LARGE gob\n"[..], &large, b"ECHO gob\n", &large].concat();
        let got = exchange(&endpoint(), sent).await;
        let text = "over payload_bytes_max (8)\n";
        assert!(got.starts_with(&show(&large)) && got.ends_with(text), "{got}");
    };
    // Four bytes stand before the letters.
    check("LARGE", 12, "").await;
    check("LARGE", 13, "over payload_bytes_max of its command (16)").await;
    check("SMALL", 0, "").await;
    check("SMALL", 1, "over payload_bytes_max of its command (4)").await;
    check("ECHO", 4, "").await;
    check("ECHO", 5, "over payload_bytes_max (8)").await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_listed_as_structures() {
    const PLAIN: Command<(), Option<Vec<u8>>> = Command::new("PLAIN");
    const TOLD: Command<String, (), Json> =
        Command::new("TOLD").about("Does it.").idempotent().timeout(SECOND).payload_bytes_max(7);
    assert_eq!(Endpoint::new().commands(), []);
    let endpoint = Endpoint::new()
        .on_raw("Z", async |_: &mut switchboard::Connection| Ok::<_, Error>(()))
        .on(PLAIN, async |(): ()| Ok::<_, Error>(None));
    endpoint.add_raw("A", async |_: &mut switchboard::Connection| Ok::<_, Error>(())).unwrap();
    let told = Command::<String, u8, Json>::new("PLAIN!");
    let endpoint = endpoint.on(told, async |_: String| Ok::<_, Error>(0));
    let commands = endpoint.commands();
    let names: Vec<_> = commands.iter().map(|command| &*command.name).collect();
    assert_eq!(names, ["A", "PLAIN", "PLAIN!", "Z"]);
    let [a, plain, ..] = &commands[..] else { unreachable!() };
    assert!(a.is_raw && a.formats.is_empty() && a.facts == PLAIN.facts());
    assert_eq!((&*a.request_type, &*a.reply_type), ("", ""));
    assert!(!plain.is_raw && plain.facts == PLAIN.facts());
    assert_eq!((&*plain.request_type, &*plain.reply_type), ("()", "Option<Vec<u8>>"));
    assert_eq!(plain.formats[..2], ["bincode", "json"]);
    // What a peer is told is made of them.
    let lines: String = commands.iter().map(|command| format!("{command}\n")).collect();
    check(&endpoint, "?\n", &lines).await;
    assert!(lines.starts_with("A raw\nPLAIN bincode,json"), "{lines}");

    endpoint.remove("A");
    let endpoint = endpoint.on(TOLD, async |_: String| Ok::<_, Error>(()));
    let commands = endpoint.commands();
    let told = commands.iter().find(|command| command.name == "TOLD").unwrap();
    assert_eq!(told.facts, TOLD.facts());
    let facts = told.facts;
    assert_eq!((facts.about(), facts.is_idempotent()), (Some("Does it."), true));
    assert_eq!((facts.timeout(), facts.payload_bytes_max()), (Some(SECOND), Some(7)));
    assert!(commands.iter().all(|command| command.name != "A"));
}
