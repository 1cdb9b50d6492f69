//! Who is silent, slow or does not read, and calls that take long.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{Code, Limits, with_state};
use switchboard_testing::hex::from_hex;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::caller::FROM_GO;
use crate::endpoint::{HOLD, Hold, dial, dial_limited, endpoint};

#[tokio::test(start_paused = true)]
async fn what_is_not_read_need_not_hurry() {
    let body_time_max = Limits::default().body_time_max;
    let limits = |limits: &mut Limits| limits.calls_per_connection_max = 1;
    let (mut go, _ended) = dial_limited(&endpoint(), limits);
    // Read together, so that the call behind the slow one has begun to come.
    let mut slow = go.encode("Arith.Slow", &25_000_i64);
    slow.extend(go.encode("Arith.Slow", &1_i64));
    let rest = slow.split_off(slow.len() - 1);
    go.stream.write_all(&slow).await.unwrap();
    assert_eq!(go.answer().await.reply(), Ok(25_000_i64));
    sleep(body_time_max - Duration::from_secs(5)).await;
    go.stream.write_all(&rest).await.unwrap();
    assert_eq!(go.answer().await.reply(), Ok(1_i64));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut_off() {
    let (mut go, ended) = dial(&endpoint());
    let begun = tokio::time::Instant::now();
    go.send("Echo.Letters", &500_000_u64).await;
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.text().contains("write_time_max"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), Limits::default().write_time_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_or_slow_is_cut_off() {
    let limits = Limits::default();
    let (idle, body) = (limits.idle_time_max.as_secs(), limits.body_time_max.as_secs());
    let request = from_hex(FROM_GO[0]);
    // (what is sent, how many bytes a second, the limit that is passed, the seconds until then)
    let cases = [
        (&request[..0], 1, "idle_time_max", idle),
        (&request[..1], 1, "body_time_max", body),
        (&request[..68], 68, "body_time_max", body),
        (&request[..69], 69, "body_time_max", body),
        (&request[..], 1, "body_time_max", body),
    ];
    for (sent, pace, limit, seconds) in cases {
        let (mut go, ended) = dial(&endpoint());
        let begun = tokio::time::Instant::now();
        for piece in sent.chunks(pace) {
            // Fails when it has been cut off.
            let _ = go.stream.write_all(piece).await;
            sleep(Duration::from_secs(1)).await;
        }
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(error.text().contains(limit), "{error}, expected {limit}");
        let is_in_time = sent.len() > pace || begun.elapsed().as_secs() == seconds;
        assert!(is_in_time, "{limit} after {:?}", begun.elapsed());
    }
}

/// Together, since the second has begun as soon as the first has come.
#[tokio::test(start_paused = true)]
async fn header_and_argument_share_their_time() {
    // (seconds of the header, of the argument)
    for (first, second) in [(25, 4), (10, 19), (25, 15), (10, 29)] {
        let (mut go, ended) = dial(&endpoint());
        let call = go.encode("Arith.Slow", &1_i64);
        let begun = tokio::time::Instant::now();
        let argument = call.len() - 4;
        go.stream.write_all(&call[..10]).await.unwrap();
        sleep(Duration::from_secs(first)).await;
        go.stream.write_all(&call[10..=argument]).await.unwrap();
        sleep(Duration::from_secs(second)).await;
        let _ = go.stream.write_all(&call[argument + 1..]).await;
        if first + second < Limits::default().body_time_max.as_secs() {
            assert_eq!(go.answer().await.reply(), Ok(1_i64), "{first} {second}");
            continue;
        }
        let error = ended.await.unwrap().unwrap_err();
        assert!(error.text().contains("body_time_max (30s)"), "{error}");
        assert!(begun.elapsed().as_secs() < first + second + 1);
    }
}

/// A request that comes too slowly does no harm to the calls before it, and answers that nobody
/// reads end them.
#[tokio::test(start_paused = true)]
async fn calls_under_way_outlive_a_slow_request_and_not_a_slow_reader() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let limits = |limits: &mut Limits| limits.body_time_max = Duration::from_secs(5);
    let (mut go, ended) = dial_limited(&endpoint, limits);
    go.send("Hold.On", &1_i64).await;
    hold.wait_for(1).await;
    // The beginning of a message, which is given up after five seconds.
    go.stream.write_all(&[20]).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert!(!ended.is_finished());
    hold.let_go(1);
    assert_eq!(go.answer().await.reply(), Ok(1_i64));
    let error = ended.await.unwrap().unwrap_err();
    assert!(error.text().contains("body_time_max (5s)"), "{error}");

    let (mut go, ended) = dial(&endpoint);
    go.send("Hold.On", &2_i64).await;
    hold.wait_for(2).await;
    go.send("Echo.Letters", &500_000_u64).await;
    let error = ended.await.unwrap().unwrap_err();
    assert!(error.text().contains("write_time_max"), "{error}");
    hold.wait_for_stopped(1).await;
}

#[tokio::test(start_paused = true)]
async fn answers_give_a_slow_request_no_more_time() {
    let (mut go, ended) = dial(&endpoint());
    let begun = tokio::time::Instant::now();
    for milliseconds in [10_000_i64, 20_000] {
        go.send("Arith.Slow", &milliseconds).await;
    }
    go.stream.write_all(&from_hex("13ff82")).await.unwrap();
    for milliseconds in [10_000_i64, 20_000] {
        assert_eq!(go.answer().await.reply(), Ok(milliseconds));
    }
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), Limits::default().body_time_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_is_not_idle() {
    let (mut go, ended) =
        dial_limited(&endpoint(), |limits| limits.idle_time_max = Duration::from_secs(3));
    go.send("Arith.Slow", &20_000_i64).await;
    assert_eq!(go.answer().await.reply(), Ok(20_000_i64));
    assert!(go.answer_or_end().await.is_none());
    // Whichever noticed first, this connection or the session behind it.
    let code = ended.await.unwrap().unwrap_err().code();
    assert!(matches!(code, Code::DeadlineExceeded | Code::ShuttingDown), "{code}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_answered() {
    let (mut go, _) = dial(&endpoint());
    go.send("Arith.Slow", &3_600_000_i64).await;
    let text = go.answer().await.reply::<i64>().unwrap_err();
    assert!(text.contains("call_time_max") || text == "deadline_exceeded", "{text}");
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
}
