//! A client for threads, without tokio: calls that block until their reply is here.
//!
//! A [`Client`] is cheap to clone and may be used from many threads at once; replies find their
//! callers in whatever order they come. It calls the same [`Command`](crate::Command)s within the
//! same [`Limits`] as the client for tasks, and has the same errors. It has no handlers: whatever
//! its peer calls back is refused.
//!
//! ```
//! # #[cfg(feature = "json")] {
//! use std::time::Duration;
//!
//! use switchboard::blocking::Client;
//! use switchboard::format::Json;
//! use switchboard::{Command, Result};
//!
//! const DOUBLE: Command<u32, u32, Json> = Command::new("DOUBLE");
//!
//! fn double(number: u32) -> Result<u32> {
//!     let client = Client::connect("localhost:61000")?;
//!     client.call(DOUBLE, &number).timeout(Duration::from_secs(1)).wait()
//! }
//! # let _ = double;
//! # }
//! ```
//!
//! Each connection has two threads, which end with it: `connection` says what they do. A call of
//! this client in an async function holds up the thread of the runtime.

mod bell;
mod call;
mod clock;
mod connection;
mod connector;
mod exchange;
mod keeping;
mod reading;
mod socket;
mod streamed;
mod untyped;

pub use self::call::{Call, CallWithMetadata, Notification};
pub use self::connector::Connector;
pub use self::socket::Socket;
pub use self::streamed::{Callable, ItemSender, StreamedCall};
pub use crate::asking::{NoItems, Receives, Sends};

use std::fmt;
use std::sync::Arc;

use self::connection::Handle;
use self::exchange::Exchange;
use crate::asking::Unsent;
use crate::command::{Command, Facts};
use crate::error::{Error, Result};
use crate::format::Format;
#[cfg(doc)]
use crate::limits::Limits;
#[cfg(feature = "io")]
use crate::service::trace_here;
use crate::transport::{Address, Peer};
use crate::wire::Name;
#[cfg(not(feature = "io"))]
use crate::wire::Traceparent;

/// The asking side of one connection, for threads.
///
/// It lives as long as its connection. When its last clone and its last call are dropped, the
/// connection is closed in good order, and its threads end. All calls after the end fail with an
/// error that [is safe to retry](crate::Error::is_safe_to_retry) on a new client.
///
/// Either side may end a connection. The accepting side closes one on which nothing happened for
/// `idle_time_max`, five minutes by default. A connection that is
/// [kept alive](Connector::with_keepalive) is never idle, and ends when its peer has frozen.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// Connects to `address`, `host:port` or `unix:` and a path, or an [`Address`], with the
    /// default limits; for others use a [`Connector`].
    ///
    /// # Errors
    ///
    /// As [`Connector::connect`], with a `call_time_max` of 30 seconds.
    pub fn connect(address: impl TryInto<Address, Error: Into<Error>>) -> Result<Self> {
        Connector::new().connect(address)
    }

    fn over(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Calls a command. This gives a [`Call`], which is sent and waited for by [`Call::wait`], or a
    /// [`StreamedCall`] if the command is [`Streamed`](crate::Streamed). The request, or its head,
    /// is encoded at once.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use switchboard::blocking::Client;
    /// # use switchboard::format::Json;
    /// # use switchboard::{Command, Result};
    /// # const DOUBLE: Command<u32, u32, Json> = Command::new("DOUBLE");
    /// fn double_both(client: &Client) -> Result<(u32, u32)> {
    ///     std::thread::scope(|scope| {
    ///         let other = scope.spawn(|| client.call(DOUBLE, &2).wait());
    ///         Ok((client.call(DOUBLE, &1).wait()?, other.join().unwrap()?))
    ///     })
    /// }
    /// # let _ = double_both;
    /// # }
    /// ```
    pub fn call<C: Callable<Kind>, Kind>(&self, command: C, request: &C::Request) -> C::Call {
        command.call(self, request)
    }

    /// Calls a command and wants no reply, not even an error: see [`Notification::send`]. The
    /// request is encoded at once. [`flush`](Self::flush) waits until it is written.
    ///
    /// The peer begins such calls in the order in which they were handed over.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use switchboard::blocking::Client;
    /// # use switchboard::format::Json;
    /// # use switchboard::{Command, Result};
    /// # const LOG: Command<String, (), Json> = Command::new("LOG");
    /// fn log(client: &Client) -> Result<()> {
    ///     client.notify(LOG, &"started".to_owned()).send()
    /// }
    /// # let _ = log;
    /// # }
    /// ```
    pub fn notify<Req, Rep, F>(&self, command: Command<Req, Rep, F>, request: &Req) -> Notification
    where
        F: Format<Req> + Format<Rep>,
    {
        let (name, facts) = (command.name(), command.facts());
        Notification::new(self.exchange::<Req, F>(name, facts, request, (false, false)))
    }

    /// Waits until all requests that this client and its clones have handed over so far are
    /// written, those of one-way calls too. The system has them then. It is not known whether the
    /// peer has read them.
    ///
    /// # Errors
    ///
    /// `disconnected`, with the reason, if the connection ended before that: a peer that does not
    /// read is cut off after `write_time_max`. Some of the calls may have run.
    pub fn flush(&self) -> Result<()> {
        self.handle.connection.flush()
    }

    /// Takes no more calls, lets those under way finish, and waits until the connection is closed.
    /// Calls have `drain_time_max` to finish, and after that the peer has `linger_time_max` to end
    /// its side. Streams are calls: drop those first that would go on.
    pub fn close(self) {
        self.handle.connection.close();
        self.closed();
    }

    /// Whether the connection is closed, or takes no more calls because either side is closing it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.handle.connection.lock().session.is_open(None)
    }

    /// Waits until the connection is closed, by either side.
    pub fn closed(&self) {
        self.handle.connection.closed();
    }

    /// The other side of the connection. That of a Unix socket has no credentials here.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.handle.connection.peer.clone()
    }

    fn exchange<Req, F: Format<Req>>(
        &self,
        name: Name,
        facts: Facts,
        request: &Req,
        has_items: (bool, bool),
    ) -> Exchange {
        let beside = (&self.handle.connection.limits, trace_here());
        let unsent = Unsent::of_command::<Req, F>(name, facts, request, has_items, beside);
        Exchange::new(Arc::clone(&self.handle), unsent)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// Where there are no handlers, nobody has a trace to go on with.
#[cfg(not(feature = "io"))]
const fn trace_here() -> Option<Traceparent> {
    None
}
