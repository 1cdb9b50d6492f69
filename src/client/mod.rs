//! The asking side: a handle to one multiplexed connection.
//!
//! A [`Client`] is cheap to clone and may be used from many tasks at once; replies find their
//! callers in whatever order they come. It owns no task and no socket: it is made of a channel, and
//! mostly of a connection, whose driver has them. How a connection comes to be is the endpoint's
//! matter.

#[cfg(feature = "json")]
mod by_name;
mod call;
#[cfg(feature = "json")]
mod check;
mod streamed;
mod untyped;
mod way;

pub use self::call::{Call, CallWithMetadata, Notification};
pub use self::streamed::{Callable, NoItems, Receives, Sends, StreamedCall};

use std::fmt;
use std::sync::Arc;

use self::way::Way;
use crate::command::Command;
#[cfg(feature = "json")]
use crate::command::{Described, Signature, Types};
use crate::conn::{ConnectionChannel, Handle, Unsent};
use crate::error::Result;
use crate::format::Format;
use crate::limits::Limits;
use crate::service::{Answer, BoxFuture, Channel, Request, Service};
use crate::transport::Peer;
use crate::wire::FormatWord;

/// The asking side of one connection.
///
/// Made by [`Client::connect`], or by [`Context::client`](crate::Context::client) to call back
/// whoever is calling. When the last clone of a client that connected is dropped, and the last call
/// that it made, the connection is closed in good order.
///
/// A client lives as long as its one connection and never connects by itself. Either side may end
/// that: the side that accepted closes a connection on which nothing happened for `idle_time_max`,
/// five minutes by default, with `shutting_down`. One that is [kept
/// alive](crate::Endpoint::with_keepalive) is never idle, and ends when its peer has frozen;
/// without that, only the deadlines of calls tell of such a peer. All calls after the end fail,
/// with an error that [is safe to retry](crate::Error::is_safe_to_retry) on a new client, and whose
/// text and source tell why the connection ended, as those of the calls that were under way do.
/// [`closed`](Self::closed) waits for the end. To connect anew is the program's own matter
/// (`examples/reconnect.rs`).
///
/// [`Endpoint::connect`](crate::Endpoint::connect) makes a client with other limits than the
/// default ones, or with handlers; [`Endpoint::connect_over`](crate::Endpoint::connect_over) makes
/// one of a stream that is open already, TLS for one.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// # use switchboard::{Client, Command, Endpoint, Result, transport};
/// # async fn example() -> Result<()> {
/// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
///
/// let client = Client::connect("localhost:61000").await?;
/// assert_eq!(client.call(DOUBLE, &21).await?, 42);
/// # Ok(())
/// # } }
/// ```
#[derive(Clone)]
pub struct Client {
    way: Way,
}

impl Client {
    /// A client over any [`Channel`]: one in front of several peers, one that repeats, one of a
    /// test.
    #[must_use]
    pub fn over(channel: impl Channel) -> Self {
        Self { way: Way::Channel(Arc::new(channel)) }
    }

    pub(crate) fn over_shared(channel: Arc<dyn Channel>) -> Self {
        Self { way: Way::Channel(channel) }
    }

    /// A client over a plain connection.
    pub(crate) fn over_connection(handle: Arc<Handle>) -> Self {
        Self { way: Way::Connection(handle) }
    }

    /// Calls a command: what it gives is a [`Call`], or a [`StreamedCall`] of a command that is
    /// [`Streamed`](crate::Streamed). The request, or its head, is encoded at once and sent when
    /// the call is first polled.
    ///
    /// The call says the format of `command`. A peer that knows the command in another one decodes
    /// it as what it is, or refuses it with `unsupported_format`.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use std::time::Duration;
    /// # use switchboard::{Client, Command, Result};
    /// # const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    /// # async fn example(client: Client) -> Result<()> {
    /// let doubled = client.call(DOUBLE, &21).timeout(Duration::from_millis(250)).await?;
    /// # Ok(())
    /// # } }
    /// ```
    pub fn call<C: Callable<Kind>, Kind>(&self, command: C, request: &C::Request) -> C::Call {
        command.call(self, request)
    }

    /// Calls a command and wants no reply, not even an error. The request is encoded at once and
    /// handed to the connection when the [`Notification`] is polled; [`flush`](Self::flush) waits
    /// until it is written.
    ///
    /// The peer begins such calls in the order in which they were handed over, also those that have
    /// to wait there until others have ended. Handlers that await something go on side by side, so
    /// nothing is promised of the order in which they end.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Client, Command, Result};
    /// # const LOG: Command<String, ()> = Command::new("LOG");
    /// # async fn example(client: Client) -> Result<()> {
    /// client.notify(LOG, &"started".to_owned()).await
    /// # } }
    /// ```
    pub fn notify<Req, Rep, F>(&self, command: Command<Req, Rep, F>, request: &Req) -> Notification
    where
        F: Format<Req> + Format<Rep>,
    {
        let payload = call::encode::<F, Req>(request, command.facts(), self.way.limits());
        let format = const { FormatWord::new(<F as Format<Req>>::NAME) };
        let unsent = Unsent::new(command.name(), format, command.facts(), payload);
        Notification::new(self.way.send(unsent))
    }

