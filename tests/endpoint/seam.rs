//! The seam from outside: a door that a user writes, a channel that a user writes, and the client
//! of an endpoint's own handlers.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use switchboard::format::Line;
use switchboard::service::{Answer, Channel, Door, Request, Service};
use switchboard::transport::Peer as Identity;
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::support::*;

/// A door of one's own: each request is a datagram, and so is each reply. A request is
/// `NAME [FORMAT [MS]]\nPAYLOAD`, a reply `ok PAYLOAD` or `err CODE TEXT`.
mod datagrams {
    use super::*;

    pub(super) struct Datagram {
        pub(super) peer: SocketAddr,
        pub(super) bytes: Bytes,
    }

    /// Answers what comes until `stop`, and then drains.
    pub(super) async fn serve(
        endpoint: Endpoint,
        mut inbox: mpsc::Receiver<Datagram>,
        outbox: mpsc::Sender<Datagram>,
        stop: impl Future,
    ) {
        let door = endpoint.door();
        let (mut stop, mut closed) = (pin!(stop), pin!(door.closed()));
        loop {
            let datagram = tokio::select! {
                _ = &mut stop, if !door.is_closed() => {
                    door.close();
                    continue;
                }
                () = &mut closed => return,
                Some(datagram) = inbox.recv() => datagram,
            };
            let (outbox, answer) = (outbox.clone(), begin(&door, &datagram));
            tokio::spawn(async move {
                let bytes = match answer.await {
                    Ok(reply) => [b"ok ", reply.payload()].concat(),
                    Err(error) => format!("err {} {}", error.code(), error.text()).into_bytes(),
                };
                let _ = outbox.send(Datagram { peer: datagram.peer, bytes: bytes.into() }).await;
            });
        }
    }

    fn begin(door: &Door, Datagram { peer, bytes }: &Datagram) -> Answer {
        match request(bytes) {
            Ok(request) => door.call(request.with_peer(Identity::tcp(*peer))),
            Err(error) => Answer::ready(Err(error)),
        }
    }

    fn request(bytes: &Bytes) -> Result<Request> {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let line = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
        let mut words = line.split(' ');
        let payload = bytes.slice((end + 1).min(bytes.len())..);
        let mut request = Request::new(words.next().unwrap_or_default(), payload)?;
        if let Some(format) = words.next() {
            request = request.with_format(format)?;
        }
        match words.next().unwrap_or_default().parse() {
            Ok(ms) => Ok(request.with_timeout(Duration::from_millis(ms))),
            Err(_) => Ok(request),
        }
    }
}

use datagrams::Datagram;

const PANIC: Command<String, String, Line> = Command::new("PANIC");
const WHO: Command<String, String, Line> = Command::new("WHO");
const BACK: Command<String, String, Line> = Command::new("BACK");
const FOREIGN: Command<String, String, Line> = Command::new("FOREIGN");

/// The far end of a door for datagrams.
struct Datagrams {
    here: SocketAddr,
    outbox: mpsc::Sender<Datagram>,
    inbox: mpsc::Receiver<Datagram>,
    stop: Option<oneshot::Sender<()>>,
}

impl Datagrams {
    fn new(endpoint: &Endpoint) -> Self {
        let ((outbox, there), (far, inbox)) = (mpsc::channel(1000), mpsc::channel(1000));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(datagrams::serve(endpoint.clone(), there, far, stopped));
        let here = SocketAddr::from(([10, 0, 0, 7], 4000));
        Self { here, outbox, inbox, stop: Some(stop) }
    }

    async fn send(&self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.outbox.send(Datagram { peer: self.here, bytes }).await.unwrap();
    }

    /// The next reply; `None` when the door is closed.
    async fn next(&mut self) -> Option<String> {
        let datagram = within(self.inbox.recv()).await?;
        assert_eq!(datagram.peer, self.here);
        Some(String::from_utf8(datagram.bytes.to_vec()).unwrap())
    }

