//! The asking side: how calls end when nothing goes well.

use std::time::Duration;

use switchboard::format::{Json, Line};
use switchboard::{Client, Code, Command, Endpoint, Error, Fault, Limits, Traceparent, transport};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::support::*;

fn text() -> String {
    "a".to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_stops_its_handler() {
    let held = Held::new();
    let client = client(&held.on(endpoint()));
    let call = tokio::spawn(client.call(HOLD, &text()));
    held.begun.reach(1).await;
    call.abort();
    held.ended.reach(1).await;
    assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
    // One that was never polled was never sent.
    drop(client.call(HOLD, &text()));
    assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
    assert_eq!(held.begun.now(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_told_to_the_peer_and_its_reply_dropped() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 1 1 f=line\na").await;
    call.abort();
    peer.expect(">1 cancel\n").await;
    peer.send("<1 ok 4\nlate").await;
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 2 1 f=line\na").await;
    peer.send("<2 ok 2\nok").await;
    assert_eq!(call.await.unwrap().unwrap(), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_here_and_told_there() {
    let (client, mut peer) = client_and_peer();
    let start = Instant::now();
    let call = tokio::spawn(client.call(ECHO, &text()).timeout(Duration::from_micros(1500)));
    peer.expect("ECHO 1 1 f=line t=2\na").await;
    let error = within(call).await.unwrap().unwrap_err();
    check_error(&error, Code::DeadlineExceeded, "no reply came in time");
    assert!(error.was_sent() && !error.is_safe_to_retry() && !error.is_from_peer());
    assert!(start.elapsed() < SECOND);
    peer.expect(">1 cancel\n").await;
    peer.send("<1 ok 4\nlate").await;

    // Either clock will do; a call that is not awaited is not sent.
    let by = Instant::now() + SECOND;
    drop(client.call(ECHO, &text()).timeout_at(by.into_std()));
    let call = tokio::spawn(client.call(ECHO, &text()).timeout_at(by));
    peer.expect("ECHO 2 1 f=line t=1000\na").await;
    peer.send("<2 ok 1\nb").await;
    assert_eq!(call.await.unwrap().unwrap(), "b");

    let error = client.call(ECHO, &text()).timeout(Duration::ZERO).await.unwrap_err();
    check_error(&error, Code::DeadlineExceeded, "the deadline had passed before the call was sent");
    assert!(!error.was_sent() && error.is_safe_to_retry());
    let call = tokio::spawn(client.call(ECHO, &text()).timeout(Duration::MAX));
    assert!(peer.next().await.unwrap().starts_with("ECHO 3 1 f=line t="));
    peer.send("<3 ok 1\nc").await;
    assert_eq!(call.await.unwrap().unwrap(), "c");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_waited_for_no_longer_than_a_call_may_take() {
    let (client, _peer) = client_and_peer();
    let start = Instant::now();
    let error = within(client.call(ECHO, &text())).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    let waited = start.elapsed();
    assert!(
        waited >= Limits::default().call_time_max && waited < 2 * Limits::default().call_time_max
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_after_the_timer_has_fired_in_vain() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &text()).timeout(SECOND));
    peer.expect("ECHO 1 1 f=line t=1000\na").await;
    peer.send("<1 ok 2\nok").await;
    assert_eq!(call.await.unwrap().unwrap(), "ok");
    // Nothing is due when the timer of that call fires.
    tokio::time::sleep(2 * SECOND).await;
    let start = Instant::now();
    let error = within(client.call(ECHO, &text()).timeout(SECOND)).await.unwrap_err();
    check_error(&error, Code::DeadlineExceeded, "no reply came in time");
    assert!(start.elapsed() < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_wait_for_room_on_a_thread_without_a_runtime() {
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1);
    let (client, mut peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    // More than the stream holds, so that there is no room for the next one.
    let first = tokio::spawn(client.call(ECHO, &"a".repeat(100_000)));
    settle().await;
    let mut second = client.call(ECHO, &text());
    let waiting = std::thread::spawn(move || {
        let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::Pin::new(&mut second).poll(cx).is_pending());
        second
    });
    let second = tokio::spawn(waiting.join().unwrap());
    assert!(peer.next().await.unwrap().starts_with("ECHO 1 100000 f=line\n"));
    peer.expect("ECHO 2 1 f=line\na").await;
    peer.send("<1 ok 1\nb<2 ok 1\nb").await;
    assert_eq!(first.await.unwrap().unwrap(), "b");
    assert_eq!(second.await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_ends_its_calls() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 1 1 f=line\na").await;
    drop(peer);
    let error = within(call).await.unwrap().unwrap_err();
    check_error(&error, Code::Disconnected, "the connection was closed before the reply came");
    assert_eq!(error.fault(), Fault::Connection);
    assert!(error.was_sent() && !error.is_safe_to_retry());
    assert_eq!(error.to_string(), format!("ECHO: disconnected: {}", error.text()));

    let error = within(client.call(ECHO, &text())).await.unwrap_err();
    check_error(&error, Code::Disconnected, "the connection is closed: the peer ended its side");
    assert!(!error.was_sent() && error.is_safe_to_retry());
    within(client.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_answers_is_said_to_be_its_word() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send("<1 err 5 denied ran=1\nno\x1b[m").await;
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_from_peer() && error.was_sent());
    assert_eq!(error.to_string(), "ECHO: the peer answered denied: no\\u{1b}[m");

    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 2 1 f=line\na").await;
    peer.send("<2 err 4 overloaded\nfull").await;
    let error = call.await.unwrap().unwrap_err();
    assert!(error.was_sent() && error.is_safe_to_retry());

    // Told about the whole connection, then closed: a call without an answer did not run.
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 3 1 f=line\na").await;
    peer.send("<0 err 3 shutting_down\nbye").await;
    settle().await;
    let error = within(client.call(ECHO, &text())).await.unwrap_err();
    assert_eq!(error.code(), Code::ShuttingDown);
    assert!(!error.was_sent() && error.is_safe_to_retry());
    peer.send("<0 ok 0\n").await;
    peer.finish().await;
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::ShuttingDown, "bye"));
    assert!(error.is_safe_to_retry());

    // Without the farewell nobody knows whether it ran.
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &text()));
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send("<0 err 3 shutting_down\nbye").await;
    drop(peer);
    let error = within(call).await.unwrap().unwrap_err();
    assert!(error.code() == Code::Disconnected && !error.is_safe_to_retry(), "{error}");
}

/// So that another release may say more.
#[tokio::test(start_paused = true)]
async fn what_is_said_beside_a_reply_and_not_known_is_ignored() {
    let (client, mut peer) = client_and_peer();
    for (answer, expected) in [
        ("<1 ok 1 colour=red served-by=b x= x=2\nb", Ok("b")),
        ("<2 err 2 denied colour=red ran=1 served-by=b\nno", Err(Code::Denied)),
        ("<3 err 2 out_of_paper ran=1\nno", Err(Code::Failed)),
    ] {
        let call = tokio::spawn(client.call(ECHO, &text()));
        peer.next().await.unwrap();
        peer.send(answer).await;
        let reply = within(call).await.unwrap();
        let reply = reply.as_deref().map_err(Error::code);
        assert_eq!(reply, expected, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_used_is_the_fault_of_who_sent_it() {
    let limits = Limits::default().with(|limits| limits.payload_bytes_max = 8);
    let (client, mut peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    let answers = [
        ("<1 ok 2\n\u{1}\u{2}", Code::BadPayload),
        ("<2 ok 0\n", Code::BadPayload),
        ("<3 ok 9\n\u{1}23456789", Code::TooLarge),
    ];
    for (answer, code) in answers {
        let call = tokio::spawn(client.call(ADD, &(1, 2)));
        peer.next().await.unwrap();
        peer.send(answer).await;
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.fault()), (code, Fault::Callee), "{error}");
        assert!(error.was_sent() && !error.is_safe_to_retry() && !error.is_from_peer());
    }
    let call = tokio::spawn(client.call(ADD, &(1, 2)));
    peer.next().await.unwrap();
    peer.send("<4 ok 1\n\u{3}").await;
    assert_eq!(call.await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_ends_every_call() {
    for sent in ["<7 ok 0\n", "<1 item 0\n", "<1 ok 1\na<1 ok 1\na", "\n", "HTTP/1.1 400 No\r\n"] {
        let (client, mut peer) = client_and_peer();
        let call = tokio::spawn(client.call(HOLD, &text()));
        let other = tokio::spawn(client.call(ECHO, &text()));
        peer.next().await.unwrap();
        peer.next().await.unwrap();
        peer.send(sent).await;
        within(call).await.unwrap().ok();
        let error = within(other).await.unwrap().unwrap_err();
        let is_told = matches!(error.code(), Code::Protocol | Code::Disconnected);
        assert!(is_told && error.was_sent(), "{sent:?}: {error}");
        within(client.closed()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_before_a_byte_is() {
    const SHOUT: Command<String, String, Json> = Command::new("SHOUT");
    let limits = Limits::default().with(|limits| limits.payload_bytes_max = 8);
    let (client, mut peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    let too_large = "a payload of 9 bytes is over payload_bytes_max (8)";
    let error = client.call(ECHO, &"123456789".to_owned()).await.unwrap_err();
    check_error(&error, Code::TooLarge, too_large);
    assert!(!error.was_sent() && error.is_safe_to_retry());
    check_error(
        &client.notify(SHOUT, &"1234567".to_owned()).await.unwrap_err(),
        Code::TooLarge,
        too_large,
    );
    for line in ["two\nlines", "CANARY\r", "nul\0"] {
        let error = client.call(ECHO, &line.to_owned()).await.unwrap_err();
        assert_eq!(error.code(), Code::BadPayload);
        assert!(!error.was_sent());
    }
    drop(client);
    peer.expect("<0 err 24 shutting_down\nno more calls are taken\n").await;
    peer.expect_farewell().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_wait_than_the_limit() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 2);
    let (client, mut peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    let calls = [(); 2].map(|()| tokio::spawn(client.call(ECHO, &text())));
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.expect("ECHO 2 1 f=line\na").await;
    let error = client.call(ECHO, &text()).await.unwrap_err();
    let expected = "calls_per_connection_max (2) are waiting for their replies";
    check_error(&error, Code::Overloaded, expected);
    assert!(!error.was_sent() && error.is_safe_to_retry());
    peer.send("<2 ok 1\nb<1 ok 1\na").await;
    for (call, reply) in calls.into_iter().zip(["a", "b"]) {
        assert_eq!(call.await.unwrap().unwrap(), reply);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_at_the_deadline() {
    let limits = Limits::default().with(|limits| limits.write_time_max = 10 * SECOND);
    let (client, mut peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    let large = "x".repeat(1 << 20);
    // Two fill the connection and all that may wait for it.
    let sent = [(); 2].map(|()| tokio::spawn(client.call(ECHO, &large)));
    settle().await;
    let error = within(client.call(ECHO, &large).timeout(SECOND)).await.unwrap_err();
    check_error(
        &error,
        Code::DeadlineExceeded,
        "the deadline passed before there was room to send",
    );
    assert!(!error.was_sent() && error.is_safe_to_retry());

    // One that waits goes when the others have gone, and one that is dropped is never sent.
    let last = tokio::spawn(client.call(ECHO, &text()));
    let dropped = tokio::spawn(client.call(HOLD, &text()));
    settle().await;
    dropped.abort();
    for tag in [1, 2] {
        assert!(peer.next().await.unwrap().starts_with(&format!("ECHO {tag} 1048576 f=line\n")));
    }
    peer.expect("ECHO 3 1 f=line\na").await;
    peer.send("<3 ok 1\nc").await;
    assert_eq!(last.await.unwrap().unwrap(), "c");
    drop(peer);
    for call in sent {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Disconnected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_closes_the_connection() {
    let (client, mut peer) = client_and_peer();
    assert!(!client.is_closed());
    let clone = client.clone();
    drop(client);
    let call = clone.call(ECHO, &text());
    drop(clone);
    let call = tokio::spawn(call);
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send("<1 ok 1\nb").await;
    assert_eq!(call.await.unwrap().unwrap(), "b");
    peer.expect_error(0, Code::ShuttingDown).await;
    peer.expect_farewell().await;
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_under_way() {
    let held = Held::new();
    let client = client(&held.on(endpoint()));
    let call = tokio::spawn(client.call(HOLD, &text()));
    held.begun.reach(1).await;
    let other = client.clone();
    let close = tokio::spawn(client.close());
    settle().await;
    assert!(!close.is_finished());
    let error = other.call(ADD, &(1, 2)).await.unwrap_err();
    check_error(&error, Code::ShuttingDown, "this side is closing");
    assert!(!error.was_sent());
    held.release(1);
    assert_eq!(within(call).await.unwrap().unwrap(), "a");
    within(close).await.unwrap();
    within(other.closed()).await;
}

#[test]
fn a_client_outlives_its_runtime() {
    let build = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = build();
    let (client, call, _peer) = runtime.block_on(async {
        let (client, mut peer) = client_and_peer();
        let mut call = client.call(ECHO, &text());
        tokio::select! {
            _ = &mut call => unreachable!(),
            sent = peer.next() => assert_eq!(sent.unwrap(), "ECHO 1 1 f=line\na"),
        }
        (client, call, peer)
    });
    drop(runtime);
    build().block_on(async {
        let error = within(call).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        assert!(error.was_sent());
        let error = within(client.call(ECHO, &text())).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        assert!(!error.was_sent());
        within(client.closed()).await;
        within(client.close()).await;
    });
}

/// Who is there again is found only by whoever connects anew.
#[tokio::test]
async fn a_client_does_not_connect_anew() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::connect(address).await.unwrap();
    drop(listener.accept().await.unwrap());
    within(client.closed()).await;
    for _ in 0..3 {
        let error = within(client.call(ECHO, &text())).await.unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, true));
    }
    let next = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, accepted) = within(listener.accept()).await.unwrap();
    assert_eq!(accepted, next.local_addr().unwrap(), "another was before it");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let error = Client::connect(&address).await.unwrap_err();
    check_error(&error, Code::Disconnected, &format!("nobody answers at {address}"));
    assert!(error.is_safe_to_retry());
}

/// What a client leaves in the stream when it goes is whole.
#[tokio::test(start_paused = true)]
async fn a_dropped_client_has_sent_its_notifications() {
    const NOTE: Command<String, String, Line> = Command::new("NOTE");
    let (here, mut there) = transport::memory();
    let client = Endpoint::new().connect_over(here);
    for _ in 0..100 {
        client.notify(NOTE, &text()).await.unwrap();
    }
    drop(client);
    let mut got = String::new();
    within(there.read_to_string(&mut got)).await.unwrap();
    assert_eq!(got.matches("NOTE 0 1 f=line\na").count(), 100);
}

fn check_error(error: &Error, code: Code, text: &str) {
    assert_eq!((error.code(), error.text()), (code, text), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trace_travels_with_the_call() {
    let (client, mut peer) = client_and_peer();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parsed: Traceparent = trace.parse().unwrap();
    let call = client.call(ECHO, &text()).trace(parsed).timeout(Duration::from_millis(250));
    let call = tokio::spawn(call);
    peer.expect(&format!("ECHO 1 1 f=line t=250 trace={trace}\na")).await;
    peer.send("<1 ok 1\nb").await;
    assert_eq!(call.await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_client_knows_when_it_is_closed() {
    let (client, mut peer) = client_and_peer();
    assert!(!client.is_closed());
    peer.send("<0 err 3 shutting_down\nbye").await;
    settle().await;
    assert!(client.is_closed(), "it takes no more calls");
    let (client, peer) = client_and_peer();
    drop(peer);
    client.closed().await;
    assert!(client.is_closed());
}

/// Replies that nobody has come for are held within the limit.
#[tokio::test(start_paused = true)]
async fn replies_that_nobody_takes_are_bounded() {
    let server = endpoint();
    let (here, there) = transport::memory();
    tokio::spawn(async move { server.serve_stream(there).await });
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 100_000);
    let client = Endpoint::new().with_limits(limits).connect_over(here);
    let call = || Box::pin(client.call(LETTERS, &60_000));
    let (mut first, mut second) = (call(), call());
    let waker = std::task::Waker::noop();
    let mut cx = std::task::Context::from_waker(waker);
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    settle().await;
    assert_eq!(first.await.unwrap().len(), 60_000);
    let error = second.await.unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::Overloaded, true), "{error}");
    assert!(!error.is_safe_to_retry(), "it ran");
    assert_eq!(client.call(LETTERS, &60_000).await.unwrap().len(), 60_000);
}
