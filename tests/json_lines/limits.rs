//! More than there may be: bytes, calls, time, connections.

use switchboard::Limits;
use switchboard_testing::SECOND;
use switchboard_testing::waiting::settle;
use tokio::time::{Instant, sleep};

use crate::caller::{Server, exchange};
use crate::endpoint::endpoint;

#[tokio::test]
async fn a_payload_may_be_as_large_as_everywhere() {
    let server = Server::new(&endpoint().0, |limits| limits.payload_bytes_max = 100_000);
    // (letters, what is round them, whether there is a result)
    let cases = [
        (99_998, 0, Ok(())),
        (99_998, 8000, Ok(())),
        (99_999, 0, Err("a payload of 100001 bytes is over payload_bytes_max (100000)")),
        (
            99_998,
            8192,
            Err("or more is over payload_bytes_max and line_bytes_max together (108192)"),
        ),
    ];
    for (letters, more, outcome) in cases {
        let (letters, more) = ("x".repeat(letters), "y".repeat(more));
        let sent = format!(r#"{{"Method":"ECHO","Params":"{letters}","More":"{more}"}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        match outcome {
            Ok(()) => assert_eq!(heard, format!("{{\"Result\":\"{letters}\",\"Error\":\"\"}}\n")),
            Err(text) => assert!(heard.contains(text), "{heard}"),
        }
    }
}

