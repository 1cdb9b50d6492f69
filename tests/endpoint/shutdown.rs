//! Stopping: what is under way finishes, what is not is told, and no reply is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::format::Line;
use switchboard::transport::{self, MemoryDialer};
use switchboard::wire::Flaw;
use switchboard::{Client, Code, Command, Connection, Context, Endpoint, Error, Report, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::support::*;

const CLOSING: &str = "<0 err 24 shutting_down\nno more calls are taken\n";

struct Serving {
    dialer: MemoryDialer,
    stop: oneshot::Sender<()>,
    report: JoinHandle<Result<Report>>,
}

impl Serving {
    fn new(endpoint: &Endpoint) -> Self {
        let (listener, dialer) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel();
        let endpoint = endpoint.clone();
        let report = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
        Self { dialer, stop, report }
    }

    async fn dial(&self) -> Peer<transport::MemoryStream> {
        Peer::new(self.dialer.dial().await.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_finishes_and_nothing_else_begins() {
    let held = Held::new();
    let serving = Serving::new(&held.on(endpoint()));
    let mut busy = serving.dial().await;
    busy.send("ECHO 1 1 f=line\naNOPE 2 0\nHOLD 3 1 f=line\nb").await;
    busy.expect("<1 ok 1\na").await;
    busy.expect_error(2, Code::UnknownCommand).await;
    held.begun.reach(1).await;
    let start = Instant::now();
    let Serving { dialer, stop, report } = serving;
    stop.send(()).unwrap();
    busy.expect(CLOSING).await;
    busy.send("ECHO 4 1 f=line\nc").await;
    busy.expect(&err(4, Code::ShuttingDown, "no more calls are taken")).await;
    assert_eq!(dialer.dial().await.unwrap_err().code(), Code::Disconnected);
    assert!(!report.is_finished());
    held.release(1);
    busy.expect("<3 ok 1\nb").await;
    busy.expect_farewell().await;
    busy.finish().await;
    let report = within(report).await.unwrap().unwrap();
    assert_eq!((report.connections, report.connections_refused), (1, 0));
    assert_eq!((report.calls_answered, report.calls_cut_off), (3, 0));
    assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn idle_and_half_read_connections_close_at_once() {
    let endpoint = endpoint();
    for sent in ["", "ECHO", "ECHO 1 10 f=line\nabc", "ECHO 1 9999999 f=line\nabc"] {
        let serving = Serving::new(&endpoint);
        let mut peer = serving.dial().await;
        peer.send("ECHO 7 0 f=line\n").await;
        peer.expect("<7 ok 0\n").await;
        peer.send(sent).await;
        settle().await;
        let start = Instant::now();
        serving.stop.send(()).unwrap();
        if sent.ends_with("9999999 f=line\nabc") {
            peer.expect_error(1, Code::TooLarge).await;
        }
        peer.expect(CLOSING).await;
        peer.expect_farewell().await;
        assert!(start.elapsed() < Duration::from_millis(10), "{sent:?}: {:?}", start.elapsed());
        drop(peer);
        let report = within(serving.report).await.unwrap().unwrap();
        assert_eq!((report.connections, report.calls_cut_off), (1, 0));
    }
}

/// A plain call that waits for its turn does not run any more; one that has begun does.
#[tokio::test(start_paused = true)]
async fn plain_calls_are_treated_alike() {
    async fn twice(connection: &mut Connection) -> Result<()> {
        for _ in 0..2 {
            let line = connection.read_line().await?.unwrap_or_default();
            connection.write_line(&line).await?;
        }
        Ok(())
    }
    let held = Held::new();
    let (endpoint, canary) = with_canary(held.on(endpoint()).on_raw("TWICE", twice));
    let serving = Serving::new(&endpoint);
    let (mut raw, mut waiting) = (serving.dial().await, serving.dial().await);
    raw.send("TWICE\na\n").await;
    raw.expect_bytes("a\n").await;
    waiting.send("HOLD 1 1 f=line\na\nCANARY\nx\n".replace("a\nC", "aC")).await;
    held.begun.reach(1).await;
    settle().await;
    serving.stop.send(()).unwrap();
    settle().await;
    raw.send("b\nECHO\nc\n").await;
    raw.expect_bytes("b\n").await;
    raw.expect(CLOSING).await;
    raw.expect_farewell().await;
    waiting.expect(CLOSING).await;
    held.release(1);
    waiting.expect("<1 ok 1\na").await;
    waiting.expect_farewell().await;
    drop((raw, waiting));
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (1, 0));
    assert_eq!(canary.now(), 0);
}

/// As `Endpoint::listen` promises.
#[cfg(unix)]
#[tokio::test]
async fn who_drops_a_listen_stops_it_and_calls_under_way_go_on() {
    let held = Held::new();
    let served = held.on(endpoint());
    let path = std::env::temp_dir().join(format!("switchboard-listen-{}", std::process::id()));
    let address = transport::Address::Unix(path.clone());
    let at = address.clone();
    let listening = tokio::spawn(async move { served.listen(at).await });
    let client = loop {
        match Client::connect(address.clone()).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let call = tokio::spawn(client.call(HOLD, &"a".to_owned()));
    held.begun.reach(1).await;
    listening.abort();
    assert!(listening.await.unwrap_err().is_cancelled());
    assert!(!path.exists());
    assert_eq!(Client::connect(address).await.unwrap_err().code(), Code::Disconnected);
    let refused = client.call(ECHO, &"b".to_owned()).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_safe_to_retry()), (Code::ShuttingDown, true));
    held.release(1);
    assert_eq!(call.await.unwrap().unwrap(), "a");
    within(client.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_ended() {
    async fn forever(connection: &mut Connection) -> Result<()> {
        connection.write_line("begun").await?;
        std::future::pending().await
    }
    let held = Held::new();
    let serving = Serving::new(&held.on(endpoint()).on_raw("FOREVER", forever));
    let (mut tagged, mut raw) = (serving.dial().await, serving.dial().await);
    tagged.send("HOLD 1 1 f=line\naHOLD 0 1 f=line\nb").await;
    raw.send("FOREVER\n").await;
    raw.expect_bytes("begun\n").await;
    held.begun.reach(2).await;
    let start = Instant::now();
    serving.stop.send(()).unwrap();
    tagged.expect(CLOSING).await;
    let text = "the call did not end within drain_time_max (10s)";
    tagged.expect(&ran(1, Code::ShuttingDown, text)).await;
    tagged.expect_farewell().await;
    raw.expect(CLOSING).await;
    raw.expect(&ran(0, Code::ShuttingDown, text)).await;
    raw.expect_farewell().await;
    drop((tagged, raw));
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 2));
    assert_eq!(report.plain_calls, 1);
    held.ended.reach(2).await;
    assert!(start.elapsed() >= Duration::from_secs(10));
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
}

/// The last handler may end at any moment, also one that nobody waits for.
#[tokio::test(start_paused = true)]
async fn a_call_that_wants_no_reply_is_waited_for() {
    let held = Held::new();
    let serving = Serving::new(&held.on(endpoint()));
    let mut peer = serving.dial().await;
    peer.send("HOLD 0 1 f=line\na").await;
    held.begun.reach(1).await;
    let start = Instant::now();
    serving.stop.send(()).unwrap();
    peer.expect(CLOSING).await;
    held.release(1);
    peer.expect_farewell().await;
    drop(peer);
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!((report.one_way_calls, report.calls_answered, report.calls_cut_off), (1, 0, 0));
    assert!(start.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn one_endpoint_serves_several_listeners() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let (one, two) = (Serving::new(&endpoint), Serving::new(&endpoint));
    let (mut first, mut second) = (one.dial().await, two.dial().await);
    first.send("ECHO 1 1 f=line\na").await;
    first.expect("<1 ok 1\na").await;
    one.stop.send(()).unwrap();
    first.expect(CLOSING).await;
    drop(first);
    let report = within(one.report).await.unwrap().unwrap();
    assert_eq!((report.connections, report.calls_answered), (1, 1));
    second.send("ECHO 1 1 f=line\nb").await;
    second.expect("<1 ok 1\nb").await;
    two.stop.send(()).unwrap();
    second.expect(CLOSING).await;
    drop(second);
    let report = within(two.report).await.unwrap().unwrap();
    assert_eq!((report.connections, report.calls_answered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_serving_future_drains_in_the_background() {
    let held = Held::new();
    let serving = Serving::new(&held.on(endpoint()));
    let mut peer = serving.dial().await;
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    serving.report.abort();
    peer.expect(CLOSING).await;
    held.release(1);
    peer.expect("<1 ok 1\na").await;
    peer.expect_farewell().await;
    assert!(serving.dialer.dial().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_served_stream_stops_its_calls() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let (here, there) = transport::memory();
    let serving = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let mut peer = Peer::new(here);
    peer.send("HOLD 1 1 f=line\na").await;
    held.begun.reach(1).await;
    serving.abort();
    peer.expect_end().await;
    held.ended.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_whoever_waits_is_told() {
    let (listener, dialer) = transport::memory_listener();
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    let serving = tokio::spawn(async move { endpoint().serve_until(listener, async {}).await });
    peer.expect(CLOSING).await;
    peer.expect_farewell().await;
    peer.finish().await;
    let report = serving.await.unwrap().unwrap();
    assert_eq!((report.connections, report.calls_answered), (1, 0));
}

/// The system has let them in, and their calls are there. A listener that is closed resets them.
#[tokio::test]
async fn at_a_stop_nobody_is_reset_who_waits_at_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut peers = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"ECHO 1 1 f=line\na").await.unwrap();
        peers.push(Peer::new(stream));
    }
    let serving = tokio::spawn(async move { endpoint().serve_until(listener, async {}).await });
    for mut peer in peers {
        // After the farewell, what has no reply did not run.
        peer.expect(CLOSING).await;
        peer.expect_farewell().await;
        peer.finish().await;
    }
    let report = within(serving).await.unwrap().unwrap();
    assert_eq!((report.connections, report.calls_answered), (100, 0));
}

/// The client has unread input and the endpoint has too when the endpoint closes: 500,000 bytes of
/// replies arrive all the same.
#[tokio::test]
async fn no_reply_is_lost_to_a_slow_reader() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let endpoint = endpoint();
    let serve = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });

    // Half closed, then read slowly.
    let mut half = TcpStream::connect(address).await.unwrap();
    let sent: String = (1..=5).map(|tag| format!("LETTERS {tag} 6 f=json\n100000")).collect();
    half.write_all(sent.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let mut got = Vec::new();
    let mut piece = vec![0; 1000];
    loop {
        let count = half.read(&mut piece).await.unwrap();
        if count == 0 {
            break;
        }
        got.extend_from_slice(&piece[..count]);
        tokio::task::yield_now().await;
    }
    assert_eq!(got.len(), 5 * ("<1 ok 100002\n\"\"".len() + 100_000));

    // Stopped, while the client still sends what nobody reads.
    let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
    peer.send(&sent).await;
    assert!(peer.next().await.unwrap().starts_with("<1 ok 100002\n"));
    stop.send(()).unwrap();
    let chatter = "LETTERS 9 6 f=json\n100000".repeat(100);
    let mut replies = Vec::new();
    // The endpoint may have closed by then; what it wrote before must come.
    peer.stream.write_all(chatter.as_bytes()).await.ok();
    while let Some(reply) = peer.next().await {
        replies.push(reply);
    }
    for tag in 2..=5 {
        let head = format!("<{tag} ok 100002\n");
        assert!(replies.iter().any(|reply| reply.starts_with(&head)), "{tag} is missing");
    }
    drop(peer);
    serve.await.unwrap().unwrap();
}

/// What was answered before a violation arrives before the word of it.
#[tokio::test]
async fn no_reply_is_lost_to_a_violation() {
    const BIG: Command<String, String, Line> = Command::new("BIG");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let big = async |_: String| Ok::<_, Error>("x".repeat(500_000));
    let endpoint = endpoint().on(BIG, big);
    tokio::spawn(async move { endpoint.serve(listener).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let got = exchange_over(stream, format!("BIG 1 0 f=line\n\n{}", "A".repeat(100_000))).await;
    let expected = format!("<1 ok 500000\n{}", "x".repeat(500_000));
    assert!(
        got == expected + &err(0, Code::Protocol, &Flaw::EmptyLine.to_string()),
        "{} bytes",
        got.len()
    );
}

/// A command whose handler calls back, and what it kept of that.
#[derive(Clone)]
struct Job {
    held: Held,
    kept: Arc<Mutex<Option<Client>>>,
}

impl Job {
    fn new() -> Self {
        Self { held: Held::new(), kept: Arc::default() }
    }

    fn on(&self, endpoint: Endpoint) -> Endpoint {
        let job = self.clone();
        endpoint.on(JOB, move |text: String, context: Context| job.clone().run(text, context))
    }

    /// Waits until it is let go, tells how far it is, and asks how to go on.
    async fn run(self, text: String, context: Context) -> Result<String> {
        let peer = context.client();
        *self.kept.lock().unwrap() = Some(peer.clone());
        self.held.begun.add();
        self.held.gate.acquire().await.unwrap().forget();
        peer.notify(PROGRESS, &text).await?;
        peer.call(PROGRESS, &text).await
    }

    /// What was kept of a handler that has ended is of no use.
    async fn check_kept(&self) {
        let kept = self.kept.lock().unwrap().take().unwrap();
        assert!(kept.is_closed());
        let error = kept.call(PROGRESS, &String::new()).await.unwrap_err();
        assert_eq!((error.code(), error.was_sent()), (Code::ShuttingDown, false), "{error}");
        let error = kept.notify(PROGRESS, &String::new()).await.unwrap_err();
        assert_eq!((error.code(), error.was_sent()), (Code::ShuttingDown, false), "{error}");
    }
}

const JOB: Command<String, String, Line> = Command::new("JOB");
const PROGRESS: Command<String, String, Line> = Command::new("PROGRESS");

/// Who may finish may also ask.
#[tokio::test(start_paused = true)]
async fn a_handler_calls_back_while_its_side_drains() {
    let job = Job::new();
    let serving = Serving::new(&job.on(job.held.on(endpoint())));
    let mut peer = serving.dial().await;
    peer.send("JOB 1 1 f=line\naHOLD 2 1 f=line\nb").await;
    job.held.begun.reach(2).await;
    let start = Instant::now();
    serving.stop.send(()).unwrap();
    peer.expect(CLOSING).await;
    // The first in the queue.
    job.held.release(1);
    peer.expect("PROGRESS 0 1 f=line\na").await;
    peer.expect("PROGRESS 1 1 f=line\na").await;
    peer.send("<1 ok 1\nc").await;
    peer.expect("<1 ok 1\nc").await;
    job.check_kept().await;
    job.held.release(1);
    peer.expect("<2 ok 1\nb").await;
    peer.expect_farewell().await;
    drop(peer);
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (2, 0));
    assert!(start.elapsed() < Duration::from_millis(10));
}

/// It is the caller who stops, and the handler at the other side asks it.
#[tokio::test(start_paused = true)]
async fn a_handler_calls_back_while_its_caller_drains() {
    let job = Job::new();
    let asked = endpoint().on(PROGRESS, async |text: String| Ok::<_, Error>(text + "!"));
    let client = asked.connect_over(dial(&job.on(job.held.on(endpoint()))));
    let call = tokio::spawn(client.call(JOB, &"a".to_owned()));
    let other = tokio::spawn(client.call(HOLD, &"b".to_owned()));
    job.held.begun.reach(2).await;
    let start = Instant::now();
    let closing = tokio::spawn(client.close());
    settle().await;
    job.held.release(1);
    assert_eq!(within(call).await.unwrap().unwrap(), "a!");
    job.check_kept().await;
    job.held.release(1);
    assert_eq!(within(other).await.unwrap().unwrap(), "b");
    within(closing).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(10));
}

/// A call in a call in a call, over one connection that drains.
#[tokio::test(start_paused = true)]
async fn calls_within_calls_finish_too() {
    let job = Job::new();
    let serving = Serving::new(&job.on(endpoint()));
    let echo = |text: String, context: Context| async move {
        let answer = context.client().call(ECHO, &text).await?;
        Ok::<_, Error>(answer + "!")
    };
    let stream = serving.dialer.dial().await.unwrap();
    let client = Endpoint::new().on(PROGRESS, echo).connect_over(stream);
    let call = tokio::spawn(client.call(JOB, &"a".to_owned()));
    job.held.begun.reach(1).await;
    serving.stop.send(()).unwrap();
    settle().await;
    job.held.release(1);
    assert_eq!(within(call).await.unwrap().unwrap(), "a!");
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!(report.calls_cut_off, 0);
}

/// A peer that does not answer does not hold up the end.
#[tokio::test(start_paused = true)]
async fn a_handler_that_calls_back_in_vain_is_ended_in_time() {
    let job = Job::new();
    let serving = Serving::new(&job.on(endpoint()));
    let mut peer = serving.dial().await;
    peer.send("JOB 1 1 f=line\na").await;
    job.held.begun.reach(1).await;
    let start = Instant::now();
    serving.stop.send(()).unwrap();
    peer.expect(CLOSING).await;
    job.held.release(1);
    peer.expect("PROGRESS 0 1 f=line\na").await;
    peer.expect("PROGRESS 1 1 f=line\na").await;
    let text = "the call did not end within drain_time_max (10s)";
    peer.expect(&ran(1, Code::ShuttingDown, text)).await;
    peer.expect(">1 cancel\n").await;
    peer.expect_farewell().await;
    drop(peer);
    let report = within(serving.report).await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 1));
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
}