    #[track_caller]
    fn check<'a>(&'a mut self, sent: &'a str, expected: &'a str) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            self.send(sent).await;
            assert_eq!(self.next().await.as_deref(), Some(expected), "{sent:?} at {place}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_of_ones_own_has_all_that_a_connection_has() {
    let held = Held::new();
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 100;
        limits.call_time_max = SECOND;
    });
    let endpoint = held
        .on(endpoint)
        .on(PANIC, async |_: String| -> Result<String> { panic!("on purpose") })
        .on(FOREIGN, async |_: String| Err::<String, _>(anyhow::anyhow!("a secret")))
        .on(WHO, async |_: String, context: Context| Ok::<_, Error>(context.peer().to_string()))
        .on(BACK, async |text: String, context: Context| {
            let error = context.client().call(ECHO, &text).await.unwrap_err();
            Ok::<_, Error>(error.to_string())
        });
    let mut far = Datagrams::new(&endpoint);
    far.check("ECHO line\nhello", "ok hello").await;
    far.check("ADD\n\u{1}\u{2}", "ok \u{3}").await;
    far.check("ADD\nx", "err bad_payload the payload is not valid bincode").await;
    far.check("NOPE\n", "err unknown_command there is no command NOPE; ? lists them").await;
    far.check("ADD 7z\n", "err unsupported_format no format can have this name").await;
    far.check("\u{7}\n", "err unknown_command no command can have this name").await;
    let raw = "err unsupported_format STRING is a raw command: call it plainly";
    far.check("STRING\n", raw).await;
    far.check("PANIC line\n", "err panicked the handler panicked").await;
    far.check("FOREIGN line\n", "err failed the handler failed").await;
    far.check("WHO line\n", "ok 10.0.0.7:4000").await;
    let nobody = "ok ECHO: unknown_command: ECHO cannot be called: there is no way back";
    far.check("BACK line\nx", nobody).await;
    let large = format!("ECHO line\n{}", "x".repeat(101));
    let over = "payload of 101 bytes is over payload_bytes_max (100)";
    far.check(&large, &format!("err too_large a {over}")).await;
    // A reply as well.
    far.check("LETTERS json\n99", &format!("err too_large a {over}")).await;
    let begin = Instant::now();
    let late = "err deadline_exceeded the handler did not answer";
    far.check("HOLD line 50\nx", &format!("{late} in time")).await;
    assert_eq!(begin.elapsed(), 50 * MS);
    far.check("HOLD line\nx", &format!("{late} within call_time_max (1s)")).await;
    far.check("HOLD line 5000\nx", &format!("{late} within call_time_max (1s)")).await;
    held.ended.reach(3).await;
    far.check("ECHO line\nstill here", "ok still here").await;
}

#[tokio::test(start_paused = true)]
async fn calls_through_a_door_are_bounded() {
    let held = Held::new();
    let endpoint = limited(|limits| {
        limits.calls_per_connection_max = 2;
        limits.calls_max = 3;
        limits.held_bytes_max = 64 * 1024;
    });
    let endpoint = held.on(endpoint);
    let (mut one, mut other) = (Datagrams::new(&endpoint), Datagrams::new(&endpoint));
    one.send("HOLD line\na").await;
    one.send("HOLD line\nb").await;
    held.begun.reach(2).await;
    let full = "err overloaded calls_per_connection_max (2) are running";
    one.check("ECHO line\nx", full).await;
    other.send("HOLD line\nc").await;
    held.begun.reach(3).await;
    other.check("ECHO line\nx", "err overloaded calls_max (3) are running already").await;
    held.release(3);
    for _ in 0..2 {
        one.next().await.unwrap();
    }
    other.next().await.unwrap();
    let large = format!("ECHO line\n{}", "x".repeat(70_000));
    one.send(&large).await;
    let text = one.next().await.unwrap();
    assert!(
        text.starts_with("err overloaded ") && text.ends_with("held_bytes_max (65536)"),
        "{text}"
    );
    // All that they held has been given back.
    one.check(&large[..30_000], &format!("ok {}", &large[10..30_000])).await;
}

#[tokio::test(start_paused = true)]
async fn a_door_drains() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.drain_time_max = SECOND));
    let mut far = Datagrams::new(&endpoint);
    far.send("HOLD line\nfirst").await;
    far.send("HOLD line\nsecond").await;
    held.begun.reach(2).await;
    far.stop.take().unwrap().send(()).unwrap();
    settle().await;
    far.check("ECHO line\nx", "err shutting_down no more calls are taken").await;
    held.release(1);
    assert_eq!(far.next().await.as_deref(), Some("ok first"));
    let cut_off = "err shutting_down the call did not end within drain_time_max (1s)";
    assert_eq!(far.next().await.as_deref(), Some(cut_off));
    held.ended.reach(2).await;
    assert_eq!(far.next().await, None);
    // Other doors of the endpoint are open.
    Datagrams::new(&endpoint).check("ECHO line\nx", "ok x").await;
}

fn hold() -> Request {
    Request::new("HOLD", "x").unwrap().with_format("line").unwrap()
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_an_answer_stops_the_handler() {
    let held = Held::new();
    let door = held.on(endpoint()).door();
    let answer = door.call(hold());
    let task = tokio::spawn(answer);
    held.begun.reach(1).await;
    task.abort();
    held.ended.reach(1).await;
    door.close();
    within(door.closed()).await;
}

/// Nothing panics where there is no runtime to keep the time.
#[test]
fn an_answer_may_be_polled_in_no_runtime() {
    let held = Held::new();
    let door = held.on(endpoint()).door();
    let mut answer = Box::pin(door.call(hold()));
    let cx = &mut TaskContext::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(cx).is_pending());
    door.close();
    assert!(answer.as_mut().poll(cx).is_pending());
    held.release(1);
    let Poll::Ready(Ok(reply)) = answer.as_mut().poll(cx) else { panic!("it was let go") };
    assert_eq!(reply.payload(), b"x");
}

