//! The answering side: handlers under names, served to all who connect.
//!
//! An [`Endpoint`] is a handle: clones share the handlers, the limits and the counts against them.
//! It serves any number of listeners and streams at once. It can dial as well: the two directions
//! of a connection are alike, so a [`Client`] that wants to be called back is an endpoint that
//! connects.

mod accept;
mod commands;
mod connections;
#[cfg(feature = "udp")]
mod datagrams;
mod dial;
mod foreign;
mod in_process;
mod incoming;
#[cfg(feature = "json")]
mod json_lines;
#[cfg(feature = "tower")]
mod layered;
mod limiter;
#[cfg(feature = "gob")]
mod net_rpc;
mod seam;
mod serving;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::accept::Accept;
pub use self::accept::Report;
use self::connections::OpenConnection;
use self::in_process::InProcess;
pub use self::incoming::Incoming;
use self::limiter::ConnectionLimiter;
use crate::client::Client;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::handler::{
    Entry, Handler, Outcome, RawHandler, Registry, Router, Speaks, Typed, any_raw,
};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::transport::{self, Address, Io, Listener, Peer, TcpKeepalive};

/// Handlers under names, and the means to serve them.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Result};
/// use tokio::{net::TcpListener, signal::ctrl_c};
///
/// const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");
///
/// async fn double(number: u32) -> Result<u64> {
///     Ok(u64::from(number) * 2)
/// }
///
/// # async fn serve() -> Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:61000").await?;
/// Endpoint::new().on(DOUBLE, double).serve_until(listener, ctrl_c()).await?;
/// # Ok(())
/// # } }
/// ```
#[derive(Clone)]
#[must_use = "an endpoint serves nothing until it is told to"]
pub struct Endpoint {
    router: Arc<Router>,
    limiter: Arc<ConnectionLimiter>,
    keepalive_time: Option<Duration>,
    tcp_keepalive: Option<TcpKeepalive>,
}

impl Endpoint {
    /// An endpoint without handlers, with the default limits.
    pub fn new() -> Self {
        let limits = Arc::new(Limits::default());
        let registry = Arc::<Registry>::default();
        let limiter = ConnectionLimiter::new(&limits, registry.ledger());
        let quota = Quota::new(&limits);
        let router = Router::new(registry, limits, quota);
        Self { router: Arc::new(router), limiter, keepalive_time: None, tcp_keepalive: None }
    }

