//! Datagrams without names.

use std::time::Duration;

use switchboard::Datagram;
use switchboard_testing::waiting::{Count, settle};
use tokio::time::Instant;

use crate::caller::{Caller, Server};

/// Answers in small letters, or as the datagram says: `none`, `long`, `wait`, `panic`.
async fn whisper(Datagram { payload, answer_bytes_max, .. }: Datagram) -> Option<Vec<u8>> {
    match &*payload {
        b"none" => None,
        b"long" => Some(vec![b'x'; answer_bytes_max + 1]),
        b"whole" => Some(vec![b'x'; answer_bytes_max]),
        b"wait" => std::future::pending().await,
        b"panic" => panic!("on purpose"),
        other => Some(other.to_ascii_lowercase()),
    }
}

#[tokio::test]
async fn each_datagram_has_at_most_one_answer_and_that_a_short_one() {
    // (how much longer it may be, what is sent, what is heard)
    let cases = [
        (0, "HELLO", Some("hello".to_owned())),
        (0, "", Some(String::new())),
        (0, "<1 OK 2\nHI", Some("<1 ok 2\nhi".to_owned())),
        (0, "none", None),
        (0, "long", None),
        (0, "panic", None),
        (0, "whole", Some("xxxxx".to_owned())),
        (7, "whole", Some("x".repeat(12))),
        (7, "long", None),
    ];
    for (more, sent, heard) in cases {
        let bound = |datagrams: switchboard::Datagrams| datagrams.answer_bytes_more(more);
        let server = Server::bare(|_| (), bound, whisper).await;
        let caller = Caller::new(&server).await;
        caller.say(sent).await;
        if let Some(heard) = &heard {
            assert_eq!(&caller.hear_text().await, heard, "{sent:?}");
        }
        assert_eq!(caller.ask("MARK").await, "mark", "{sent:?}");
        settle().await;
        assert!(caller.socket.try_recv(&mut [0; 99]).is_err(), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_time() {
    let stopped = Count::default();
    let handler = {
        let stopped = stopped.clone();
        move |datagram| {
            let guard = stopped.guard();
            async move {
                let answer = whisper(datagram).await;
                drop(guard);
                answer
            }
        }
    };
    let server =
        Server::bare(|limits| limits.call_time_max = Duration::from_secs(5), |all| all, handler)
            .await;
    let caller = Caller::new(&server).await;
    let begun = Instant::now();
    caller.say("wait").await;
    stopped.reach(1).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(server.report().await.tasks_cut_off, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_stops_handlers_that_do_not_end() {
    let begun = Count::default();
    let handler = {
        let begun = begun.clone();
        move |datagram| {
            begun.add();
            whisper(datagram)
        }
    };
    let limit = |limits: &mut switchboard::Limits| {
        limits.call_time_max = Duration::from_secs(99);
        limits.drain_time_max = Duration::from_secs(2);
    };
    let server = Server::bare(limit, |all| all, handler).await;
    let caller = Caller::new(&server).await;
    caller.say("wait").await;
    begun.reach(1).await;
    let from = Instant::now();
    let report = server.report().await;
    assert_eq!((report.tasks_cut_off, report.datagrams_dropped), (1, 0));
    assert_eq!(from.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn handlers_at_once_are_bounded() {
    let begun = Count::default();
    let handler = {
        let begun = begun.clone();
        move |datagram| {
            begun.add();
            whisper(datagram)
        }
    };
    let server =
        Server::bare(|limits| limits.calls_per_connection_max = 3, |all| all, handler).await;
    let caller = Caller::new(&server).await;
    for _ in 0..9 {
        caller.say("wait").await;
    }
    begun.reach(3).await;
    settle().await;
    assert_eq!(begun.now(), 3);
    drop(server);
}