#[tokio::test]
async fn a_command_may_have_smaller_payloads_and_no_larger_lines() {
    let server = Server::new(&endpoint().0, |_| ());
    let sent = |text: &str| format!(r#"{{"Method":"SMALL","Params":"{text}"}}"#);
    let heard = exchange(&server, sent("12345678").as_bytes(), 0).await;
    assert_eq!(heard, "{\"Result\":8,\"Error\":\"\"}\n");
    let heard = exchange(&server, sent("123456789").as_bytes(), 0).await;
    let text = "a payload of 11 bytes is over payload_bytes_max of its command (10)";
    assert_eq!(heard, format!("{{\"Result\":null,\"Error\":\"{text}\"}}\n"));
}

#[tokio::test]
async fn a_reply_that_is_too_large_or_finds_no_room_is_an_error_of_its_call() {
    let server = Server::new(&endpoint().0, |limits| {
        limits.payload_bytes_max = 200_000;
        limits.held_bytes_max = 100_000;
    });
    for (letters, text) in [
        (300_000, "payload_bytes_max (200000)"),
        (150_000, "held_bytes_max (100000)"),
        (10, "xxxxxxxxxx"),
    ] {
        let mut caller = server.dial().await;
        for _ in 0..3 {
            let line =
                format!(r#"{{"jsonrpc":"2.0","method":"LETTERS","params":[{letters}],"id":1}}"#);
            let answer = caller.ask(&line).await;
            assert!(answer.contains(text), "{answer:.300}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_may_be_under_way() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |limits| limits.calls_per_connection_max = 2);
    let mut caller = server.dial().await;
    for id in 1..=5 {
        caller.say(&slow(1000, id)).await;
    }
    caller.say(r#"{"jsonrpc":"2.0","method":"NOTE","params":[1]}"#).await;
    for id in 1..=5 {
        settle().await;
        // Two at a time end together: when the third is heard of, the fifth and the last begin.
        assert_eq!(seen.noted.now(), usize::from(id > 3));
        assert!(caller.line().await.unwrap().ends_with(&format!(r#""id":{id}}}"#)));
    }
    seen.noted.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_batch_that_find_no_place_are_refused() {
    let server = Server::new(&endpoint().0, |limits| limits.calls_per_connection_max = 4);
    let mut caller = server.dial().await;
    for id in 1..=2 {
        caller.say(&slow(5000, id)).await;
    }
    let batch: Vec<_> = (3..=6).map(|id| slow(10, id)).collect();
    let answers = caller.ask(&format!("[{}]", batch.join(","))).await;
    let answers: serde_json::Value = serde_json::from_str(&answers).unwrap();
    for (index, answer) in answers.as_array().unwrap().iter().enumerate() {
        assert_eq!(answer["id"], index + 3);
        let code = &answer["error"]["data"]["code"];
        assert_eq!(*code == "overloaded", index >= 2, "{answer}");
    }
    // One more than may ever be under way.
    let batch: Vec<_> = (3..=7).map(|id| slow(10, id)).collect();
    let answer = caller.ask(&format!("[{}]", batch.join(","))).await;
    assert!(answer.contains("5 entries are over calls_per_connection_max (4)"), "{answer}");
}

fn slow(milliseconds: u64, id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"Arith.Slow","params":[{milliseconds}],"id":{id}}}"#)
}

#[tokio::test(start_paused = true)]
async fn lines_have_their_time() {
    let Limits { idle_time_max, body_time_max, .. } = Limits::default();
    let timely = "the payload did not come within body_time_max (30s)";
    // (what is sent, after how long the end comes, what is said before it)
    let cases = [
        ("", idle_time_max, None),
        ("\n", idle_time_max, None),
        ("{\"Method\"", body_time_max, Some(timely)),
        ("\n\n{", body_time_max, Some(timely)),
    ];
    for (sent, time, told) in cases {
        let server = Server::new(&endpoint().0, |_| ());
        let mut caller = server.dial().await;
        let begun = Instant::now();
        caller.send(sent.as_bytes()).await;
        let expected = told.map(|text| format!(r#"{{"Result":null,"Error":"{text}"}}"#));
        assert_eq!(caller.line().await, expected, "{sent:?}");
        if told.is_some() {
            assert_eq!(caller.line().await, None);
        }
        assert_eq!(begun.elapsed().as_secs(), time.as_secs(), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_is_not_idle_and_answers_give_a_slow_line_no_more_time() {
    let server = Server::new(&endpoint().0, |limits| limits.idle_time_max = SECOND);
    let mut caller = server.dial().await;
    for line in [slow(20_000, 1), r#"{"Method":"Arith.Slow","Params":20000}"#.to_owned()] {
        let answer = caller.ask(&line).await;
        assert!(answer.contains("20000"), "{answer}");
    }
    assert_eq!(caller.line().await, None);

    let server = Server::new(&endpoint().0, |_| ());
    let mut caller = server.dial().await;
    let begun = Instant::now();
    for (milliseconds, id) in [(10_000, 1), (20_000, 2)] {
        caller.say(&slow(milliseconds, id)).await;
    }
    caller.send(b"{").await;
    for _ in 0..3 {
        caller.line().await.unwrap();
    }
    assert_eq!(caller.line().await, None);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut_off_and_its_calls_stopped() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    let begun = Instant::now();
    caller.say(r#"{"jsonrpc":"2.0","method":"HOLD","id":1}"#).await;
    caller.say(r#"{"jsonrpc":"2.0","method":"LETTERS","params":[900000],"id":2}"#).await;
    seen.stopped.reach(1).await;
    assert_eq!(begun.elapsed().as_secs(), Limits::default().write_time_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_answered() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| ());
    let mut caller = server.dial().await;
    let answer = caller.ask(r#"{"Method":"HOLD"}"#).await;
    assert!(answer.contains("call_time_max (30s)"), "{answer}");
    seen.stopped.reach(1).await;
    let answer = caller.ask(r#"{"jsonrpc":"2.0","method":"HOLD","id":1}"#).await;
    assert!(answer.contains("-32005"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_wait_for_the_peer_are_held() {
    let server = Server::new(&endpoint().0, |limits| limits.held_bytes_max = 1_000_000);
    let mut caller = server.dial().await;
    let letters =
        |id| format!(r#"{{"jsonrpc":"2.0","method":"LETTERS","params":[50000],"id":{id}}}"#);
    let batch: Vec<_> = (0..100).map(letters).collect();
    caller.say(&format!("[{}]", batch.join(","))).await;
    sleep(SECOND).await;
    let answers: serde_json::Value = serde_json::from_str(&caller.line().await.unwrap()).unwrap();
    let answers = answers.as_array().unwrap();
    let replied = answers.iter().filter(|answer| answer["result"].is_string()).count();
    // Each call under way holds 2 KiB as well.
    assert!((10..20).contains(&replied), "{replied}");
    for answer in answers.iter().filter(|answer| answer["error"].is_object()) {
        assert!(answer.to_string().contains("held_bytes_max (1000000)"), "{answer}");
    }
    // All of it is given back.
    let batch: Vec<_> = (0..10).map(letters).collect();
    let answer = caller.ask(&format!("[{}]", batch.join(","))).await;
    assert!(!answer.contains("error"), "{answer:.300}");
}

/// Nobody waits for the answer to a notification, also where there is no memory for it.
#[tokio::test]
async fn a_notification_that_finds_no_memory_is_not_answered() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |limits| limits.held_bytes_max = 2000);
    let note = r#"{"jsonrpc":"2.0","method":"NOTE","params":[1]}"#;
    let call = r#"{"jsonrpc":"2.0","method":"NOTE","params":[1],"id":1}"#;
    for (sent, answers) in
        [(note.to_owned(), 0), (format!("{note}\n{call}"), 1), (format!("[{note},{call}]"), 1)]
    {
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        assert_eq!(heard.matches("held_bytes_max (2000)").count(), answers, "{sent}: {heard}");
        assert_eq!(heard.lines().count(), answers, "{sent}: {heard}");
    }
    assert_eq!(seen.noted.now(), 0);
}

#[tokio::test]
async fn doors_are_kept_as_for_others() {
    let server = Server::new(&endpoint().0, |limits| limits.connections_max = 1);
    let mut first = server.dial().await;
    first.ask(r#"{"Method":"NOTHING"}"#).await;
    assert_eq!(server.dial().await.line().await, None);
    first.ask(r#"{"Method":"NOTHING"}"#).await;
}

#[tokio::test]
async fn no_number_of_mistakes_in_a_row_ends_the_connection() {
    let server = Server::new(&endpoint().0, |limits| limits.consecutive_errors_max = 3);
    let mut caller = server.dial().await;
    for line in ["?", r#"{"Method":"no"}"#, r#"{"jsonrpc":"2.0","method":"no","id":1}"#].repeat(30)
    {
        caller.ask(line).await;
    }
    assert_eq!(caller.ask(r#"{"Method":"NOTHING"}"#).await, r#"{"Result":null,"Error":""}"#);
}
