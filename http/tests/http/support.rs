//! What the tests share: an endpoint, a server in front of it, and a peer that sends bytes.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use switchboard::format::{Json, Line};
use switchboard::transport::{self, MemoryDialer, MemoryStream};
use switchboard::with_state;
use switchboard::{
    Code, Command, Context, Endpoint, Error, Metadata, Receiver, Result, Sender, Streamed,
};
use switchboard_http::{Gateway, HttpLimits, HttpReport, serve_http, serve_http_until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Subscriber};

pub const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
pub const FAIL: Command<String, (), Json> = Command::new("FAIL");
pub const TELL: Command<(), String, Json> = Command::new("TELL");
/// Whether the caller is a process of this user's.
pub const IS_OWN: Command<(), bool, Json> = Command::new("IS_OWN");
/// Sets metadata beside a reply, or beside an error.
pub const SAY: Command<bool, (), Json> = Command::new("SAY");
/// A text of so many bytes.
pub const REPEAT: Command<usize, String, Json> = Command::new("REPEAT");
/// Stays until all is to end, and leaves something running for 3 s then.
pub const STAY: Command<(), String, Json> = Command::new("STAY");
pub const WAIT: Command<u64, String, Json> = Command::new("WAIT");
pub const QUERY: Command<String, String, Json> = Command::new("QUERY");
pub const SMALL: Command<String, String, Json> = Command::new("SMALL").payload_bytes_max(16);
pub const LINE: Command<String, String, Line> = Command::new("LINE");
pub const COUNT: Command<u64, Streamed<u64>, Json> = Command::new("COUNT").read_only();
/// The entries of a log that begins at 100.
pub const FOLLOW: Command<(), Streamed<u64, String>, Json> =
    Command::new("FOLLOW").read_only().resumable();
pub const NEWS: Command<(), Streamed<u64>, Json> = Command::new("NEWS").read_only().endless();
pub const BREAK: Command<(), Streamed<u64>, Json> = Command::new("BREAK").read_only();
pub const FLOOD: Command<(), Streamed<String>, Json> = Command::new("FLOOD").read_only();
/// The same with items so large that they are counted one by one.
pub const DELUGE: Command<(), Streamed<String>, Json> = Command::new("DELUGE").read_only();
pub const WRITE: Command<(), Streamed<u64>, Json> = Command::new("WRITE");
pub const SUM: Command<Streamed<u64>, u64, Json> = Command::new("SUM");
pub const DOUBLE: Command<Streamed<u64>, Streamed<u64>, Json> = Command::new("DOUBLE");

/// How many handlers have begun, and how many are under way.
#[derive(Clone, Default)]
pub struct Seen {
    begun: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
}

pub struct Entered(Seen);

