//! More than there may be: bytes, calls, mistakes, connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Code, Command, Error, Limits, Result, with_state};
use switchboard_testing::gob_bytes::{INT, INTERFACE, int, message, structure, uint};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::endpoint::{ComplexData, HOLD, Hold, dial, dial_limited, endpoint};
use crate::wide;

#[tokio::test]
async fn an_argument_that_is_too_large_is_an_error_of_its_call() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    for bytes in [1100, 5000, 100_000] {
        let call = go.send("Echo.Letters", &"x".repeat(bytes)).await;
        // The type of this one comes behind it.
        let sound = go.multiply(7, 8).await;
        let answer = go.answer().await;
        assert_eq!((answer.seq, answer.service_method.as_str()), (call, "Echo.Letters"));
        let text = answer.reply::<String>().unwrap_err();
        assert!(text.ends_with("bytes is over payload_bytes_max (1000)"), "{text}");
        let answer = go.answer().await;
        assert_eq!((answer.seq, answer.reply()), (sound, Ok(56_i64)));
    }
    drop(go);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_type_of_an_argument_that_is_too_large_is_known_all_the_same() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    let data = |bytes| ComplexData { s: "x".repeat(bytes), ..ComplexData::default() };
    for bytes in [1100, 10, 1100, 10] {
        go.send("Echo.Complex", &data(bytes)).await;
        let reply = go.answer().await.reply::<ComplexData>().map(|data| data.s.len());
        assert_eq!(reply.ok(), (bytes == 10).then_some(bytes));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_an_argument_that_is_passed_over_has_its_time() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    let mut call = go.encode("Echo.Letters", &"x".repeat(2000));
    call.pop();
    let begun = tokio::time::Instant::now();
    for piece in call.chunks(100) {
        let _ = go.stream.write_all(piece).await;
        sleep(Duration::from_secs(2)).await;
    }
    go.answer().await.reply::<String>().unwrap_err();
    let error = ended.await.unwrap().unwrap_err();
    assert!(error.text().contains("body_time_max"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 42);
}

/// Where a value with interfaces in it ends cannot be known without following it.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_passed_over_lets_calls_under_way_finish() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    let slow = go.send("Arith.Slow", &5000_i64).await;
    let mut call = wide::header(&mut go);
    call.extend(message(&structure(70, &[("X", INTERFACE)])));
    call.extend(message(&[int(70), vec![1; 4094]].concat()));
    check_last(go, &call, slow, "a payload of 4099 bytes is over payload_bytes_max (1000)").await;
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn too_many_types_are_told_and_let_calls_under_way_finish() {
    let limits = |limits: &mut Limits| limits.net_rpc_definition_bytes_max = 1000;
    // (fields of one type, bytes of all when that is found)
    for (fields, bytes) in [(30, 1149), (1000, 18_914)] {
        let (mut go, ended) = dial_limited(&endpoint(), limits);
        // One type is not too many.
        let call = wide::call(&mut go, 69, 30);
        go.stream.write_all(&call).await.unwrap();
        assert_eq!(go.answer().await.reply(), Ok(56_i64));
        let slow = go.send("Arith.Slow", &5000_i64).await;
        let text =
            format!("{bytes} bytes of type definitions: over net_rpc_definition_bytes_max (1000)");
        let call = wide::call(&mut go, 70, fields);
        check_last(go, &call, slow, &text).await;
        assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::TooLarge);
    }
}

/// The call is answered with an error, then the slow one before it with its reply, and no others.
async fn check_last(mut go: Caller<MemoryStream>, call: &[u8], slow: u64, expected: &str) {
    go.stream.write_all(call).await.unwrap();
    go.multiply(7, 8).await;
    let answer = go.answer().await;
    assert_eq!(answer.seq, slow + 1);
    assert_eq!(answer.reply::<i64>(), Err(expected.to_owned()));
    let answer = go.answer().await;
    assert_eq!((answer.seq, answer.reply()), (slow, Ok(5000_i64)));
    assert!(go.answer_or_end().await.is_none());
}

