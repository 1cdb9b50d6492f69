//! The answering side: handlers under names, served to whoever connects.
//!
//! An [`Endpoint`] is a handle: clones share the handlers, the limits and what is counted against
//! them. It serves any number of listeners and streams at once, and it can dial as well: the two
//! directions of a connection are alike, so a [`Client`](crate::Client) that wants to be called
//! back is an endpoint that connects.

mod accept;
mod crowd;
mod dial;
mod in_process;
#[cfg(feature = "gob")]
mod net_rpc;

use std::fmt;
use std::sync::Arc;

use self::accept::Accept;
use self::crowd::{Doors, Guest};
use crate::command::Command;
use crate::conn::Shared;
use crate::driver::Driver;
use crate::error::Result;
use crate::format::Format;
use crate::handler::{CommandInfo, Entry, Handler, RawHandler, Router, Typed};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::service::{Answer, Door, Request, Service};
use crate::session::Side;
use crate::stream::Connection;
use crate::transport::{self, Address, BoxedIo, Io, Listener, Peer, SharedIo};

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
    doors: Arc<Doors>,
}

/// What happened while an endpoint served, told when it has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections that were served.
    pub connections: u64,
    /// Connections that were turned away at the door.
    pub connections_refused: u64,
    /// Tagged calls that were given an answer or an error, by their handler or by the library. Not
    /// those over a limit of their connection, nor those that came when it was closing.
    pub calls_answered: u64,
    /// Calls that were ended because their connection was: it was lost, or `drain_time_max` passed.
    pub calls_cut_off: u64,
    /// One-way calls that ran to their end or to their deadline.
    pub one_way_calls: u64,
    /// One-way calls that did not run, of which their caller could not be told: the endpoint was
    /// full or stopping, or there is no such command, or the payload was too large or bad. They
    /// are also logged, as a number, at most once a second. Those that had not been read when their
    /// connection ended are in no count.
    pub one_way_calls_refused: u64,
}

impl Endpoint {
    /// An endpoint without handlers, with the default limits.
    pub fn new() -> Self {
        let limits = Arc::new(Limits::default());
        let quota = Quota::new(&limits);
        let router = Router::new(Arc::default(), limits, quota);
        Self { router: Arc::new(router), doors: Arc::default() }
    }