impl Seen {
    pub fn enter(&self) -> Entered {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        Entered(self.clone())
    }

    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn endpoint(seen: &Seen) -> Endpoint {
    let seen = Arc::new(seen.clone());
    unary(&seen)
        .on_raw("RAW", async |caller: &mut switchboard::Connection| caller.write_line("x").await)
        .on(COUNT, async |end: u64, out: Sender<u64>| {
            for number in 1..=end {
                out.send(&number).await?;
            }
            Ok::<_, Error>(())
        })
        .on(FOLLOW, async |(): (), out: Sender<u64>, context: Context| {
            let first = context.resume_at().unwrap_or(100);
            if !(100..=103).contains(&first) {
                return Err(Error::no_such_position(100..103));
            }
            out.open_at(first);
            for number in first..103 {
                out.send(&number).await?;
            }
            Ok("done".to_owned())
        })
        .on(
            NEWS,
            with_state(&seen, async |seen: Arc<Seen>, (): (), out: Sender<u64>| {
                let _entered = seen.enter();
                out.send(&1).await?;
                std::future::pending::<Result<()>>().await
            }),
        )
        .on(BREAK, async |(): (), out: Sender<u64>| {
            out.send(&1).await?;
            Err::<(), _>(Error::new(Code::Conflict, "it broke").with_details(7_u32))
        })
        .on(FLOOD, with_state(&seen, flood))
        .on(DELUGE, async |(): (), out: Sender<String>| {
            while !out.is_closed() {
                out.send(&"x".repeat(20_000)).await?;
            }
            Ok::<_, Error>(())
        })
        .on(WRITE, async |(): (), out: Sender<u64>| out.send(&1).await)
        .on(SUM, async |(): (), mut items: Receiver<u64>| {
            let mut sum = 0;
            while let Some(item) = items.next().await? {
                sum += item;
            }
            Ok::<_, Error>(sum)
        })
        .on(DOUBLE, async |(): (), mut items: Receiver<u64>, out: Sender<u64>| {
            while let Some(item) = items.next().await? {
                out.send(&(2 * item)).await?;
            }
            Ok::<_, Error>(())
        })
}

async fn flood(seen: Arc<Seen>, (): (), out: Sender<String>) -> Result<()> {
    let _entered = seen.enter();
    loop {
        out.send(&"x".repeat(1000)).await?;
    }
}

fn unary(seen: &Arc<Seen>) -> Endpoint {
    Endpoint::new()
        .on(
            ADD,
            with_state(seen, async |seen: Arc<Seen>, (a, b): (u32, u32)| {
                let _entered = seen.enter();
                Ok::<_, Error>(a + b)
            }),
        )
        .on(FAIL, async |word: String| {
            let code: Code = word.parse().unwrap();
            Err::<(), _>(Error::new(code, "as you like").with_details(7_u32))
        })
        .on(SAY, async |is_well: bool, context: Context| {
            let metadata = Metadata::default().with("tenant-id", "4 2")?.with("other-one", "x")?;
            context.set_reply_metadata(metadata.with("user-name", "a\nb")?);
            if is_well { Ok(()) } else { Err(Error::new(Code::Unauthenticated, "who are you")) }
        })
        .on(IS_OWN, async |(): (), context: Context| {
            let credentials = context.peer().credentials();
            Ok::<_, Error>(credentials.is_some_and(|own| own.pid == Some(std::process::id())))
        })
        .on(TELL, async |(): (), context: Context| {
            let left = context.time_left().as_secs();
            let trace = context.trace().map(|trace| trace.to_string()).unwrap_or_default();
            let peer = context.peer().to_string();
            let peer = peer.split(':').next().unwrap_or_default().to_owned();
            Ok::<_, Error>(format!("{peer} {left} {} {trace}", context.metadata()))
        })
        .on(
            STAY,
            with_state(seen, async |seen: Arc<Seen>, (): (), context: Context| {
                context.draining().await;
                context.spawn(async move {
                    let _entered = seen.enter();
                    tokio::time::sleep(Duration::from_secs(3)).await;
                });
                Ok::<_, Error>("told".to_owned())
            }),
        )
        .on(
            WAIT,
            with_state(seen, async |seen: Arc<Seen>, millis: u64| {
                let _entered = seen.enter();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok::<_, Error>("waited".to_owned())
            }),
        )
        .on(QUERY, async |text: String| Ok::<_, Error>(text.to_uppercase()))
        .on(REPEAT, async |bytes: usize| Ok::<_, Error>("x".repeat(bytes)))
        .on(SMALL, async |text: String| Ok::<_, Error>(text))
        .on(LINE, async |text: String| Ok::<_, Error>(text))
}

/// A server in memory.
pub struct Scene {
    pub seen: Seen,
    pub endpoint: Endpoint,
    pub dialer: MemoryDialer,
    pub stop: Option<oneshot::Sender<()>>,
    pub report: JoinHandle<HttpReport>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(HttpLimits::default(), |gateway| gateway)
    }

    pub fn limited(change: impl FnOnce(&mut HttpLimits)) -> Self {
        Self::with(HttpLimits::default().with(change), |gateway| gateway)
    }

