//! How a connection ends, and what becomes of the calls on it.

use std::time::Duration;

use switchboard_testing::waiting::within;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::caller::Server;
use crate::endpoint::endpoint;

const HOLDS: [&str; 3] = [
    r#"{"Method":"HOLD"}"#,
    r#"{"jsonrpc":"2.0","method":"HOLD","id":1}"#,
    r#"{"jsonrpc":"2.0","method":"HOLD"}"#,
];

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_its_side_is_answered() {
    let server = Server::new(&endpoint().0, |_| ());
    for line in [
        r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":[2000],"id":1}"#,
        r#"{"Method":"Arith.Slow","Params":2000}"#,
        r#"[{"jsonrpc":"2.0","method":"Arith.Slow","params":[2000],"id":1}]"#,
    ] {
        let mut caller = server.dial().await;
        caller.say(line).await;
        caller.stream.shutdown().await.unwrap();
        assert!(caller.line().await.unwrap().contains("2000"));
        assert_eq!(caller.line().await, None);
    }
}

/// By a reset, as a program that has died leaves, or one that was still sent something.
#[tokio::test]
async fn handlers_of_a_peer_that_leaves_are_stopped() {
    let (endpoint, seen) = endpoint();
    let listener = switchboard::transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let served = tokio::spawn(async move { endpoint.serve_json_lines(listener).await });
    for (count, line) in (1..).zip(HOLDS) {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        seen.held.reach(count).await;
        stream.set_zero_linger().unwrap();
        drop(stream);
        seen.stopped.reach(count).await;
    }
    served.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_peer_that_is_gone_are_stopped_when_it_is_answered() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    caller.say(HOLDS[1]).await;
    caller.say(r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":[2000],"id":2}"#).await;
    seen.held.reach(1).await;
    drop(caller);
    seen.stopped.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_calls_under_way_finish() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let (mut busy, mut bare, mut idle) =
        (server.dial().await, server.dial().await, server.dial().await);
    busy.say(r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":[5000],"id":1}"#).await;
    busy.say(HOLDS[1]).await;
    bare.say(r#"{"Method":"Arith.Slow","Params":5000}"#).await;
    bare.say(r#"{"Method":"NOTE","Params":1}"#).await;
    idle.ask(r#"{"Method":"NOTHING"}"#).await;

    seen.held.reach(1).await;
    let served = server.stop();
    assert_eq!(idle.line().await, None);
    // Not taken any more.
    sleep(Duration::from_secs(1)).await;
    let late = busy.ask(r#"{"jsonrpc":"2.0","method":"NOTE","params":[1],"id":3}"#).await;
    assert!(late.contains("-32010") && late.contains("shutting_down"), "{late}");
    assert_eq!(busy.line().await.unwrap(), r#"{"jsonrpc":"2.0","result":5000,"id":1}"#);
    assert_eq!(bare.line().await.unwrap(), r#"{"Result":5000,"Error":""}"#);
    let over = busy.line().await.unwrap();
    assert!(over.contains("drain_time_max (10s)") && over.contains("-32010"), "{over}");
    assert!(over.contains(r#""data":{"code":"shutting_down","ran":true}"#), "{over}");
    assert!(!late.contains("ran"), "{late}");
    assert_eq!(busy.line().await, None);
    drop((busy, bare, idle));
    let report = within(served).await.unwrap().unwrap();
    assert_eq!((report.connections, report.connections_refused), (3, 0));
    assert_eq!((report.calls_answered, report.calls_cut_off), (3, 1));
    assert_eq!((seen.noted.now(), seen.stopped.now()), (0, 1));
}

#[tokio::test]
async fn stopping_answers_all_calls_that_were_taken() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    let note = |id| format!(r#"{{"jsonrpc":"2.0","method":"NOTE","params":[1],"id":{id}}}"#);
    let batch: Vec<_> = (0..500).map(note).collect();
    caller.say(&format!("[{}]", batch.join(","))).await;
    seen.noted.reach(500).await;
    let served = server.stop();
    let answers: serde_json::Value = serde_json::from_str(&caller.line().await.unwrap()).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 500);
    assert_eq!(caller.line().await, None);
    drop(caller);
    let report = within(served).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (500, 0));
}