    /// Whether the other side means the same by this command: it has the command and speaks the
    /// format, and request and reply look the same there, as far as the format minds. To be asked
    /// when a program starts: a `u64` that is read as a `u8` may else go well for a while.
    ///
    /// ```
    /// # #[cfg(all(feature = "bincode", feature = "json"))] {
    /// use switchboard::{Code, Command, Endpoint, Error};
    ///
    /// const OURS: Command<u64, u64> = Command::new("DOUBLE");
    /// const THEIRS: Command<u8, u64> = Command::new("DOUBLE");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// let endpoint = Endpoint::new()
    ///     .on(THEIRS, async |number: u8| Ok::<_, Error>(2 * u64::from(number)));
    /// let client = endpoint.client();
    ///
    /// client.check(THEIRS).await?;
    /// let error = client.check(OURS).await.unwrap_err();
    /// assert_eq!(error.code(), Code::Conflict);
    /// assert_eq!(error.text(), "DOUBLE: request: u64 here, u8 there");
    /// # Ok(())
    /// # } }
    /// ```
    ///
    /// # Errors
    ///
    /// `conflict` if not, with the places in which they differ, or that there is no such command;
    /// and whatever a call may fail with. What cannot be compared passes: types of formats
    /// such as `line`, and parts that cannot be traced.
    ///
    /// # Cancel safety
    ///
    /// Only asks; nothing is lost.
    #[cfg(feature = "json")]
    pub async fn check<Req, Rep, F, Kind>(&self, command: Command<Req, Rep, F>) -> Result<()>
    where
        Types<Req, Rep, F>: Described<Kind>,
    {
        self.check_all([command.signature()]).await
    }

    /// As [`check`](Self::check) for several commands, which are [signatures](Command::signature)
    /// here: `client.check_all([GREET.signature(), COUNT.signature()])`. All that differ are in the
    /// error, a line for each.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    ///
    /// # Cancel safety
    ///
    /// Only asks; nothing is lost.
    #[cfg(feature = "json")]
    pub async fn check_all(&self, commands: impl IntoIterator<Item = Signature>) -> Result<()> {
        check::check_all(self, self.way.limits(), commands).await
    }

    /// The other side of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match &self.way {
            Way::Connection(handle) => handle.shared().peer(),
            Way::Channel(channel) => channel.peer(),
        }
    }

    /// Waits until everything that was handed over is written: the requests of all calls, one-way
    /// ones too, that this client and its clones have sent so far. The system has it then; whether
    /// the peer has read it is not known, and one that stops drops what it has not read.
    ///
    /// A [`notify`](Self::notify) is ready when the connection has taken it, which is before it is
    /// written. A program that leaves `main` drops its runtime, and with it whatever was not
    /// written yet; call this, or [`close`](Self::close), before that.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Client, Command, Result};
    /// # const LOG: Command<String, ()> = Command::new("LOG");
    /// # async fn example(client: Client) -> Result<()> {
    /// client.notify(LOG, &"stopped".to_owned()).await?;
    /// client.flush().await
    /// # } }
    /// ```
    ///
    /// # Errors
    ///
    /// `disconnected`, with the reason, if the connection ended before that: a peer that does not
    /// read is cut off after `write_time_max`. Some of the calls may have run all the same, so it
    /// is not safe to make them again.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn flush(&self) -> Result<()> {
        match &self.way {
            Way::Connection(handle) => handle.shared().flush().await,
            Way::Channel(channel) => channel.flush().await,
        }
    }

    /// Takes no more calls, lets those under way finish, and waits until the connection is closed.
    /// Until then their handlers may call back.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the connection is closing whether or not this is waited for.
    pub async fn close(self) {
        Channel::close(&self);
        // Not every channel can be closed.
        if self.is_closed() {
            self.closed().await;
        }
    }

    /// Whether the connection is closed, or takes no more calls because either side is closing it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.way {
            Way::Connection(handle) => handle.is_closed(),
            Way::Channel(channel) => channel.is_closed(),
        }
    }

    /// Waits until the connection is closed, by either side.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn closed(&self) {
        match &self.way {
            Way::Connection(handle) => handle.shared().ended().await,
            Way::Channel(channel) => channel.closed().await,
        }
    }
}

/// The untyped call: for a channel that is made of a client, and for a payload that is there
/// already. The one of a JSON value is [`Client::call_json`].
impl Service for Client {
    fn call(&self, request: Request) -> Answer {
        match &self.way {
            Way::Connection(handle) => ConnectionChannel(Arc::clone(handle)).call(request),
            Way::Channel(channel) => channel.call(request),
        }
    }
}

impl Channel for Client {
    fn limits(&self) -> &Limits {
        self.way.limits()
    }

    fn peer(&self) -> &Peer {
        Self::peer(self)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn close(&self) {
        match &self.way {
            Way::Connection(handle) => handle.shared().close(),
            Way::Channel(channel) => channel.close(),
        }
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::closed(self))
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(Self::flush(self))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", self.peer()).finish_non_exhaustive()
    }
}