    pub fn with(limits: HttpLimits, set: impl FnOnce(Gateway) -> Gateway) -> Self {
        let seen = Seen::default();
        let endpoint = endpoint(&seen);
        let gateway = set(Gateway::new(&endpoint));
        let (listener, dialer) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel();
        let report = tokio::spawn(serve_http_until(&endpoint, listener, gateway, limits, stopped));
        Self { seen, endpoint, dialer, stop: Some(stop), report }
    }

    pub async fn dial(&self) -> Peer<MemoryStream> {
        Peer::new(self.dialer.dial().await.unwrap())
    }

    /// What comes back for these bytes, until the server closes.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut peer = self.dial().await;
        peer.send(bytes).await;
        peer.rest().await
    }

    /// Whoever behaves is served, over another connection.
    pub async fn check_serves(&self) {
        let response = self.exchange(post("/call/ADD", "[1,2]")).await;
        assert_eq!(status(&response), 200, "{response}");
        assert_eq!(body(&response), "3");
    }

    pub async fn stopped(mut self) -> HttpReport {
        drop(self.stop.take());
        self.report.await.unwrap()
    }
}

/// A server on a port, and its address.
pub async fn on_port(set: impl FnOnce(Gateway) -> Gateway) -> String {
    let endpoint = endpoint(&Seen::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let gateway = set(Gateway::new(&endpoint));
    tokio::spawn(serve_http(&endpoint, listener, gateway, HttpLimits::default()));
    address
}

/// What comes back for these bytes over a socket, until the server closes.
pub async fn exchange_at(address: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
    peer.send(bytes).await;
    peer.rest().await
}

/// Who sends bytes, and reads what comes.
pub struct Peer<I> {
    pub io: I,
    unread: Vec<u8>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Peer<I> {
    pub fn new(io: I) -> Self {
        Self { io, unread: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until this comes, and gives what came with it.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.unread.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(position) = found {
                let taken: Vec<_> = self.unread.drain(..position + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            let mut buffer = [0; 4096];
            let count = self.io.read(&mut buffer).await.unwrap();
            let so_far = String::from_utf8_lossy(&self.unread);
            assert_ne!(count, 0, "{end:?} did not come, but {so_far:?}");
            self.unread.extend_from_slice(&buffer[..count]);
        }
    }

    /// What comes until the end.
    pub async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.unread);
        self.io.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// A request with a JSON body, behind which the connection is closed.
pub fn post(path: &str, body: &str) -> String {
    post_with(path, body, "")
}

/// The same with more headers.
pub fn post_with(path: &str, body: &str, headers: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {len}\r\n{headers}\r\n{body}"
    )
}

pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
}

pub fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
}

pub fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The body of a response that came in chunks, put together; `None` if it was cut off.
pub fn chunked(response: &str) -> Option<String> {
    let (mut rest, mut whole) = (body(response), String::new());
    loop {
        let (len, after) = rest.split_once("\r\n")?;
        let len = usize::from_str_radix(len, 16).ok()?;
        if len == 0 {
            return Some(whole);
        }
        whole.push_str(after.get(..len)?);
        rest = after.get(len..)?.strip_prefix("\r\n")?;
    }
}

pub fn header<'r>(response: &'r str, name: &str) -> Option<&'r str> {
    let head = response.split_once("\r\n\r\n")?.0;
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Lets everything run that can.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The access lines that were logged, without their times, for each thread on its own: a test is a
/// thread.
pub struct Lines;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Fields(String);

impl Lines {
    /// One subscriber for all: one that is set for a test's thread is not asked about an event
    /// that another thread meets first.
    pub fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            set_global_default(Self).unwrap();
            // Of events that a thread has met before this was set.
            tracing::callsite::rebuild_interest_cache();
        });
        LINES.with_borrow_mut(Vec::clear);
    }

    pub fn taken() -> Vec<String> {
        LINES.take()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !["message", "time"].contains(&field.name()) {
            let space = if self.0.is_empty() { "" } else { " " };
            self.0 += &format!("{space}{field}={value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("switchboard_http") && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() == Level::INFO {
            let mut fields = Fields(String::new());
            event.record(&mut fields);
            LINES.with_borrow_mut(|lines| lines.push(fields.0));
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