#[tokio::test]
async fn types_may_be_as_large_and_as_many_as_real_programs_have() {
    // (types, fields of each): more than 16 KiB each time.
    for (types, fields) in [(1, 1000), (1, 4000), (46, 20), (400, 5)] {
        let (mut go, _) = dial(&endpoint());
        for number in 0..types {
            let call = wide::call(&mut go, 70 + number, fields);
            go.stream.write_all(&call).await.unwrap();
            assert_eq!(go.answer().await.reply(), Ok(56_i64), "{number} of {types}");
            go.multiply(7, 9).await;
            assert_eq!(go.answer().await.reply(), Ok(63_i64));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_defined_is_held_until_the_end() {
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1_000_000);
    let endpoint = endpoint().with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
    for _ in 0..3 {
        let (mut open, mut refused) = (Vec::new(), 0);
        for _ in 0..10 {
            let mut go = Caller::new(dialer.dial().await.unwrap());
            let call = wide::call(&mut go, 70, 1000);
            go.stream.write_all(&call).await.unwrap();
            let answer = go.answer().await;
            if answer.reply() == Ok(56_i64) {
                open.push(go);
                continue;
            }
            let text = answer.reply::<i64>().unwrap_err();
            assert!(text.ends_with("are over held_bytes_max (1000000)"), "{text}");
            assert!(go.answer_or_end().await.is_none());
            refused += 1;
        }
        // 19 KB of definitions, twelve times.
        assert_eq!((open.len(), refused), (4, 6));
        // Who is here already can still call.
        for go in &mut open {
            go.multiply(7, 9).await;
            assert_eq!(go.answer().await.reply(), Ok(63_i64));
        }
        drop(open);
        sleep(Duration::from_secs(1)).await;
    }
    server.abort();
}

#[tokio::test]
async fn no_more_of_a_value_is_held_than_was_defined_in_it() {
    const STRING: i64 = 6;
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1_000_000);
    let endpoint = endpoint().with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
    // A text in an interface, in a type that is defined there.
    let text = [vec![1], message(&[b'x'; 50_000]), vec![0]].concat();
    let interface = [message(b"main.Text"), structure(71, &[("S", STRING)]), uint(1)].concat();
    let interface = [interface, int(71), message(&text)].concat();
    let value = [int(70), vec![1, 14, 1, 16, 1], interface, vec![0]].concat();
    let types = structure(70, &[("A", INT), ("B", INT), ("X", INTERFACE)]);
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut go = Caller::new(dialer.dial().await.unwrap());
        let call = [wide::header(&mut go), message(&types), message(&value)].concat();
        go.stream.write_all(&call).await.unwrap();
        assert_eq!(go.answer().await.reply(), Ok(56_i64), "{}", open.len());
        open.push(go);
    }
    server.abort();
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

/// A list, each of whose links is a level.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Chain {
    next: Option<Box<Self>>,
}

#[tokio::test]
async fn a_reply_that_cannot_be_written_is_an_error_of_its_call() {
    const NEST: Command<u64, Chain, Gob> = Command::new("Echo.Nest");
    let nest = async |levels: u64| {
        let link = |chain, _| Chain { next: Some(Box::new(chain)) };
        Ok::<_, Error>((0..levels).fold(Chain::default(), link))
    };
    let endpoint = endpoint().on(NEST, nest);
    let (mut go, _) = dial_limited(&endpoint, |limits| limits.depth_max = 250);
    for (levels, is_written) in [(160, false), (100, true), (160, false), (3, true)] {
        go.send("Echo.Nest", &(levels as u64)).await;
        let reply = go.answer().await.reply::<Chain>();
        assert_eq!(reply.is_ok(), is_written, "{levels}");
        let refused = (!is_written).then_some("the handler failed");
        assert_eq!(reply.err().as_deref(), refused, "{levels}");
        go.multiply(7, 8).await;
        assert_eq!(go.answer().await.reply(), Ok(56_i64));
    }
}