    /// Sets the limits. They hold for what is served or dialled from this endpoint, and from the
    /// clones made of it from then on; clones made earlier keep theirs.
    ///
    /// # Panics
    ///
    /// If one of the limits can't work, with its name: that is a mistake in the program. Use
    /// [`Limits::check`] where it is not.
    #[track_caller]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if let Err(error) = limits.check() {
            panic!("{}", error.text());
        }
        let (registry, quota) = (Arc::clone(self.router.registry()), Quota::new(&limits));
        self.router = Arc::new(Router::new(registry, Arc::new(limits), quota));
        self.doors = Arc::default();
        self
    }

    /// Answers `command` with `handler`.
    ///
    /// # Panics
    ///
    /// If a handler is registered under this name already, or the reply has no form in the format
    /// of the command: that is a mistake in the program. Use [`add`](Self::add) where it
    /// is not.
    #[track_caller]
    pub fn on<Req, Rep, F, Shape>(
        self,
        command: Command<Req, Rep, F>,
        handler: impl Handler<Req, Rep, Shape>,
    ) -> Self
    where
        Req: 'static,
        Rep: 'static,
        F: Format<Req> + Format<Rep>,
        Shape: 'static,
    {
        let result = self.add(command, handler);
        self.expect_registered(result)
    }

    /// Lends the connection itself to `handler` whenever `name` is called plainly.
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
    /// If a handler is registered under this name already, or it is no name; see
    /// [`Command::new`].
    #[track_caller]
    pub fn on_raw(self, name: &str, handler: impl for<'a> RawHandler<'a> + 'static) -> Self {
        let result = self.add_raw(name, handler);
        self.expect_registered(result)
    }

    /// Answers `command` with `handler` from now on, also on connections that are open.
    ///
    /// # Errors
    ///
    /// `failed` if a handler is registered under this name already; it stays. The same if the reply
    /// has no form in the command's format.
    pub fn add<Req, Rep, F, Shape>(
        &self,
        command: Command<Req, Rep, F>,
        handler: impl Handler<Req, Rep, Shape>,
    ) -> Result<()>
    where
        Req: 'static,
        Rep: 'static,
        F: Format<Req> + Format<Rep>,
        Shape: 'static,
    {
        let route = Typed::new::<F>(command.facts(), handler)?;
        self.router.registry().insert(command.name(), Entry::Typed(Arc::new(route)))
    }

    /// Lends the connection to `handler` whenever `name` is called, from now on.
    ///
    /// # Errors
    ///
    /// `failed` if a handler is registered under this name already; it stays.
    ///
    /// # Panics
    ///
    /// If it is no name; see [`Command::new`].
    #[track_caller]
    pub fn add_raw(
        &self,
        name: &str,
        handler: impl for<'a> RawHandler<'a> + 'static,
    ) -> Result<()> {
        let name = Command::<(), (), ()>::new(name).name();
        self.router.registry().insert(name, Entry::Raw(Arc::new(handler)))
    }

    /// Removes the handler of this name; whether there was one. Calls that are running keep it.
    #[allow(clippy::must_use_candidate, reason = "removing is what it is for")]
    pub fn remove(&self, name: &str) -> bool {
        self.router.registry().remove(name.as_bytes())
    }

    /// The commands that are answered now, by name: what `?` tells a peer, and the
    /// [facts](crate::Facts) of each.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use switchboard::{Command, Endpoint, Error, format::Json};
    ///
    /// const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD").about("Adds two numbers.");
    ///
    /// let endpoint = Endpoint::new().on(ADD, async |(a, b)| Ok::<_, Error>(a + b));
    /// for command in endpoint.commands() {
    ///     println!("{command}: {}", command.facts.about().unwrap_or_default());
    /// }
    /// # assert_eq!(endpoint.commands().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn commands(&self) -> Vec<CommandInfo> {
        self.router.registry().commands()
    }

    /// Listens at `address` and serves whoever connects, for ever: `host:port`, or `unix:` and a
    /// path. A host that is left out is the loopback.
    ///
    /// # Errors
    ///
    /// If the address is none or is taken.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn listen(&self, address: &str) -> Result<()> {
        let address: Address = address.parse()?;
        let listener = transport::bind(&address).await?;
        self.serve(listener).await
    }

    /// Serves whoever connects to `listener`, for ever.
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

    /// Serves whoever connects to `listener` until `stop` is ready, and then drains: no connection
    /// is accepted and no call taken any more, calls under way finish, and what is left after
    /// `drain_time_max` is ended with `cancelled`. A handler under way may still call back
    /// ([`Context::client`](crate::Context::client)). Those who have connected by then and wait to
    /// be accepted are told like the others, so that they know that nothing of theirs ran.
    ///
    /// To serve several listeners, call this once for each on the same endpoint.
    ///
    /// Where thousands connect at once, use [`transport::bind`]: it lets 4,096 wait to be accepted,
    /// a `TcpListener::bind` of tokio 128.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting, and the connections drain in the background.
    pub async fn serve_until(&self, listener: impl Listener, stop: impl Future) -> Result<Report> {
        Ok(Accept::new(self.clone(), Self::accepted).run(listener, stop).await)
    }

    /// Serves one stream that is open already, until it ends. Where the process may have reset
    /// SIGPIPE, make it a [`Socket`](transport::Socket) first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; calls under way are stopped.
    pub async fn serve_stream(&self, io: impl Io) {
        let (driver, _link) = self.driver(Box::new(io), Peer::unknown(), Side::Accepted);
        driver.run().await;
    }

    /// A way in that is not a stream: calls are made by it as values, and it drains.
    ///
    /// ```
    /// use switchboard::service::{Request, Service};
    /// # use switchboard::{Command, Endpoint, Error, format::Line};
    /// # const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// # let endpoint = Endpoint::new()
    /// #     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
    /// let door = endpoint.door();
    /// let reply = door.call(Request::new("SHOUT", "hello")?).await?;
    /// assert_eq!(reply.payload(), b"HELLO");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn door(&self) -> Door {
        self.door_of(Peer::unknown())
    }

    fn door_of(&self, peer: Peer) -> Door {
        let router: Arc<Router> = Arc::clone(&self.router);
        let (limits, quota) = (self.router.limits(), self.router.quota());
        Door::new(router, Arc::clone(limits), Arc::clone(quota), peer)
    }

    /// Serves a stream that was accepted.
    fn accepted(&self, io: BoxedIo, peer: Peer) -> (impl Future<Output = ()> + use<>, Guest) {
        let (driver, shared) = self.driver(io, peer, Side::Accepted);
        (driver.run(), Guest::Stream(shared))
    }

    /// The driver of a connection, and what it shares.
    fn driver(&self, io: BoxedIo, peer: Peer, side: Side) -> (Box<Driver>, Arc<Shared>) {
        let (limits, quota) = (self.router.limits(), self.router.quota());
        let io = SharedIo::new(io);
        let connection = Connection::new(io.clone(), peer.clone(), Arc::clone(limits), quota);
        let shared = Shared::new(side, io, peer, Arc::clone(limits), Arc::clone(quota));
        let driver = Driver::new(connection, Arc::clone(&shared), Arc::clone(&self.router));
        (driver, shared)
    }

    #[track_caller]
    fn expect_registered(self, result: Result<()>) -> Self {
        match result {
            Ok(()) => self,
            Err(error) => panic!("{}", error.text()),
        }
    }
}

/// Calls that come through no connection. Only the limits of the whole endpoint hold for them; a
/// [`Door`] has those of a connection, and an end.
impl Service for Endpoint {
    fn call(&self, request: Request) -> Answer {
        self.router.call(request)
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