    /// Sets the limits of all that this endpoint serves and dials, and of clones made of it from
    /// then on. Clones made earlier keep theirs.
    ///
    /// # Panics
    ///
    /// If one of the limits can't work, with its name: that is a mistake in the program. For limits
    /// from elsewhere call [`Limits::check`] first.
    #[track_caller]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if let Err(error) = limits.check() {
            panic!("{}", error.text());
        }
        self.limiter = ConnectionLimiter::new(&limits, self.router.registry().ledger());
        self.router = Arc::new(self.router.with_limits(limits));
        self
    }

    /// Sends no notices (`<0 err ..`) and no farewell: a connection just ends, also after a plain
    /// call that fails. This is for peers that speak a dialect of their own, and would take such a
    /// line for their answer. It holds for this endpoint and clones made of it from then on.
    pub fn without_notices(mut self) -> Self {
        self.router = Arc::new(self.router.without_notices());
        self
    }

    /// Asks the peer by `?PING` when nothing has come for `time`, on connections that this
    /// endpoint, or a clone made of it from then on, [dials](Self::connect). If nothing comes for
    /// as long again, the peer has frozen: the connection ends, calls under way end with
    /// `deadline_exceeded` and later ones with `disconnected`, and [`Client::is_closed`] is true.
    /// Unless this is set, only a connection with an open streamed call of this side is asked,
    /// after 30 s.
    ///
    /// A `time` below the peer's `idle_time_max` keeps an idle connection open. It should be longer
    /// than a peer may be busy without reading: 15 s to 60 s are usual. It does nothing for Go's
    /// `net/rpc`; [`with_tcp_keepalive`](Self::with_tcp_keepalive) does.
    ///
    /// # Panics
    ///
    /// If `time` is below 1 ms: that is a mistake in the program.
    #[track_caller]
    pub fn with_keepalive(mut self, time: Duration) -> Self {
        self.keepalive_time = Some(serving::checked_keepalive(time));
        self
    }

    /// Lets the system probe TCP connections that are silent for `time`, in whole seconds: those
    /// that this endpoint, or a clone made of it from then on, dials, or accepts by
    /// [`listen`](Self::listen). After three probes without an answer, at about twice `time`, the
    /// connection is lost. That finds a machine or a network that is gone, but not a frozen
    /// program: its system answers for it. Off unless it is set. For other listeners use
    /// [`AnyListener::with_tcp_keepalive`](transport::AnyListener::with_tcp_keepalive).
    ///
    /// # Panics
    ///
    /// If `time` is below 1 s or above 32,767 s, the most that Linux takes.
    #[track_caller]
    pub fn with_tcp_keepalive(mut self, time: Duration) -> Self {
        self.tcp_keepalive = Some(TcpKeepalive::new(time));
        self
    }

    /// Answers `command` with `handler`.
    ///
    /// # Panics
    ///
    /// If a handler is registered under this name already, or the request or the reply has no form
    /// in the format of the command ([`Command::check`]): that is a mistake in the program.
    /// [`add`](Self::add) returns an error instead.
    #[track_caller]
    pub fn on<Req, Rep, F, H, Shape, Kind>(self, command: Command<Req, Rep, F>, handler: H) -> Self
    where
        Req: 'static,
        Rep: 'static,
        H: Handler<Req, Shape>,
        Shape: Speaks<Req, Rep, F, Head = H::Head, Items = H::Items> + 'static,
        Shape::Last: 'static,
        H::Head: 'static,
        H::Items: Send + Sync + 'static,
        H::Answer: Future<Output: Outcome<Shape::Last, Kind>> + Send + 'static,
        Kind: 'static,
    {
        let result = self.add(command, handler);
        self.expect_registered(result)
    }

    /// Lends the connection itself to `handler` at each plain call of `name`.
    ///
    /// ```
    /// use switchboard::{Connection, Endpoint};
    ///
    /// let endpoint = Endpoint::new()
    ///     .on_raw("PING", async |caller: &mut Connection| caller.write_line("PONG").await);
    /// ```
    ///
    /// # Panics
    ///
    /// If a handler is registered under this name already, or it is not a name; see
    /// [`Command::new`].
    #[track_caller]
    pub fn on_raw<Kind: 'static>(
        self,
        name: &str,
        handler: impl for<'a> RawHandler<'a, Kind> + 'static,
    ) -> Self {
        let result = self.add_raw(name, handler);
        self.expect_registered(result)
    }

    /// Answers `command` with `handler` from now on, also on connections that are open.
    ///
    /// # Errors
    ///
    /// `failed` if a handler is registered under this name already; it stays. The same if the
    /// request or the reply has no form in the command's format, with the reason.
    pub fn add<Req, Rep, F, H, Shape, Kind>(
        &self,
        command: Command<Req, Rep, F>,
        handler: H,
    ) -> Result<()>
    where
        Req: 'static,
        Rep: 'static,
        H: Handler<Req, Shape>,
        Shape: Speaks<Req, Rep, F, Head = H::Head, Items = H::Items> + 'static,
        Shape::Last: 'static,
        H::Head: 'static,
        H::Items: Send + Sync + 'static,
        H::Answer: Future<Output: Outcome<Shape::Last, Kind>> + Send + 'static,
        Kind: 'static,
    {
        let route =
            Typed::<Req, Rep, H, (Shape, Kind), _, _, _>::new::<F>(command.facts(), handler)?;
        self.router.registry().insert(command.name(), Entry::Typed(Arc::new(route)))
    }

    /// Lends the connection to `handler` at each plain call of `name`, from now on.
    ///
    /// # Errors
    ///
    /// `failed` if a handler is registered under this name already; it stays.
    ///
    /// # Panics
    ///
    /// If it is not a name; see [`Command::new`].
    #[track_caller]
    pub fn add_raw<Kind: 'static>(
        &self,
        name: &str,
        handler: impl for<'a> RawHandler<'a, Kind> + 'static,
    ) -> Result<()> {
        let name = Command::<(), (), ()>::new(name).name();
        self.router.registry().insert(name, Entry::Raw(any_raw(handler)))
    }

    /// Listens at `address` and serves all who connect, for ever. The address is `host:port`,
    /// `unix:` and a path, or an [`Address`]; without a host it is the loopback.
    ///
    /// # Errors
    ///
    /// As [`transport::bind`].
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn listen(&self, address: impl TryInto<Address, Error: Into<Error>>) -> Result<()> {
        let listener = transport::bind(address).await?;
        self.serve(listener.kept_alive(self.tcp_keepalive)).await
    }

    /// Serves all who connect to `listener`, for ever.
    ///
    /// # Errors
    ///
    /// None so far: an accept that fails is tried again, after a pause that grows from 10 ms to
    /// 1 s.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting, and the connections drain in the background as
    /// [`serve_until`](Self::serve_until) says.
    pub async fn serve(&self, listener: impl Listener) -> Result<()> {
        self.serve_until(listener, std::future::pending::<()>()).await.map(|_| ())
    }

    /// Serves all who connect to `listener` until `stop` is ready, and then drains: it accepts no
    /// more connections and takes no more calls. Calls under way may finish; after `drain_time_max`
    /// they end with `shutting_down`. A handler under way may still call back
    /// ([`Context::client`](crate::Context::client)). Peers that wait to be accepted are told as
    /// well, so they know that none of their calls ran.
    ///
    /// The listener is dropped when the drain begins, and with it the file of a Unix socket. From
    /// then on another process can listen there, while this one still works: for a state that is
    /// one process's alone, take a lock of your own.
    ///
    /// To serve several listeners, call this once for each on the same endpoint.
    ///
    /// If thousands connect at once, use [`transport::bind`]: at a TCP address it lets 4,096 wait
    /// to be accepted, or as many as the system allows (`net.core.somaxconn`).
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting, and the connections drain in the background.
    pub async fn serve_until(&self, listener: impl Listener, stop: impl Future) -> Result<Report> {
        let router = Arc::clone(&self.router);
        let accept = self.accept(move |incoming| serving::accepted(&router, incoming));
        Ok(accept.run(listener, stop).await)
    }

    /// Lends each stream that connects to `listener` to `handler`, from its first byte on, and
    /// serves for ever. The library reads no name and writes nothing of its own. The limits of
    /// connections hold, and those of a [`Connection`](crate::Connection). A stream is closed in
    /// good order when its handler returns.
    ///
    /// ```
    /// # use switchboard::{Connection, Endpoint, Result, transport};
    /// async fn shout(caller: &mut Connection) -> Result<()> {
    ///     while let Some(line) = caller.read_line().await? {
    ///         caller.write_line(&line.to_uppercase()).await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # async fn serve() -> Result<()> {
    /// let listener = transport::bind("127.0.0.1:7777").await?;
    /// Endpoint::new().serve_raw(listener, shout).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_raw<Kind: 'static>(
        &self,
        listener: impl Listener,
        handler: impl for<'a> RawHandler<'a, Kind> + 'static,
    ) -> Result<()> {
        self.serve_raw_until(listener, handler, std::future::pending::<()>()).await.map(|_| ())
    }

    /// As [`serve_raw`](Self::serve_raw) until `stop` is ready, and then drains: handlers under way
    /// may finish, and are stopped after `drain_time_max`.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_until`](Self::serve_until).
    pub async fn serve_raw_until<Kind: 'static>(
        &self,
        listener: impl Listener,
        handler: impl for<'a> RawHandler<'a, Kind> + 'static,
        stop: impl Future,
    ) -> Result<Report> {
        let (router, handler) = (Arc::clone(&self.router), any_raw(handler));
        let serve = move |incoming| serving::accepted_raw(&router, Arc::clone(&handler), incoming);
        let accept = self.accept(serve);
        Ok(accept.run(listener, stop).await)
    }

    /// Serves one stream that is open already, until it ends. If the process may have reset
    /// SIGPIPE, make it a [`Socket`](transport::Socket) first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; calls under way are stopped.
    pub async fn serve_stream(&self, io: impl Io) {
        serving::alone(&self.router, Box::new(io)).await;
    }

    /// Connects to `address`, a text or an [`Address`], and serves the handlers of this endpoint to
    /// the peer there.
    ///
    /// A host may have several addresses: the first that answers is taken. They are tried one after
    /// the other, each at most 250 ms after the one before, so a silent one does no harm.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Client, Command, Endpoint, Result};
    /// # async fn example() -> Result<()> {
    /// const PROGRESS: Command<u8, ()> = Command::new("PROGRESS");
    ///
    /// let endpoint = Endpoint::new().on(PROGRESS, async |percent: u8| {
    ///     println!("{percent} %");
    ///     Ok::<_, switchboard::Error>(())
    /// });
    /// let client = endpoint.connect("unix:/run/worker.sock").await?;
    /// # Ok(()) } }
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid` if it is not an address, `disconnected` if nobody answers there within
    /// `call_time_max`. That limit is also one of calls: to wait for less, drop the future in time,
    /// as at [`Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(
        &self,
        address: impl TryInto<Address, Error: Into<Error>>,
    ) -> Result<Client> {
        let (io, peer) = serving::dial(&self.router, address, self.tcp_keepalive).await?;
        Ok(serving::dialled(&self.router, io, peer, self.keepalive_time))
    }

    /// Makes a client over a stream that is open already, and serves the handlers of this endpoint
    /// to the peer there. If the process may have reset SIGPIPE, make it a
    /// [`Socket`](transport::Socket) first.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect_over(&self, io: impl Io) -> Client {
        serving::dialled(&self.router, Box::new(io), Peer::unknown(), self.keepalive_time)
    }

    /// Makes a client of this endpoint's own handlers, without a socket or a stream. Its calls pass
    /// the same limits, formats and deadlines as all others. It also calls handlers that are added
    /// later. Handlers see a caller in this process, and cannot call it back.
    ///
    /// Handlers run in the runtime that made the client, and begin in the order of their calls.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Endpoint, Error, Result};
    /// # async fn example() -> Result<()> {
    /// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    ///
    /// let endpoint = Endpoint::new().on(DOUBLE, async |number| Ok::<_, Error>(2 * number));
    /// assert_eq!(endpoint.client().call(DOUBLE, &21).await?, 42);
    /// # Ok(()) } }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::over(InProcess::new(self.door_of(Peer::memory(), Arc::default())))
    }

    /// What serves a listener, each of its streams by `serve`.
    fn accept<S, F>(&self, serve: S) -> Accept<S>
    where
        S: Fn(Incoming) -> (F, OpenConnection) + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Accept::new(Arc::clone(&self.limiter), self.router.limits(), serve)
    }

    #[track_caller]
    fn expect_registered(self, result: Result<()>) -> Self {
        match result {
            Ok(()) => self,
            Err(error) => panic!("{}", error.text()),
        }
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("commands", self.router.registry())
            .field("limits", self.router.limits())
            .finish_non_exhaustive()
    }
}
