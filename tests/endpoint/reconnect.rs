//! A client that connects anew: what it makes again, what it never does, and what it bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::format::Line;
use switchboard::service::{ChannelState, Request, Service};
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Reconnect};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::support::*;

/// As `ECHO`, and it may run twice.
pub const AGAIN: Command<String, String, Line> = Command::new("ECHO").idempotent();

/// A server that comes and goes, and what has been dialled to it.
#[derive(Clone, Default)]
pub struct Host {
    now: Arc<Mutex<Option<Endpoint>>>,
    serving: Arc<Mutex<Vec<JoinHandle<()>>>>,
    pub dials: Count,
    dialling: Arc<AtomicUsize>,
}

impl Host {
    pub fn up(&self, endpoint: &Endpoint) {
        *self.now.lock().unwrap() = Some(endpoint.clone());
    }

    /// All connections are lost, and nobody is there any more.
    pub fn kill(&self) {
        self.now.lock().unwrap().take();
        self.serving.lock().unwrap().drain(..).for_each(|serving| serving.abort());
    }

    /// Whether all connections to it have ended.
    pub fn is_left(&self) -> bool {
        self.serving.lock().unwrap().iter().all(JoinHandle::is_finished)
    }

    /// How to make a client of it.
    pub fn reconnect(&self) -> Reconnect {
        self.reconnect_of(&Endpoint::new())
    }

    pub fn reconnect_of(&self, caller: &Endpoint) -> Reconnect {
        let (host, caller) = (self.clone(), caller.clone());
        Reconnect::by(move || {
            let (host, caller) = (host.clone(), caller.clone());
            async move {
                assert_eq!(host.dialling.fetch_add(1, Ordering::SeqCst), 0, "two dials at once");
                settle().await;
                host.dialling.fetch_sub(1, Ordering::SeqCst);
                host.dial(&caller)
            }
        })
    }

    /// The same for one of many clients.
    pub fn crowded(&self) -> Reconnect {
        let host = self.clone();
        Reconnect::by(move || {
            let client = host.dial(&Endpoint::new());
            async move { client }
        })
    }

    pub fn dial(&self, caller: &Endpoint) -> Result<Client, Error> {
        self.dials.add();
        let Some(endpoint) = self.now.lock().unwrap().clone() else {
            return Err(Error::new(Code::Disconnected, "nobody is there"));
        };
        let (here, there) = transport::memory();
        let serving = tokio::spawn(async move { endpoint.serve_stream(there).await });
        self.serving.lock().unwrap().push(serving);
        Ok(caller.connect_over(here))
    }
}

/// A client, and the peers that it connects to, one after the other.
pub fn client_and_peers() -> (Client, mpsc::UnboundedReceiver<Peer<MemoryStream>>) {
    let (reconnect, peers) = reconnect_and_peers();
    (reconnect.client(), peers)
}

