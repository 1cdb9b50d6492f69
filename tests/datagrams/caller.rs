//! A socket that is served, and one that calls it by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use switchboard::format::{Json, Line};
use switchboard::transport::PeerAddress;
use switchboard::{
    Code, Command, Connection, Context, Datagram, Datagrams, Endpoint, Error, Limits, Metadata,
    Report, Result, Sender, Streamed,
};
use switchboard_testing::SECOND;
use switchboard_testing::waiting::{Count, settle};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

pub(crate) const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
pub(crate) const ECHO: Command<String, String, Line> = Command::new("ECHO");
pub(crate) const GATE: Command<(), String, Json> = Command::new("GATE");
pub(crate) const HOLD: Command<(), (), Json> = Command::new("HOLD");
pub(crate) const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");
pub(crate) const NOTE: Command<String, (), Json> = Command::new("NOTE");
pub(crate) const PANIC: Command<(), (), Json> = Command::new("PANIC");
pub(crate) const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");

/// No answer takes longer.
const PATIENCE: Duration = SECOND.saturating_mul(20);

/// What handlers have done.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Calls of `NOTE`.
    pub(crate) noted: Count,
    /// Handlers of `HOLD` that have begun, and that were stopped.
    pub(crate) begun: Count,
    pub(crate) stopped: Count,
    /// Lets a call of `GATE` end.
    pub(crate) open: Arc<Notify>,
}

pub(crate) fn endpoint() -> (Endpoint, Seen) {
    let seen = Seen::default();
    let (noted, held, gate) = (seen.noted.clone(), seen.clone(), seen.clone());
    let endpoint = Endpoint::new()
        .on(CHECK_STOCK, check_stock)
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
        .on(LETTERS, async |count: usize| Ok::<_, Error>("x".repeat(count)))
        .on(PANIC, async |()| -> Result<()> { panic!("on purpose") })
        .on(COUNT, async |_: u32, _: Sender<u32>| Ok::<_, Error>(()))
        .on_raw("STRING", async |caller: &mut Connection| caller.write_line("Thank you.").await)
        .on(NOTE, move |_: String, context: Context| {
            let noted = noted.clone();
            async move {
                assert!(matches!(context.peer().address(), PeerAddress::Udp(_)));
                noted.add();
                Ok::<_, Error>(())
            }
        })
        .on(GATE, move |(), context: Context| {
            let Seen { begun, open, .. } = gate.clone();
            async move {
                begun.add();
                open.notified().await;
                context.set_reply_metadata(Metadata::default().with("served-by", "node 1")?);
                Ok::<_, Error>("open".to_owned())
            }
        })
        .on(HOLD, move |()| {
            let Seen { begun, stopped, .. } = held.clone();
            async move {
                begun.add();
                let _stopped = stopped.guard();
                std::future::pending::<Result<()>>().await
            }
        });
    (endpoint, seen)
}

async fn check_stock(item: String) -> Result<u32> {
    match item.as_str() {
        "item1" => Ok(100),
        _ => Err(Error::new(Code::NotFound, "there is no such item")),
    }
}

/// A socket that is served until it is told to stop.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Report>,
}

impl Server {
    pub(crate) async fn new(
        endpoint: &Endpoint,
        limit: impl FnOnce(&mut Limits),
        bound: impl FnOnce(Datagrams) -> Datagrams,
    ) -> Self {
        let endpoint = endpoint.clone().with_limits(Limits::default().with(limit));
        Self::start(bound, |socket, stop| async move {
            endpoint.serve_datagrams_until(socket, stop).await.unwrap()
        })
        .await
    }

    /// A server of bare datagrams.
    pub(crate) async fn bare<F: Future<Output = Option<Vec<u8>>> + Send + 'static>(
        limit: impl FnOnce(&mut Limits),
        bound: impl FnOnce(Datagrams) -> Datagrams,
        handler: impl Fn(Datagram) -> F + Send + Sync + 'static,
    ) -> Self {
        let endpoint = Endpoint::new().with_limits(Limits::default().with(limit));
        Self::start(bound, |socket, stop| async move {
            endpoint.serve_raw_datagrams_until(socket, handler, stop).await.unwrap()
        })
        .await
    }

    async fn start<F: Future<Output = Report> + Send + 'static>(
        bound: impl FnOnce(Datagrams) -> Datagrams,
        serve: impl FnOnce(Datagrams, oneshot::Receiver<()>) -> F,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(bound(Datagrams::new(socket)), stopped));
        Self { address, stop, serving }
    }

    /// Begins to stop.
    pub(crate) fn stop(self) -> JoinHandle<Report> {
        self.stop.send(()).unwrap();
        self.serving
    }

    pub(crate) async fn report(self) -> Report {
        self.stop().await.unwrap()
    }
}

/// A server with the usual bounds.
pub(crate) async fn server() -> (Server, Seen) {
    let (endpoint, seen) = endpoint();
    (Server::new(&endpoint, |_| (), |datagrams| datagrams).await, seen)
}

/// Bounds that nobody reaches.
pub(crate) fn unbounded_rates(datagrams: Datagrams) -> Datagrams {
    datagrams
        .address_datagrams_per_second(u32::MAX, u32::MAX)
        .datagrams_per_second(u32::MAX, u32::MAX)
}

/// Who calls by hand.
pub(crate) struct Caller {
    pub(crate) socket: UdpSocket,
}

impl Caller {
    pub(crate) async fn new(server: &Server) -> Self {
        Self::at("127.0.0.1", server).await
    }

    /// From this address of this machine.
    pub(crate) async fn at(ip: &str, server: &Server) -> Self {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        socket.connect(server.address).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn say(&self, datagram: impl AsRef<[u8]>) {
        self.socket.send(datagram.as_ref()).await.unwrap();
    }

    pub(crate) async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        // Real time: what is not sent is not told of either.
        let heard = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let len = heard.expect("there is no answer").unwrap();
        buffer.truncate(len);
        buffer
    }

    pub(crate) async fn hear_text(&self) -> String {
        String::from_utf8(self.hear().await).unwrap()
    }

    pub(crate) async fn ask(&self, datagram: impl AsRef<[u8]>) -> String {
        self.say(datagram).await;
        self.hear_text().await
    }

    /// Nothing has been answered, to anything that was sent before this.
    pub(crate) async fn hears_nothing(&self, why: impl std::fmt::Debug) {
        const MARK: &str = "ECHO 4294967295 4 f=line\nmark";
        assert_eq!(self.ask(MARK).await, "<4294967295 ok 4\nmark", "{why:?}");
        settle().await;
        assert!(self.socket.try_recv(&mut [0; 99]).is_err(), "{why:?}");
    }
}
