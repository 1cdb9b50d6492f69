//! A command's own facts in the place of limits, where a Go program calls it.

use std::time::Duration;

use switchboard::format::Gob;
use switchboard::{Code, Command, Error, Limits};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::caller::Caller;
use crate::endpoint::{Args, dial_limited, endpoint};

const LARGE: Command<String, String, Gob> = Command::new("Echo.Large").payload_bytes_max(20_000);
const SMALL: Command<String, String, Gob> = Command::new("Echo.Small").payload_bytes_max(100);
const SAME: Command<String, String, Gob> = Command::new("Echo.Same");
const PATIENT: Command<i64, i64, Gob> =
    Command::new("Echo.Patient").timeout(Duration::from_secs(300));

type Go = Caller<switchboard::transport::MemoryStream>;

/// A Go program whose payloads may have 1000 bytes, but for some commands.
fn go() -> (Go, impl Future<Output = Error>) {
    async fn echo(text: String) -> Result<String, Error> {
        Ok(text)
    }
    async fn patient(seconds: i64) -> Result<i64, Error> {
        sleep(Duration::from_secs(seconds.unsigned_abs())).await;
        Ok(seconds)
    }
    let endpoint = endpoint().on(LARGE, echo).on(SMALL, echo).on(SAME, echo).on(PATIENT, patient);
    let (go, ended) = dial_limited(&endpoint, |limits: &mut Limits| {
        limits.payload_bytes_max = 1000;
        limits.body_time_max = Duration::from_secs(10);
    });
    (go, async move { ended.await.unwrap().unwrap_err() })
}

/// Of these many bytes are text and request; what comes back, or the text of the error. Either way
/// the connection goes on.
async fn check(method: &str, bytes: usize, expected: Result<(), &str>) {
    let (mut go, _ended) = go();
    let text = "x".repeat(bytes);
    go.send(method, &text).await;
    let reply = go.answer().await.reply::<String>();
    match expected {
        Ok(()) => {
            assert_eq!(reply, Ok(text), "{method} {bytes}");
            // What comes behind it is bound as before.
            go.send("Echo.Same", &"y".repeat(1100)).await;
            let error = go.answer().await.reply::<String>().unwrap_err();
            assert!(error.ends_with("over payload_bytes_max (1000)"), "{error}");
        }
        Err(text) => {
            let error = reply.unwrap_err();
            assert!(error.ends_with(text), "{method} {bytes}: {error}");
        }
    }
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
}

#[tokio::test(start_paused = true)]
async fn an_argument_may_be_as_large_as_its_command_says() {
    check("Echo.Large", 19_900, Ok(())).await;
    check("Echo.Large", 20_100, Err("over payload_bytes_max of its command (20000)")).await;
    check("Echo.Small", 90, Ok(())).await;
    check("Echo.Small", 110, Err("over payload_bytes_max of its command (100)")).await;
    check("Echo.Same", 990, Ok(())).await;
    check("Echo.Same", 1100, Err("over payload_bytes_max (1000)")).await;
    check("Echo.Nothing", 1100, Err("over payload_bytes_max (1000)")).await;
}

