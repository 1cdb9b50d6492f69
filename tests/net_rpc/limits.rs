//! More than there may be: bytes, calls, mistakes, connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::{Code, Command, Limits, Result, transport, with_state};
use tokio::time::sleep;

use crate::caller::Caller;
use crate::endpoint::{HOLD, Hold, dial_limited, endpoint};

#[tokio::test]
async fn who_sends_too_much_is_told_why() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    let long = "x".repeat(1100);
    let call = go.send("Echo.Letters", &long).await;
    let answer = go.answer().await;
    assert_eq!(answer.seq, call);
    let text = answer.reply::<String>().unwrap_err();
    assert!(text.contains("1000"), "{text}");
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::TooLarge);
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_an_error_of_its_call() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    go.send("Echo.Letters", &2000_u64).await;
    let text = go.answer().await.reply::<String>().unwrap_err();
    assert!(text.contains("payload_bytes_max (1000)"), "{text}");
    go.send("Echo.Letters", &3_u64).await;
    assert_eq!(go.answer().await.reply(), Ok("xxx".to_owned()));
}

/// Over the 16 MiB and the 200 levels that the crate for gob allows by itself.
#[tokio::test]
async fn a_reply_is_as_large_and_as_deep_as_the_limits_were_raised_to() {
    #[derive(Serialize, Deserialize)]
    struct Lists(Vec<Self>);
    async fn deep(levels: u64) -> Result<Lists> {
        Ok((1..levels).fold(Lists(Vec::new()), |inner, _| Lists(vec![inner])))
    }
    const DEEP: Command<u64, Lists, Gob> = Command::new("Echo.Deep");
    let (mut go, _) = dial_limited(&endpoint().on(DEEP, deep), |limits| {
        limits.payload_bytes_max = 20 << 20;
        limits.depth_max = Limits::DEPTH_MOST;
    });
    for _ in 0..2 {
        go.send("Echo.Letters", &(17_u64 << 20)).await;
        assert!(go.answer().await.reply_bytes().unwrap() > 17 << 20);
        go.send("Echo.Deep", &500_u64).await;
        assert!(go.answer().await.reply_bytes().unwrap() > 500);
    }
    let (mut go, _) = dial_limited(&endpoint().on(DEEP, deep), |_| ());
    go.send("Echo.Deep", &63_u64).await;
    assert!(go.answer().await.reply_bytes().is_ok());
    go.send("Echo.Deep", &65_u64).await;
    assert_eq!(go.answer().await.reply_bytes(), Err("the handler failed"));
}

#[tokio::test]
async fn what_the_endpoint_cannot_hold_is_an_error_of_its_call() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| limits.held_bytes_max = 100_000);
    go.send("Echo.Letters", &200_000_u64).await;
    let text = go.answer().await.reply::<String>().unwrap_err();
    assert!(text.contains("held_bytes_max (100000)"), "{text}");
    // What was taken is given back.
    for _ in 0..50 {
        go.send("Echo.Letters", &20_000_u64).await;
        assert_eq!(go.answer().await.reply().map(|text: String| text.len()), Ok(20_000));
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_wait_for_the_peer_to_read_are_held() {
    let limits = |limits: &mut Limits| limits.held_bytes_max = 1_000_000;
    let (mut go, _ended) = dial_limited(&endpoint(), limits);
    // One after the other, so that each passes the session alone.
    for number in 0..100_u64 {
        go.send("Echo.Late", &number).await;
    }
    // All that can go on has gone on.
    sleep(Duration::from_secs(1)).await;
    let mut replied_bytes = 0;
    for _ in 0..100 {
        match go.answer().await.reply::<String>() {
            Ok(letters) => replied_bytes += letters.len(),
            Err(text) => {
                let is_why = text == "overloaded" || text.contains("held_bytes_max (1000000)");
                assert!(is_why, "{text}");
            }
        }
    }
    // What was written, or about to be, had left room for more.
    assert!((500_000..1_500_000).contains(&replied_bytes), "{replied_bytes}");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_read_than_may_be_under_way() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (mut go, _) = dial_limited(&endpoint, |limits| limits.calls_per_connection_max = 2);
    for number in 0..5_i64 {
        go.send("Hold.On", &number).await;
    }
    for number in 0..5 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(hold.begun.load(Ordering::SeqCst), (number + 2).min(5));
        hold.let_go(i64::try_from(number).unwrap());
        assert_eq!(go.answer().await.reply(), Ok(i64::try_from(number).unwrap()));
    }
}

#[tokio::test]
async fn no_number_of_mistakes_in_a_row_ends_the_connection() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.consecutive_errors_max = 3);
    for number in 0..30 {
        go.send(&format!("Arith.Nothing{number}"), &1_i64).await;
        go.answer().await.reply::<i64>().unwrap_err();
    }
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
    drop(go);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_of_go_programs_counts_no_mistakes() {
    let (listener, dialer) = transport::memory_listener();
    let server = tokio::spawn(async move { endpoint().serve_net_rpc(listener).await });
    let mut go = Caller::new(dialer.dial().await.unwrap());
    for _ in 0..300 {
        go.send("Arith.Nothing", &1_i64).await;
        let text = go.answer().await.reply::<i64>().unwrap_err();
        assert_eq!(text, "rpc: can't find method Arith.Nothing");
    }
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
    server.abort();
}

#[tokio::test]
async fn doors_are_kept_as_for_others() {
    let (listener, dialer) = transport::memory_listener();
    let endpoint =
        endpoint().with_limits(Limits::default().with(|limits| limits.connections_max = 1));
    let server = tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
    let mut first = Caller::new(dialer.dial().await.unwrap());
    first.multiply(7, 8).await;
    assert_eq!(first.answer().await.reply(), Ok(56_i64));
    let mut second = Caller::new(dialer.dial().await.unwrap());
    assert!(second.answer_or_end().await.is_none());
    first.multiply(7, 9).await;
    assert_eq!(first.answer().await.reply(), Ok(63_i64));
    server.abort();
}
