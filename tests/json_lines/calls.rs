//! Many calls at once, and one after the other; who calls.

use switchboard_testing::waiting::settle;

use crate::caller::Server;
use crate::endpoint::endpoint;

#[tokio::test(start_paused = true)]
async fn calls_with_ids_are_answered_as_they_end() {
    let server = Server::new(&endpoint().0, |_| ());
    let mut caller = server.dial().await;
    for milliseconds in [300, 100, 200] {
        let line = r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":"#.to_owned();
        caller.say(&format!("{line}[{milliseconds}],\"id\":{milliseconds}}}")).await;
    }
    for milliseconds in [100, 200, 300] {
        let expected =
            format!(r#"{{"jsonrpc":"2.0","result":{milliseconds},"id":{milliseconds}}}"#);
        assert_eq!(caller.line().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn bare_lines_are_answered_one_at_a_time() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    let begun = tokio::time::Instant::now();
    for milliseconds in [300, 100] {
        caller.say(&format!(r#"{{"Method":"Arith.Slow","Params":{milliseconds}}}"#)).await;
    }
    caller.say(r#"{"Method":"NOTE","Params":1}"#).await;
    settle().await;
    assert_eq!(seen.noted.now(), 0);
    for result in ["300", "100", "null"] {
        let expected = format!(r#"{{"Result":{result},"Error":""}}"#);
        assert_eq!(caller.line().await, Some(expected));
    }
    assert_eq!(begun.elapsed().as_millis(), 400);
    assert_eq!(seen.noted.now(), 1);
}

#[tokio::test(start_paused = true)]
async fn dialects_may_be_mixed() {
    let server = Server::new(&endpoint().0, |_| ());
    let mut caller = server.dial().await;
    caller.say(r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":[500],"id":1}"#).await;
    let bare = caller.ask(r#"{"Method":"CheckStock","Params":"item1"}"#).await;
    assert_eq!(bare, r#"{"Result":100,"Error":""}"#);
    let first = caller.ask(r#"{"method":"SUM","params":[[1]],"id":"x"}"#).await;
    assert_eq!(first, r#"{"id":"x","result":1,"error":null}"#);
    assert_eq!(caller.line().await.unwrap(), r#"{"jsonrpc":"2.0","result":500,"id":1}"#);
    // What cannot be read is answered as the line before it.
    let wrong = caller.ask("?").await;
    assert!(wrong.starts_with(r#"{"id":null,"result":null,"error":"#), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_slowest_and_holds_up_nobody() {
    let server = Server::new(&endpoint().0, |_| ());
    let mut caller = server.dial().await;
    let slow = r#"{"jsonrpc":"2.0","method":"Arith.Slow","params":[500],"id":1}"#;
    let quick = r#"{"jsonrpc":"2.0","method":"SUM","params":[1],"id":2}"#;
    caller.say(&format!("[{slow},{quick}]")).await;
    assert_eq!(caller.ask(quick).await, r#"{"jsonrpc":"2.0","result":1,"id":2}"#);
    let answers = caller.line().await.unwrap();
    let slow = r#"{"jsonrpc":"2.0","result":500,"id":1}"#;
    assert_eq!(answers, format!(r#"[{slow},{{"jsonrpc":"2.0","result":1,"id":2}}]"#));
}

#[tokio::test]
async fn a_notification_runs_and_is_not_answered() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    for line in [
        r#"{"jsonrpc":"2.0","method":"NOTE","params":[1]}"#,
        r#"{"method":"NOTE","params":[1],"id":null}"#,
        r#"[{"jsonrpc":"2.0","method":"NOTE","params":[1]}]"#,
        r#"{"jsonrpc":"2.0","method":"no such","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"PANIC"}"#,
    ] {
        caller.say(line).await;
    }
    seen.noted.reach(3).await;
    let answer = caller.ask(r#"{"jsonrpc":"2.0","method":"NOTHING","id":1}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","result":null,"id":1}"#);
}

#[tokio::test]
async fn handlers_see_who_calls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = switchboard::transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let served = tokio::spawn(async move { endpoint().0.serve_json_lines(listener).await });
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let own = stream.local_addr().unwrap().to_string();
    stream.write_all(b"{\"Method\":\"PEER\"}").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, format!("{{\"Result\":\"{own}\",\"Error\":\"\"}}\n"));
    served.abort();
}

/// A list of one that is read in two ways is one call: to the figures, and to layers that make it
/// wait.
#[tokio::test(start_paused = true)]
async fn what_is_said_in_two_ways_is_one_call() {
    let (endpoint, _) = endpoint();
    #[cfg(feature = "tower")]
    let endpoint = endpoint.layer(tower::util::MapFutureLayer::new(|answer| async {
        tokio::task::yield_now().await;
        answer.await
    }));
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    let said = r#"{"jsonrpc":"2.0","method":"CheckStock","params":["item1"],"id":1}"#;
    assert_eq!(caller.ask(said).await, r#"{"jsonrpc":"2.0","result":100,"id":1}"#);
    let wrong = caller.ask(&said.replace("\"item1\"", "7")).await;
    assert!(wrong.contains("-32602"), "{wrong}");
    let stats = endpoint.stats();
    let calls = stats.command("CheckStock").unwrap();
    assert_eq!((calls.begun, calls.answered, calls.failed()), (2, 1, 1));
    assert_eq!(server.stop().await.unwrap().unwrap().calls_answered, 2);
}
