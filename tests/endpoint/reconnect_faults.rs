//! Servers and clocks that do wrong, and a client that connects anew.

use switchboard::service::ChannelState;
use switchboard::transport;
use switchboard::{Client, Code, Endpoint, Reconnect};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, sleep};

use super::reconnect::{AGAIN, Host, client_and_peers};
use super::support::*;

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_never_answers_holds_up_nobody_beyond_his_time() {
    let (to, mut silent) = mpsc::unbounded_channel();
    let client = Reconnect::by(move || {
        let (here, there) = transport::memory();
        to.send(there).unwrap();
        let client = endpoint().with_keepalive(15 * SECOND).connect_over(here);
        async move { Ok(client) }
    })
    .client();
    let all_begun = Instant::now();
    while all_begun.elapsed() < 100 * SECOND {
        let begun = Instant::now();
        let error = client.call(ADD, &(1, 2)).timeout(SECOND).await.unwrap_err();
        assert!(begun.elapsed() <= SECOND, "{:?}", begun.elapsed());
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    }
    // Each was left after it had been silent for 30 s, and they were dialled ever more seldom.
    let mut connections = 0;
    while silent.try_recv().is_ok() {
        connections += 1;
    }
    assert!((2..=4).contains(&connections), "{connections} connections in 100 s");
}

#[tokio::test(start_paused = true)]
async fn a_reply_behind_the_deadline_is_nobodys() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    for number in 0..10 {
        let call = client.call(AGAIN, &"a".to_owned()).timeout(SECOND);
        let call = tokio::spawn(call);
        let line = peer.next().await.unwrap();
        let tag = line.split(' ').nth(1).unwrap().to_owned();
        // It may have run, and one more would take as long.
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::DeadlineExceeded, false));
        peer.expect(&format!(">{tag} cancel\n")).await;
        peer.send(format!("<{tag} ok 1\nb")).await;
        let call = client.call(AGAIN, &number.to_string());
        let call = tokio::spawn(call);
        let line = peer.next().await.unwrap();
        let tag = line.split(' ').nth(1).unwrap().to_owned();
        peer.send(format!("<{tag} ok 1\nc")).await;
        assert_eq!(within(call).await.unwrap().unwrap(), "c");
    }
    assert!(peers.try_recv().is_err(), "the connection was left");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_calls_and_nothing_else() {
    let host = Host::default();
    let client = host.reconnect().client();
    let waits = |client: &Client| {
        let call = client.call(ADD, &(1, 2));
        tokio::spawn(call)
    };
    // A call that waits, a pause before a dial, and a connection.
    for is_up in [false, true, false, true] {
        let call = waits(&client);
        settle().await;
        advance(24 * 3600 * SECOND).await;
        match within(call).await.unwrap() {
            Ok(sum) => assert_eq!(sum, 3),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        if is_up {
            host.up(&endpoint());
            assert_eq!(within(client.call(ADD, &(1, 2))).await.unwrap(), 3);
        } else {
            host.kill();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_at_once_is_dialled_ever_more_seldom() {
    let dials = Count::default();
    let counts = dials.clone();
    let client = Reconnect::by(move || {
        counts.add();
        let (here, there) = transport::memory();
        drop(there);
        let client = endpoint().connect_over(here);
        async move { Ok(client) }
    })
    .client();
    let error = client.call(ADD, &(1, 2)).timeout(60 * SECOND).await.unwrap_err();
    assert!(!error.was_sent() || error.code() == Code::Disconnected, "{error}");
    sleep(60 * SECOND).await;
    assert!(dials.now() < 100, "{} dials in two minutes", dials.now());
    assert_ne!(client.state(), ChannelState::Closed);
}

#[tokio::test]
async fn an_idle_connection_to_an_address_is_asked_after_15_s_unless_another_time_is_set() {
    for (time, caller) in [(15, Endpoint::new()), (40, Endpoint::new().with_keepalive(40 * SECOND))]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let client = caller.reconnect(&address).unwrap().client();
        let (stream, _) = listener.accept().await.unwrap();
        let mut states = client.states();
        while states.next().await != Some(ChannelState::Connected) {}
        // Not before: it would pass while the system connects.
        tokio::time::pause();
        let begun = Instant::now();
        let mut peer = Peer::new(stream);
        peer.expect("?PING 1 0\n").await;
        assert_eq!(begun.elapsed().as_secs(), time);
        tokio::time::resume();
    }
}

/// R16 of the reliability goals, as it is written, without the machine.
#[tokio::test(start_paused = true)]
async fn five_hundred_clients_come_back_without_a_storm() {
    let host = Host::default();
    host.up(&endpoint());
    let clients: Vec<_> = (0..500).map(|_| host.crowded().client()).collect();
    for client in &clients {
        client.call(ADD, &(1, 2)).await.unwrap();
    }
    host.kill();
    let before = host.dials.now();
    sleep(10 * SECOND).await;
    let dials = host.dials.now() - before;
    assert!(dials <= 500 * 12, "{dials} dials");
    host.up(&endpoint());
    let begun = Instant::now();
    let calls: Vec<_> = clients
        .iter()
        .map(|client| {
            let call = client.call(ADD, &(1, 2));
            tokio::spawn(call)
        })
        .collect();
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap(), 3);
    }
    assert!(begun.elapsed() <= 6 * SECOND, "{:?}", begun.elapsed());
}