/// What a layer puts beside a call.
struct Tenant(u32);

#[tokio::test(start_paused = true)]
async fn values_beside_a_call_reach_its_handler() {
    let who = || Request::new("WHO", "").unwrap().with_format("line").unwrap();
    let endpoint = Endpoint::new().on(WHO, async |_: String, context: Context| {
        let tenant = context.extensions().get::<Tenant>().map(|tenant| tenant.0);
        Ok::<_, Error>(format!("{tenant:?}"))
    });
    for (request, expected) in [(who(), "None"), (who().with_extension(Tenant(7)), "Some(7)")] {
        let reply = Service::call(&endpoint, request).await.unwrap();
        assert_eq!(reply.payload(), expected.as_bytes());
    }
}

/// Takes calls, and never answers.
struct Silent(Count);

impl Service for Silent {
    fn call(&self, _: Request) -> Answer {
        let guard = self.0.guard();
        Answer::new(async move {
            let _guard = guard;
            std::future::pending().await
        })
    }
}

impl Channel for Silent {}

/// Its caller's deadline, or 30 s, whatever the channel does.
#[tokio::test(start_paused = true)]
async fn a_call_over_a_channel_always_ends() {
    let dropped = Count::default();
    let client = Client::over(Silent(dropped.clone()));
    let begin = Instant::now();
    let error = client.call(ADD, &(1, 2)).timeout(SECOND).await.unwrap_err();
    assert_eq!(error.to_string(), "ADD: deadline_exceeded: no reply came in time");
    assert_eq!((begin.elapsed(), error.is_safe_to_retry()), (SECOND, false));
    let error = client.call(ADD, &(1, 2)).await.unwrap_err();
    assert_eq!(error.text(), "no reply came within call_time_max (30s)");
    assert_eq!(begin.elapsed(), 31 * SECOND);
    let error = client.notify(ADD, &(1, 2)).await.unwrap_err();
    assert_eq!((error.code(), begin.elapsed()), (Code::DeadlineExceeded, 61 * SECOND));
    dropped.reach(3).await;
}

/// Fails every third call, of whatever kind.
struct Flaky {
    inner: Client,
    calls: AtomicU32,
}

impl Service for Flaky {
    fn call(&self, request: Request) -> Answer {
        if self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Answer::ready(Err(Error::new(Code::Overloaded, "the third call")));
        }
        Service::call(&self.inner, request)
    }
}

impl Channel for Flaky {
    fn inner(&self) -> Option<&dyn Channel> {
        Some(&self.inner)
    }
}

/// What a client behind a channel is asked for, it is asked for as if nothing were in front.
#[tokio::test(start_paused = true)]
async fn a_channel_in_front_of_another_is_closed_with_it() {
    let inner = client(&endpoint());
    let (peer, limits) = (inner.peer().clone(), Channel::limits(&inner).clone());
    let flaky = Flaky { inner: inner.clone(), calls: AtomicU32::new(0) };
    assert_eq!(Channel::limits(&flaky), &limits);
    let client = Client::over(flaky);
    assert_eq!(client.peer().to_string(), peer.to_string());
    client.flush().await.unwrap();
    assert!(!client.is_closed());
    client.clone().close().await;
    assert!(client.is_closed() && inner.is_closed());
    client.closed().await;
    let (error, straight) = (client.call(ADD, &(1, 2)).await, inner.call(ADD, &(1, 2)).await);
    assert_eq!(error.unwrap_err().code(), straight.unwrap_err().code());
}

#[tokio::test(start_paused = true)]
async fn a_client_is_made_of_any_channel() {
    let noted = Count::default();
    let note = noted.clone();
    let endpoint = endpoint().on(CANARY, move |text: String| {
        note.add();
        async { Ok::<_, Error>(text) }
    });
    for inner in [client(&endpoint), endpoint.client()] {
        let client = Client::over(Flaky { inner, calls: AtomicU32::new(0) });
        for round in 0..3 {
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
            client.notify(CANARY, &"x".to_owned()).await.unwrap();
            let error = client.call(ADD, &(1, 2)).await.unwrap_err();
            assert_eq!(error.to_string(), "ADD: overloaded: the third call", "in round {round}");
        }
        // What the channel does not do is left to its user: the errors are the peer's.
        let error = client.call(CHECK_STOCK, &"item2".to_owned()).await.unwrap_err();
        assert!(error.is_from_peer(), "{error:?}");
        assert!(!client.is_closed());
    }
    noted.reach(6).await;
}
