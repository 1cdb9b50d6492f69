//! The asking side: a handle to a multiplexed connection.
//!
//! A [`Client`] is cheap to clone and may be used from many tasks at once; replies find their
//! callers in whatever order they come. It owns no task and no socket: it is made of a channel, and
//! mostly of a connection, whose driver has them. How a connection comes to be is the endpoint's
//! matter.

mod as_bytes;
#[cfg(feature = "json")]
mod by_name;
mod call;
#[cfg(feature = "json")]
mod check;
#[cfg(feature = "tower")]
mod layered;
mod over_channel;
mod repeating;
mod streamed;
mod untyped;
mod way;

pub use self::call::{Call, CallWithMetadata, Notification};
pub(crate) use self::repeating::{Given, Supplied, Supply, Until, WaitForOne, Wanted, answer};
pub use self::streamed::{Callable, StreamedCall};

use std::fmt;
use std::sync::Arc;

use self::way::Way;
use crate::command::Command;
#[cfg(feature = "json")]
use crate::command::{Described, Signature, Types};
use crate::conn::{ConnectionChannel, Handle};
use crate::error::Result;
use crate::format::Format;
use crate::limits::Limits;
use crate::service::{Answer, BoxFuture, Channel, ChannelState, ChannelStates, Request, Service};
use crate::transport::Peer;

/// The asking side of one connection, or of one after the other.
///
/// Made by [`Client::connect`], or by [`Context::client`](crate::Context::client) to call back the
/// caller. A client that connected closes the connection in good order when its last clone and its
/// last call are dropped.
///
/// Such a client lives as long as its one connection. One made by [`Client::reconnect`] connects
/// anew, and lives until it is closed: [`Reconnect`](crate::Reconnect) says how its calls fare.
///
/// Either side may end a connection. The accepting side closes one on which nothing happened for
/// `idle_time_max`, five minutes by default, with `shutting_down`. A connection that is [kept
/// alive](crate::Endpoint::with_keepalive) is never idle, and ends when its peer has frozen;
/// without that, only the deadlines of calls tell of such a peer. All calls after the end fail with
/// an error that [is safe to retry](crate::Error::is_safe_to_retry) on a new client. Its text and
/// source tell why the connection ended, like those of calls that were under way.
/// [`closed`](Self::closed) waits for the end.
///
/// [`Endpoint::connect`](crate::Endpoint::connect) makes a client with limits of your own, or with
/// handlers. [`Endpoint::connect_over`](crate::Endpoint::connect_over) makes one over a stream that
/// is open already, such as TLS.
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
    /// A client over any [`Channel`]: one in front of several peers, one that repeats calls, one
    /// for a test.
    #[must_use]
    pub fn over(channel: impl Channel) -> Self {
        Self { way: Way::Channel(Arc::new(channel)) }
    }

    pub(crate) fn over_shared(channel: Arc<dyn Channel>) -> Self {
        Self { way: Way::Channel(channel) }
    }

    /// A client over a connection of lines.
    pub(crate) fn over_connection(handle: Arc<Handle>) -> Self {
        Self { way: Way::Connection(ConnectionChannel(handle)) }
    }

    /// A client whose calls find their connection anew.
    pub(crate) fn over_supply(supply: Arc<dyn Supply>) -> Self {
        Self { way: Way::Supplied(supply) }
    }

    /// The one connection of this client, if it is made of one.
    pub(crate) fn connection(&self) -> Option<&Arc<Handle>> {
        match &self.way {
            Way::Connection(ConnectionChannel(handle)) => Some(handle),
            Way::Supplied(_) | Way::Channel(_) => None,
        }
    }

    /// Calls a command. This gives a [`Call`], or a [`StreamedCall`] if the command is
    /// [`Streamed`](crate::Streamed). The request, or its head, is encoded at once and sent when
    /// the call is first polled.
    ///
    /// The call says the format of `command`. A peer whose command has another format decodes the
    /// request in the format of the call, or refuses it with `unsupported_format`.
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
    /// The peer begins such calls in the order in which they were handed over, even if some wait
    /// there until others have ended. Handlers that await something run side by side, so they may
    /// end in any order.
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
        let exchange =
            self.exchange::<Req, F>(command.name(), command.facts(), request, (false, false));
        Notification::new(exchange)
    }

    /// Checks that the other side means the same by this command: it has the command, speaks the
    /// format, and its request and reply have the same shape, as far as the format needs. Call it
    /// when a program starts: otherwise a `u64` that is read as a `u8` may go well for a while.
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
    /// `conflict` if not, with the places that differ, or because there is no such command; and
    /// every error of a call. Types of formats such as `line`, and parts that cannot be traced,
    /// cannot be compared and pass.
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

    /// As [`check`](Self::check) for several commands, given by their
    /// [signatures](Command::signature):
    /// `client.check_all([GREET.signature(), COUNT.signature()])`. The error has a line for each
    /// command that differs.
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
    pub fn peer(&self) -> Peer {
        self.way.channel().peer()
    }

    /// Waits until all requests that this client and its clones have handed over so far are
    /// written, those of one-way calls too. The system has them then. It is not known whether the
    /// peer has read them, and a peer that stops drops requests that it has not read. Calls that
    /// still wait for a connection are not waited for.
    ///
    /// A [`notify`](Self::notify) is ready when the connection has taken it, before it is written.
    /// A program that leaves `main` drops its runtime, and loses everything not yet written; call
    /// this, or [`close`](Self::close), before that.
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
    /// read is cut off after `write_time_max`. Some of the calls may have run, so it is not safe to
    /// make them again.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn flush(&self) -> Result<()> {
        self.way.channel().flush().await
    }

    /// Takes no more calls, lets those under way finish, and waits until the connection is closed.
    /// Until then their handlers may call back. Calls have `drain_time_max` to finish, and after
    /// that the peer has `linger_time_max` to end its side. Streams are calls: drop those first
    /// that would go on.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the connection closes even if the future is dropped.
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
        self.way.channel().is_closed()
    }

    /// Whether there is a connection now. One that is broken is there until that is noticed.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.states().first().unwrap_or(ChannelState::Closed)
    }

    /// Its state now, and then each change: a stream that ends when the client is closed for good.
    ///
    /// ```
    /// use switchboard::service::ChannelState;
    /// use switchboard::Client;
    ///
    /// async fn watch(client: Client) {
    ///     let mut states = client.states();
    ///     while let Some(state) = states.next().await {
    ///         match state {
    ///             ChannelState::Connected => println!("online"),
    ///             other => println!("offline: {other:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn states(&self) -> ChannelStates {
        if self.is_closed() { ChannelStates::closed() } else { self.way.channel().states() }
    }

    /// Waits until the connection is closed, by either side.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn closed(&self) {
        self.way.channel().closed().await;
    }
}

/// The untyped call: for a channel in front of a client, and for a payload that is encoded already.
/// For a JSON value there is [`Client::call_json`].
impl Service for Client {
    fn call(&self, request: Request) -> Answer {
        self.way.channel().call(request)
    }
}

impl Channel for Client {
    fn limits(&self) -> &Limits {
        self.way.limits()
    }

    fn peer(&self) -> Peer {
        Self::peer(self)
    }

    fn states(&self) -> ChannelStates {
        Self::states(self)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn close(&self) {
        self.way.channel().close();
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
        f.debug_struct("Client").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