pub fn reconnect_and_peers() -> (Reconnect, mpsc::UnboundedReceiver<Peer<MemoryStream>>) {
    let (to, peers) = mpsc::unbounded_channel();
    let reconnect = Reconnect::by(move || {
        let (here, there) = transport::memory();
        let sent = to.send(Peer::new(there));
        async move {
            sent.map_err(Error::internal)?;
            Ok(Endpoint::new().connect_over(here))
        }
    });
    (reconnect, peers)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_if_that_does_no_harm() {
    const NEVER: &str = "never";
    const ALWAYS: &str = "always";
    const IDEMPOTENT: &str = "if it is idempotent";
    // (the answer to the first attempt; nothing is the end of the connection; is it made again?)
    let cases = [
        ("<1 err 0 overloaded\n", ALWAYS),
        ("<1 err 0 overloaded ran=1\n", IDEMPOTENT),
        ("<1 err 0 shutting_down\n", ALWAYS),
        ("<1 err 0 shutting_down ran=1\n", IDEMPOTENT),
        ("<0 err 0 shutting_down\n<0 ok 0\n", ALWAYS),
        ("<0 err 0 shutting_down\n", IDEMPOTENT),
        ("<0 err 0 failed\n", NEVER),
        ("<0 err 0 overloaded\n", IDEMPOTENT),
        ("<0 err 0 overloaded retry=50\n", IDEMPOTENT),
        ("", IDEMPOTENT),
        ("nonsense nonsense nonsense\n", NEVER),
        ("<1 err 0 failed retry=50 ran=1\n", IDEMPOTENT),
        ("<1 err 0 overloaded retry=29000\n", ALWAYS),
        ("<1 err 0 overloaded retry=31000\n", NEVER),
        ("<1 err 0 overloaded retry=18446744073709551615\n", NEVER),
        ("<1 err 0 failed\n", NEVER),
        ("<1 err 0 failed ran=1\n", NEVER),
        ("<1 err 0 invalid\n", NEVER),
        ("<1 err 0 too_large\n", NEVER),
        ("<1 err 0 unknown_command\n", NEVER),
        ("<1 err 0 deadline_exceeded ran=1\n", NEVER),
        ("<1 err 0 cancelled ran=1\n", NEVER),
    ];
    for (answer, when) in cases {
        check_again(answer, ECHO, when == ALWAYS).await;
        check_again(answer, AGAIN, when != NEVER).await;
    }
}

async fn check_again(answer: &str, command: Command<String, String, Line>, is_again: bool) {
    let case = format!("{answer:?}, idempotent: {}", command.facts().is_idempotent());
    let (client, mut peers) = client_and_peers();
    let mut peer = within(peers.recv()).await.unwrap();
    let call = {
        let client = client.clone();
        tokio::spawn(async move { client.call(command, &"a".to_owned()).await })
    };
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send(answer).await;
    let ends = answer.is_empty() || answer.contains("<0 ");
    if ends {
        peer.finish().await;
    }
    let (request, mut peer) = tokio::select! {
        line = peer.next(), if !ends => (line, peer),
        next = peers.recv() => {
            let mut next = next.unwrap();
            // Of a call that is not made again nothing comes.
            let line = tokio::select! { line = next.next() => line, () = sleep(SECOND) => None };
            (line, next)
        }
        () = sleep(40 * SECOND) => (None, peer),
    };
    let request = request.filter(|line| line.starts_with("ECHO"));
    assert_eq!(request.is_some(), is_again, "{case}");
    if let Some(request) = request {
        // It has still as much time as its deadline leaves it, which is said now.
        assert!(request.contains(" f=line t=") && request.ends_with("\na"), "{case}: {request}");
        let tag = request.split(' ').nth(1).unwrap();
        peer.send(format!("<{tag} ok 1\nb")).await;
    }
    let result = within(call).await.unwrap();
    assert_eq!(result.is_ok(), is_again, "{case}: {result:?}");
    if let Err(error) = result {
        let word = answer.split(' ').nth(3).unwrap_or("disconnected").trim();
        let is_of_call = answer.starts_with("<1 ");
        assert!(!is_of_call || word == error.code_word(), "{case}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_noticed_by_no_caller() {
    let host = Host::default();
    let client = host.reconnect().client();
    for _ in 0..20 {
        // They begin to call while nobody is there.
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move { client.call(ADD, &(number, 1)).await })
            })
            .collect();
        sleep(MS).await;
        host.up(&endpoint());
        for (number, call) in (0..).zip(calls) {
            assert_eq!(within(call).await.unwrap().unwrap(), number + 1);
        }
        host.kill();
        settle().await;
    }
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_loses_nothing_and_new_calls_go_elsewhere() {
    let held = Held::new();
    let (listener, dialer) = transport::memory_listener();
    let now = Arc::new(Mutex::new(dialer));
    let client = Reconnect::by({
        let now = Arc::clone(&now);
        move || {
            let dialer = now.lock().unwrap().clone();
            async move { Ok(Endpoint::new().connect_over(dialer.dial().await?)) }
        }
    })
    .client();
    let (stop, stopped) = oneshot::channel::<()>();
    let old = held.on(endpoint());
    let serving = tokio::spawn(async move { old.serve_until(listener, stopped).await });
    let under_way = tokio::spawn({
        let client = client.clone();
        async move { client.call(HOLD, &"kept".to_owned()).await }
    });
    held.begun.reach(1).await;

    let (listener, dialer) = transport::memory_listener();
    *now.lock().unwrap() = dialer;
    drop(stop);
    settle().await;
    tokio::spawn(async move { endpoint().serve(listener).await });
    assert_eq!(within(client.call(ADD, &(1, 2))).await.unwrap(), 3);
    assert!(!under_way.is_finished());
    held.release(1);
    assert_eq!(within(under_way).await.unwrap().unwrap(), "kept");
    let report = within(serving).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (1, 0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_at_its_deadline_why_nobody_is_there() {
    let client = Host::default().reconnect().client();
    let begun = Instant::now();
    let error = client.call(ADD, &(1, 2)).timeout(3 * SECOND).await.unwrap_err();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!((error.code(), error.was_sent()), (Code::DeadlineExceeded, false));
    assert_eq!(error.text(), "there was no connection in time");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "disconnected: nobody is there");
    // Without a deadline of its own a call has the time of its command, or of all.
    let error = client.call(ADD, &(1, 2)).await.unwrap_err();
    assert_eq!((begun.elapsed(), error.code()), (33 * SECOND, Code::DeadlineExceeded));
    let error = client.call(ADD.timeout(SECOND), &(1, 2)).await.unwrap_err();
    assert_eq!((begun.elapsed(), error.code()), (34 * SECOND, Code::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn there_is_one_dial_at_a_time_with_growing_pauses_however_many_wait() {
    let host = Host::default();
    let client = host.reconnect().client();
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let call = client.call(ADD, &(1, 2)).timeout(3600 * SECOND);
            tokio::spawn(call)
        })
        .collect();
    // (after so long, at most so many dials: the pauses are random, and a few of them short)
    for (time, dials_max) in [(MS, 1), (10 * SECOND, 24), (60 * SECOND, 60)] {
        sleep(time).await;
        assert!(host.dials.now() <= dials_max, "{} dials in {time:?}", host.dials.now());
    }
    assert!(host.dials.now() > 15, "{}", host.dials.now());
    host.up(&endpoint());
    let begun = Instant::now();
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap(), 3);
    }
    assert!(begun.elapsed() <= 5 * SECOND + MS);
}

#[tokio::test(start_paused = true)]
async fn pauses_begin_anew_behind_a_connection_that_was_any_good() {
    // (what a connection does before it ends, dials in a minute: many, or few)
    for (answers, lasts, is_good) in [
        (true, MS, true),
        (false, MS, false),
        (false, 4 * SECOND, false),
        (false, 6 * SECOND, true),
    ] {
        let (reconnect, mut peers) = reconnect_and_peers();
        let client = reconnect.client();
        let (begun, mut dials) = (Instant::now(), 0_u32);
        let mut longest = Duration::ZERO;
        while begun.elapsed() < 60 * SECOND {
            let waits = Instant::now();
            let mut peer = peers.recv().await.unwrap();
            longest = longest.max(waits.elapsed());
            dials += 1;
            if answers {
                let call = client.call(ECHO, &"a".to_owned());
                let call = tokio::spawn(call);
                assert!(peer.next().await.unwrap().starts_with("ECHO"));
                peer.send("<1 ok 1\na").await;
                within(call).await.unwrap().unwrap();
            }
            sleep(lasts).await;
        }
        let case = format!("answers: {answers}, lasts {lasts:?}: {dials}, {longest:?}");
        assert_eq!(longest <= 50 * MS, is_good, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_and_the_bytes_of_those_that_wait_are_bounded() {
    let host = Host::default();
    let client = host.reconnect().waiting_calls_max(2).waiting_bytes_max(10).client();
    let wait = |text: &str| {
        let call = client.call(ECHO, &text.to_owned()).timeout(3600 * SECOND);
        tokio::spawn(call)
    };
    let check = async |text: &str, expected: &str| {
        let error = within(client.call(ECHO, &text.to_owned())).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Overloaded, expected));
        assert!(error.is_safe_to_retry() && !error.was_sent());
    };
    // The first may be of any size.
    let large = wait("a request of more than ten bytes");
    settle().await;
    check("", "calls of 32 bytes would wait: over waiting_bytes_max (10)").await;
    large.abort();
    settle().await;
    let first = wait("12345");
    settle().await;
    check("123456", "calls of 11 bytes would wait: over waiting_bytes_max (10)").await;
    let second = wait("12345");
    settle().await;
    check("", "waiting_calls_max (2) wait for a connection").await;
    host.up(&endpoint());
    assert_eq!(within(first).await.unwrap().unwrap(), "12345");
    assert_eq!(within(second).await.unwrap().unwrap(), "12345");
    // With none there is no waiting.
    let client = Host::default().reconnect().waiting_calls_max(0).client();
    let error = client.call(ADD, &(1, 2)).await.unwrap_err();
    assert_eq!(error.text(), "waiting_calls_max (0) wait for a connection");
}

#[tokio::test(start_paused = true)]
async fn a_sick_server_is_not_hammered() {
    // (repeats at most, answers before, calls that it refuses, attempts that it sees)
    let cases = [(100, 0, 1000, 1100), (0, 0, 10, 10), (5, 49, 100, 105), (5, 0, 5, 10)];
    for (repeats_max, answers, calls, attempts) in cases {
        let seen = Count::default();
        let counts = seen.clone();
        const SICK: Command<bool, ()> = Command::new("SICK").idempotent();
        let sick = Endpoint::new().on(SICK, move |is_sick: bool| {
            let counts = counts.clone();
            async move {
                if !is_sick {
                    return Ok(());
                }
                counts.add();
                Err(Error::new(Code::Overloaded, "sick"))
            }
        });
        let host = Host::default();
        host.up(&sick);
        let client = host.reconnect().repeats_max(repeats_max).client();
        for _ in 0..answers {
            client.call(SICK, &false).await.unwrap();
        }
        let before = seen.now();
        for _ in 0..calls {
            // One that is to wait longer than it has time is not made again either.
            let error = client.call(SICK, &true).await.unwrap_err();
            assert_eq!(error.text(), "sick");
        }
        assert_eq!(seen.now() - before, attempts, "{repeats_max} repeats, {answers} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_when_is_obeyed() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let call = tokio::spawn(async move { client.call(ECHO, &"a".to_owned()).await });
    for tag in 1..4 {
        assert!(peer.next().await.unwrap().starts_with("ECHO"));
        peer.send(format!("<{tag} err 0 overloaded retry=7000\n")).await;
        let refused = Instant::now();
        if tag == 3 {
            assert!(peer.next().await.unwrap().starts_with("ECHO"));
            let waited = refused.elapsed();
            assert!((7 * SECOND..8 * SECOND).contains(&waited), "{waited:?}");
            peer.send("<4 ok 1\nb").await;
        }
    }
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn an_error_knows_of_all_attempts() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let call =
        tokio::spawn(async move { client.call(AGAIN, &"a".to_owned()).timeout(10 * SECOND).await });
    peer.expect("ECHO 1 1 f=line t=10000\na").await;
    // It may have run.
    drop(peer);
    let mut peer = peers.recv().await.unwrap();
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<1 err 0 overloaded retry=60000\n").await;
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Overloaded);
    assert!(!error.is_safe_to_retry(), "the first attempt may have run");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_peer_is_left() {
    let caller = Endpoint::new().with_keepalive(15 * SECOND);
    let (to, mut peers) = mpsc::unbounded_channel();
    let client = Reconnect::by(move || {
        let (here, there) = transport::memory();
        to.send(there).unwrap();
        let client = caller.connect_over(here);
        async move { Ok(client) }
    })
    .client();
    let frozen = peers.recv().await.unwrap();
    let begun = Instant::now();
    let call = client.call(AGAIN, &"a".to_owned()).timeout(60 * SECOND);
    let call = tokio::spawn(call);
    let mut peer = Peer::new(peers.recv().await.unwrap());
    assert!(begun.elapsed() <= 31 * SECOND);
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<1 ok 1\nb").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
    drop(frozen);
}

#[tokio::test(start_paused = true)]
async fn its_states_are_told_and_it_can_be_closed() {
    let host = Host::default();
    let held = Held::new();
    let client = host.reconnect().client();
    let mut states = client.states();
    assert_eq!(client.state(), ChannelState::Connecting);
    assert_eq!(states.next().await, Some(ChannelState::Connecting));
    host.up(&held.on(endpoint()));
    assert_eq!(states.next().await, Some(ChannelState::Connected));
    assert_eq!(client.state(), ChannelState::Connected);
    host.kill();
    assert_eq!(states.next().await, Some(ChannelState::Connecting));
    host.up(&held.on(endpoint()));
    assert_eq!(states.next().await, Some(ChannelState::Connected));

    // Calls under way finish, and those that wait or come later are told.
    let under_way = client.call(HOLD, &"kept".to_owned());
    let under_way = tokio::spawn(under_way);
    held.begun.reach(1).await;
    let closing = tokio::spawn(client.clone().close());
    settle().await;
    assert!(client.is_closed() && !closing.is_finished());
    let error = client.call(ADD, &(1, 2)).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Disconnected, "the client is closed"));
    assert!(error.is_safe_to_retry());
    held.release(1);
    assert_eq!(within(under_way).await.unwrap().unwrap(), "kept");
    within(closing).await.unwrap();
    within(client.closed()).await;
    assert_eq!(states.next().await, Some(ChannelState::Closed));
    assert_eq!(states.next().await, None);
    assert_eq!(client.state(), ChannelState::Closed);

    // One that waits for a connection does so no longer.
    let client = Host::default().reconnect().client();
    let call = client.call(ADD, &(1, 2));
    let call = tokio::spawn(call);
    settle().await;
    within(client.close()).await;
    assert_eq!(within(call).await.unwrap().unwrap_err().text(), "the client is closed");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_last_clone_and_its_last_call() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let call = client.clone().call(ECHO, &"a".to_owned());
    let call = tokio::spawn(call);
    peer.expect("ECHO 1 1 f=line\na").await;
    drop(client);
    peer.send("<1 ok 1\nb").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
    // It closes in good order, and dials no more.
    while peer.next().await.is_some() {}
    peer.finish().await;
    assert!(peers.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_goes_once_and_flush_tells_whether_it_may_be_lost() {
    let (client, mut peers) = client_and_peers();
    // It waits for a connection as others do.
    within(client.notify(ECHO, &"a".to_owned())).await.unwrap();
    within(client.flush()).await.unwrap();
    let mut peer = peers.recv().await.unwrap();
    peer.expect("ECHO 0 1 f=line\na").await;
    within(client.notify(ECHO, &"b".to_owned())).await.unwrap();
    drop(peer);
    let mut peer = peers.recv().await.unwrap();
    let error = within(client.flush()).await.unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::Disconnected, true));
    // It is told once, and nothing is sent again.
    within(client.flush()).await.unwrap();
    within(client.notify(ECHO, &"c".to_owned())).await.unwrap();
    peer.expect("ECHO 0 1 f=line\nc").await;
}

#[tokio::test(start_paused = true)]
async fn each_connection_serves_the_handlers_of_whoever_dials() {
    const CALL_ME: Command<u32, u32> = Command::new("CALL_ME");
    let server = Endpoint::new().on(CALL_ME, async |number: u32, context: Context| {
        context.client().call(ADD, &(number, 1)).await
    });
    let host = Host::default();
    let client = host.reconnect_of(&endpoint()).client();
    for number in 0..3 {
        host.up(&server);
        assert_eq!(within(client.call(CALL_ME, &number)).await.unwrap(), number + 1);
        host.kill();
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_untyped_call_is_made_again_as_a_typed_one() {
    for is_idempotent in [false, true] {
        let (client, mut peers) = client_and_peers();
        let mut request = Request::new("ECHO", "a").unwrap().with_format("line").unwrap();
        if is_idempotent {
            request = request.idempotent();
        }
        let call = tokio::spawn(async move { Service::call(&client, request).await });
        let mut peer = peers.recv().await.unwrap();
        peer.expect("ECHO 1 1 f=line\na").await;
        drop(peer);
        if is_idempotent {
            let mut peer = peers.recv().await.unwrap();
            assert!(peer.next().await.unwrap().ends_with("\na"));
            peer.send("<1 ok 1\nb").await;
        }
        let reply = within(call).await.unwrap();
        assert_eq!(reply.is_ok(), is_idempotent, "{reply:?}");
    }
    // One that a channel stands in front of is known to be idempotent, too.
    let (client, mut peers) = client_and_peers();
    let client = Client::over(Through(client));
    let call = tokio::spawn(async move { client.call(AGAIN, &"a".to_owned()).await });
    drop(peers.recv().await.unwrap());
    let mut peer = peers.recv().await.unwrap();
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<1 ok 1\nb").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn what_is_dialled_must_be_a_connection() {
    let inner = endpoint();
    let client = Reconnect::by(move || {
        let client = inner.client();
        async move { Ok(client) }
    })
    .client();
    let error = client.call(ADD, &(1, 2)).timeout(SECOND).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    let text = "failed: what was dialled is not a connection of lines: a Reconnect needs one";
    assert_eq!(source, text);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_takes_too_long_is_given_up() {
    let dials = Count::default();
    let counts = dials.clone();
    let client = Reconnect::by(move || {
        counts.add();
        std::future::pending()
    })
    .connect_time_max(SECOND)
    .backoff(MS, MS)
    .client();
    let error = client.call(ADD, &(1, 2)).timeout(10 * SECOND).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "disconnected: no connection was made within connect_time_max (1s)");
    assert!((9..=11).contains(&dials.now()), "{}", dials.now());
}

#[tokio::test]
async fn an_address_is_dialled_again_over_real_sockets() {
    let mut listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    let client = Client::reconnect(&address).unwrap().client();
    for number in 0..5 {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move { endpoint().serve_until(listener, stopped).await });
        assert_eq!(within(client.call(ADD, &(number, 1))).await.unwrap(), number + 1);
        assert_eq!(client.peer().to_string(), address.to_string());
        drop(stop);
        within(serving).await.unwrap().unwrap();
        listener = transport::bind(&address).await.unwrap();
    }
    let error = Client::reconnect("no port").unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let reconnect = || Client::reconnect("localhost:1").unwrap();
    let check = |text: &str, set: &dyn Fn(Reconnect) -> Reconnect| {
        let set = std::panic::AssertUnwindSafe(|| drop(set(reconnect())));
        let panicked = std::panic::catch_unwind(set).unwrap_err();
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), text);
    };
    let zero = Duration::ZERO;
    check("the first pause (0ns) can't work: it is below 1ms", &|it| it.backoff(zero, SECOND));
    check("the longest pause (1ms) can't work: it is below 1s", &|it| it.backoff(SECOND, MS));
    check("connect_time_max (0ns) can't work: it is below 1ms", &|it| it.connect_time_max(zero));
    check("calls_max (0) can't work: it is below 1", &|it| {
        it.limits(switchboard::Limits::default().with(|limits| limits.calls_max = 0))
    });
}