/// They are the peer's to send once, and have a limit of their own.
#[tokio::test(start_paused = true)]
async fn definitions_are_no_part_of_an_argument() {
    const SUM: Command<Args, i64, Gob> = Command::new("Echo.Sum").payload_bytes_max(10);
    let sum = async |args: Args| Ok::<_, Error>(args.a + args.b);
    for payload_bytes_max in [35, 1000] {
        let (mut go, _ended) = dial_limited(&endpoint().on(SUM, sum), |limits| {
            limits.payload_bytes_max = payload_bytes_max;
        });
        // With them (39 bytes), then without.
        for method in ["Echo.Sum", "Echo.Sum", "Arith.Multiply", "Arith.Multiply"] {
            go.send(method, &Args { a: 2, b: 2 }).await;
            assert_eq!(go.answer().await.reply(), Ok(4_i64), "{method} {payload_bytes_max}");
        }
        go.send("Echo.Sum", &Args { a: 1 << 40, b: 2 }).await;
        let text = go.answer().await.reply::<i64>().unwrap_err();
        let expected = "a payload of 14 bytes is over payload_bytes_max of its command (10)";
        assert_eq!(text, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_argument_has_more_time_and_others_have_not() {
    check_time("Echo.Large", 200, "body_time_max of its command (200s)").await;
    check_time("Echo.Small", 10, "body_time_max (10s)").await;
    check_time("Echo.Same", 10, "body_time_max (10s)").await;
}

/// The end of the argument does not come; after so many seconds that is too slow.
async fn check_time(method: &str, seconds: u64, text: &str) {
    // A whole call before it counts for nothing.
    let (mut go, ended) = go();
    go.send("Echo.Large", &"x".repeat(5000)).await;
    go.answer().await.reply::<String>().unwrap();
    let call = go.encode(method, &"x".repeat(80));
    go.stream.write_all(&call[..call.len() - 1]).await.unwrap();
    let begun = Instant::now();
    let error = ended.await;
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.text().contains(text), "{method}: {error}");
    assert_eq!(begun.elapsed(), Duration::from_secs(seconds), "{method}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_as_long_as_its_command_says() {
    let (mut go, _ended) = go();
    go.send("Echo.Patient", &290_i64).await;
    assert_eq!(go.answer().await.reply(), Ok(290_i64));
    go.send("Echo.Patient", &310_i64).await;
    let text = "the handler did not answer within the timeout of its command (300s)";
    assert_eq!(go.answer().await.reply::<i64>(), Err(text.to_owned()));
    go.send("Arith.Slow", &31_000_i64).await;
    let text = "the handler did not answer within call_time_max (30s)";
    assert_eq!(go.answer().await.reply::<i64>(), Err(text.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_be_as_large_as_its_command_says() {
    const MANY: Command<u64, String, Gob> = Command::new("Echo.Many").payload_bytes_max(20_000);
    let letters = async |count: u64| Ok::<_, Error>("x".repeat(usize::try_from(count).unwrap()));
    let endpoint = endpoint().on(MANY, letters);
    let (mut go, _ended) = dial_limited(&endpoint, |limits| limits.payload_bytes_max = 1000);
    for (method, count, expected) in [
        ("Echo.Many", 19_900, Ok(19_900)),
        ("Echo.Many", 20_000, Err("over payload_bytes_max of its command (20000)")),
        ("Echo.Letters", 1000, Err("over payload_bytes_max (1000)")),
    ] {
        go.send(method, &(count as u64)).await;
        let got = go.answer().await.reply::<String>().map(|text| text.len());
        match (got, expected) {
            (Err(got), Err(text)) => assert!(got.ends_with(text), "{got}"),
            (got, expected) => assert_eq!(got, expected.map_err(str::to_owned)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_endpoint_cannot_hold_is_refused_all_the_same() {
    const HUGE: Command<String, String, Gob> = Command::new("Echo.Huge").payload_bytes_max(1 << 30);
    let endpoint = endpoint().on(HUGE, async |text: String| Ok::<_, Error>(text));
    let (mut go, ended) = dial_limited(&endpoint, |limits| {
        limits.payload_bytes_max = 1000;
        limits.held_bytes_max = 100_000;
    });
    go.send("Echo.Huge", &"x".repeat(20_000)).await;
    assert_eq!(go.answer().await.reply::<String>().map(|text| text.len()), Ok(20_000));
    let call = go.encode("Echo.Huge", &"x".repeat(500_000));
    let write = tokio::spawn(async move {
        let _ = go.stream.write_all(&call).await;
        go
    });
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Overloaded);
    assert!(error.text().contains("held_bytes_max (100000)"), "{error}");
    write.abort();
}
