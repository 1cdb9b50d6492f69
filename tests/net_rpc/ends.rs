//! How a connection ends, and what becomes of the calls on it.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{Code, transport, with_state};
use switchboard_testing::hex::{from_hex, to_hex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::caller::{Caller, FROM_GO};
use crate::endpoint::{HOLD, Hold, dial, endpoint};

#[tokio::test]
async fn what_is_no_net_rpc_ends_the_connection() {
    let header = |rest: &str| format!("{}{rest}", &FROM_GO[0][..136]);
    // (what comes before the peer ends its side, what the end is called)
    let cases = [
        ("".to_owned(), None),
        (FROM_GO[0].to_owned(), None),
        (to_hex(b"STRING\nAdditional data.\n"), Some(Code::BadPayload)),
        (to_hex(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), Some(Code::BadPayload)),
        (to_hex(&[0xff; 40]), Some(Code::BadPayload)),
        // Strings, not a request and its argument.
        ("070c000474657874070c000474657874".to_owned(), Some(Code::BadPayload)),
        (FROM_GO[0][..60].to_owned(), Some(Code::BadPayload)),
        (header(""), Some(Code::BadPayload)),
        (header("1eff83"), Some(Code::BadPayload)),
        (header("00"), Some(Code::BadPayload)),
        // A message of 2 MiB, which is refused, and then the rest of it is missing.
        (header("fd20000004"), Some(Code::BadPayload)),
    ];
    for (sent, expected) in cases {
        let (mut go, ended) = dial(&endpoint());
        go.stream.write_all(&from_hex(&sent)).await.unwrap();
        go.stream.shutdown().await.unwrap();
        let ended = ended.await.unwrap();
        assert_eq!(ended.map_err(|error| error.code()).err(), expected, "{sent}");
    }
}

#[tokio::test]
async fn who_ends_its_side_is_answered() {
    let hold = Arc::new(Hold::default());
    let (mut go, ended) = dial(&endpoint().on(HOLD, with_state(&hold, Hold::on)));
    for number in 0..3_i64 {
        go.send("Hold.On", &number).await;
    }
    go.stream.shutdown().await.unwrap();
    hold.wait_for(3).await;
    for number in 0..3 {
        hold.let_go(number);
        assert_eq!(go.answer().await.reply(), Ok(number));
    }
    ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_client_that_is_gone_are_stopped() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (mut go, ended) = dial(&endpoint);
    for number in 0..3_i64 {
        go.send("Hold.On", &number).await;
    }
    hold.wait_for(3).await;
    // That nobody waits any more is seen when the first answer cannot be written.
    drop(go.stream);
    hold.let_go(0);
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    hold.wait_for_stopped(2).await;

    // The same if the server's side is dropped.
    let (mut go, ended) = dial(&endpoint);
    go.send("Hold.On", &3_i64).await;
    hold.wait_for(4).await;
    ended.abort();
    hold.wait_for_stopped(3).await;
    assert_eq!(go.stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_calls_under_way_finish() {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let endpoint = endpoint();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc_until(listener, stopped).await });
    let (mut busy, mut idle) =
        (Caller::new(dialer.dial().await.unwrap()), Caller::new(dialer.dial().await.unwrap()));
    busy.send("Arith.Slow", &5000_i64).await;
    busy.send("Arith.Slow", &3_600_000_i64).await;
    idle.multiply(7, 8).await;
    assert_eq!(idle.answer().await.reply(), Ok(56_i64));

    stop.send(()).unwrap();
    assert!(idle.answer_or_end().await.is_none());
    // Not taken any more.
    sleep(Duration::from_secs(1)).await;
    let late = busy.multiply(7, 8).await;
    let answer = busy.answer().await;
    assert_eq!((answer.seq, answer.reply::<i64>().is_err()), (late, true));
    assert_eq!(busy.answer().await.reply(), Ok(5000_i64));
    // This one is over drain_time_max.
    let answer = busy.answer().await;
    assert_eq!(answer.seq, 1);
    answer.reply::<i64>().unwrap_err();
    assert!(busy.answer_or_end().await.is_none());
    drop((busy, idle));
    let report = server.await.unwrap().unwrap();
    assert_eq!((report.connections, report.connections_refused), (2, 0));
    assert_eq!((report.calls_answered, report.calls_cut_off), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_all_calls_that_were_taken() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc_until(listener, stopped).await });
    let mut go = Caller::new(dialer.dial().await.unwrap());
    for number in 0..500 {
        go.send("Hold.On", &number).await;
    }
    hold.wait_for(500).await;
    stop.send(()).unwrap();
    for number in 0..500 {
        hold.let_go(number);
    }
    let mut replies: Vec<i64> = Vec::new();
    while let Some(answer) = go.answer_or_end().await {
        replies.push(answer.reply().unwrap());
    }
    replies.sort_unstable();
    assert_eq!(replies, (0..500).collect::<Vec<_>>());
    drop(go);
    let report = server.await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (500, 0));
}
