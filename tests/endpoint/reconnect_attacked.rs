//! Attacks on a client that connects anew: by servers, by callers who give up, and by where it is
//! polled.

use std::sync::Arc;

use switchboard::transport;
use switchboard::{Code, Command, Endpoint, Error, Reconnect, Streamed};
use tokio::time::{Instant, sleep};

use super::reconnect::{AGAIN, Host, client_and_peers, reconnect_and_peers};
use super::support::*;

const TAIL: Command<(), Streamed<String>> = Command::new("TAIL").resumable().endless();

#[tokio::test(start_paused = true)]
async fn a_server_that_says_at_once_each_time_is_called_ever_more_seldom() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let begun = Instant::now();
    let call = tokio::spawn(client.call(AGAIN, &"a".to_owned()));
    for tag in 1..=8 {
        assert!(peer.next().await.unwrap().starts_with("ECHO"));
        peer.send(format!("<{tag} err 0 overloaded retry=0\n")).await;
    }
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    assert!(begun.elapsed() > 200 * MS, "{:?}", begun.elapsed());
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_further_does_so_without_long_pauses() {
    // One that does not is given up when its repeats are used up.
    for comes_further in [true, false] {
        let (reconnect, mut peers) = reconnect_and_peers();
        let client = reconnect.repeats_max(3).client();
        let mut peer = peers.recv().await.unwrap();
        let begun = Instant::now();
        let mut call = tokio::spawn(client.call(TAIL, &()).finish());
        let mut is_given_up = false;
        for tag in 1..=30 {
            let line = tokio::select! {
                line = peer.next() => line.unwrap(),
                error = &mut call => {
                    assert_eq!(error.unwrap().unwrap_err().code(), Code::Overloaded);
                    // The first loss of what had begun is not charged.
                    assert_eq!(tag, 6);
                    is_given_up = true;
                    break;
                }
            };
            assert_eq!(line.contains(" from="), tag > 1, "{line}");
            let first = if comes_further { tag } else { 1 };
            peer.send(format!("<{tag} open n={first}\n")).await;
            if comes_further {
                peer.send(format!("<{tag} item 2\n\u{1}x")).await;
            }
            peer.send(format!("<{tag} err 0 overloaded ran=1\n")).await;
        }
        assert_ne!(is_given_up, comes_further);
        assert!(begun.elapsed() <= 30 * 50 * MS, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_before_it_began_is_made_again() {
    const WATCH: Command<(), Streamed<String>> = Command::new("WATCH");
    for (answer, is_again) in [("overloaded", true), ("overloaded ran=1", false)] {
        let (client, mut peers) = client_and_peers();
        let mut peer = peers.recv().await.unwrap();
        let call = tokio::spawn(client.call(WATCH, &()).finish());
        assert!(peer.next().await.unwrap().starts_with("WATCH 1"));
        peer.send(format!("<1 err 0 {answer}\n")).await;
        if is_again {
            assert!(within(peer.next()).await.unwrap().starts_with("WATCH 2"));
            peer.send("<2 ok 0\n").await;
        }
        assert_eq!(within(call).await.unwrap().is_ok(), is_again);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_peer_shows_that_a_connection_was_good() {
    let (client, mut peers) = client_and_peers();
    for _ in 0..12 {
        let waits = Instant::now();
        let mut peer = peers.recv().await.unwrap();
        assert!(waits.elapsed() <= 50 * MS, "{:?}", waits.elapsed());
        let call = tokio::spawn(client.call(ECHO, &"a".to_owned()));
        assert!(peer.next().await.unwrap().starts_with("ECHO"));
        peer.send("<1 err 0 invalid\n").await;
        within(call).await.unwrap().unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_leaves_his_place_in_each_step() {
    let host = Host::default();
    let sick = Endpoint::new().on(ECHO, async |_: String| {
        Err::<String, _>(Error::new(Code::Overloaded, "sick").with_retry_after(20 * SECOND))
    });
    for is_up in [false, true] {
        if is_up {
            host.up(&sick);
        }
        let client = host.reconnect().waiting_calls_max(1).client();
        for is_late in [false, true, false, true] {
            let call = client.call(AGAIN, &"a".to_owned());
            let time = if is_late { SECOND } else { 60 * SECOND };
            let call = tokio::spawn(call.timeout(if is_up { 60 * SECOND } else { time }));
            sleep(2 * SECOND).await;
            assert_eq!(call.is_finished(), is_late && !is_up);
            call.abort();
            let _ = call.await;
        }
        // There is a place for one, and there is none for two.
        let one = tokio::spawn(client.call(AGAIN, &"a".to_owned()).timeout(60 * SECOND));
        sleep(2 * SECOND).await;
        let two = client.call(AGAIN, &"a".to_owned()).timeout(60 * SECOND).await;
        assert!(two.unwrap_err().text().starts_with("waiting_calls_max"));
        assert!(!one.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_dials_for_a_client_that_is_dropped() {
    // While it dials, and while it pauses.
    for takes in [true, false] {
        let dials = Count::default();
        let dialling = Arc::new(());
        let (counts, held) = (dials.clone(), Arc::clone(&dialling));
        let client = Reconnect::by(move || {
            counts.add();
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                if takes {
                    std::future::pending::<()>().await;
                }
                Err(Error::new(Code::Disconnected, "nobody is there"))
            }
        })
        .connect_time_max(3600 * SECOND)
        .client();
        sleep(SECOND).await;
        let before = dials.now();
        drop(client);
        settle().await;
        assert_eq!(Arc::strong_count(&dialling), 1, "the dial is kept");
        sleep(60 * SECOND).await;
        assert_eq!(dials.now(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_gives_what_has_ended_is_no_better_than_none() {
    let (here, there) = transport::memory();
    drop(there);
    let old = Endpoint::new().connect_over(here);
    old.closed().await;
    let dials = Count::default();
    let counts = dials.clone();
    let client = Reconnect::by(move || {
        counts.add();
        let old = old.clone();
        async move { Ok(old) }
    })
    .client();
    let error = client.call(ADD, &(1, 2)).timeout(60 * SECOND).await.unwrap_err();
    assert!(error.is_safe_to_retry(), "{error}");
    assert!(dials.now() < 60, "{} dials", dials.now());
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_only_where_it_asked_to() {
    // (what the next connection says, whether an item is taken)
    let cases = [
        ("<1 open n=7\n<1 item 2\n\u{1}x", true),
        ("<1 open n=8\n<1 item 2\n\u{1}x", false),
        ("<1 open n=5\n<1 item 2\n\u{1}x", false),
        ("<1 open\n<1 item 2\n\u{1}x", false),
        ("<1 item 2\n\u{1}x", false),
        ("<1 ok 0\n", false),
    ];
    for (answer, is_taken) in cases {
        let (client, mut peers) = client_and_peers();
        let mut peer = peers.recv().await.unwrap();
        let mut lines = client.call(TAIL, &()).resume_at(5);
        let first = tokio::spawn(async move {
            (lines.next().await, lines.next().await, lines.next().await, lines)
        });
        // Lost before it is opened, it asks for the same once more.
        assert!(peer.next().await.unwrap().contains("from=5"));
        drop(peer);
        let mut peer = peers.recv().await.unwrap();
        assert!(peer.next().await.unwrap().contains("from=5"));
        peer.send("<1 open n=5\n<1 item 2\n\u{1}a<1 item 2\n\u{1}b").await;
        settle().await;
        drop(peer);
        let mut peer = peers.recv().await.unwrap();
        let line = peer.next().await.unwrap();
        assert!(line.contains("from=7"), "{line}");
        peer.send(answer).await;
        let (one, two, three, mut lines) = within(first).await.unwrap();
        assert_eq!((one.unwrap().unwrap(), two.unwrap().unwrap()), ("a".into(), "b".into()));
        let three = three.unwrap();
        assert_eq!(three.is_ok(), is_taken, "{answer:?}: {three:?}");
        if let Err(error) = three {
            assert_eq!(error.code(), Code::Invalid, "{answer:?}: {error}");
            assert!(lines.next().await.is_none());
        }
    }
}

#[test]
fn a_call_that_waits_outside_of_any_runtime_ends_in_time() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(async { Host::default().reconnect().client() });
    let (to, from) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let call = client.call(ADD, &(1, 2)).timeout(50 * MS);
        to.send(block_on(call)).unwrap();
    });
    let error = from.recv_timeout(20 * SECOND).expect("it hangs").unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

/// Polls a future outside of any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
