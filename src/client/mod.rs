//! The asking side: a handle to one multiplexed connection.
//!
//! A [`Client`] is cheap to clone and may be used from many tasks at once; replies find their
//! callers in whatever order they come. It owns no task and no socket: the driver of the connection
//! does, and both meet in a `Shared`. How a connection comes to be is the endpoint's matter.

mod call;

pub use self::call::{Call, Notification};

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "gob")]
use bytes::{Bytes, BytesMut};

use crate::command::Command;
use crate::conn::Shared;
use crate::error::Result;
use crate::format::Format;
use crate::session::CallId;
use crate::transport::Peer;
#[cfg(feature = "gob")]
use crate::wire::{FormatWord, Name};

/// The asking side of one connection.
///
/// Made by [`Client::connect`], or by [`Context::client`](crate::Context::client) to call back
/// whoever is calling. When the last clone of a client that connected is dropped, and the last call
/// that it made, the connection is closed in good order.
///
/// A client lives as long as its one connection and never connects by itself. Either side may end
/// that: the side that accepted closes a connection on which nothing happened for `idle_time_max`,
/// five minutes by default, with `shutting_down`. All calls after that fail, with an error that
/// [is safe to retry](crate::Error::is_safe_to_retry) on a new client, and whose text and source
/// tell why the connection ended, as those of the calls that were under way do.
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
    handle: Arc<Handle>,
}

/// Closes the connection when the last one who uses it is gone.
pub(crate) struct Handle {
    shared: Arc<Shared>,
    is_owner: bool,
    // The call of the peer whose handler was given it.
    within: Option<CallId>,
}

impl Client {
    /// The client that owns its connection.
    pub(crate) fn owner(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle { shared, is_owner: true, within: None }) }
    }

    /// A client over a connection that somebody else owns, for the handler of this call.
    pub(crate) fn guest(shared: Arc<Shared>, within: CallId) -> Self {
        Self { handle: Arc::new(Handle { shared, is_owner: false, within: Some(within) }) }
    }

    /// Calls a command. The request is encoded at once and sent when the [`Call`] is first polled.
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
    pub fn call<Req, Rep, F>(&self, command: Command<Req, Rep, F>, request: &Req) -> Call<Rep>
    where
        F: Format<Req> + Format<Rep>,
    {
        let payload = call::encode::<F, Req>(request, self.handle.shared.limits());
        let decode = <F as Format<Rep>>::decode;
        Call::new(Arc::clone(&self.handle), command.name(), payload, decode)
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
        let payload = call::encode::<F, Req>(request, self.handle.shared.limits());
        Notification::new(Arc::clone(&self.handle), command.name(), payload)
    }

    /// Calls a command by its name, with a payload in this format. The reply is in it as well.
    #[cfg(feature = "gob")]
    pub(crate) fn call_encoded(
        &self,
        name: Name,
        format: FormatWord,
        payload: BytesMut,
    ) -> Call<Bytes> {
        let payload = call::checked(payload, self.handle.shared.limits());
        let decode = |payload, _: &_| Ok(payload);
        Call::new(Arc::clone(&self.handle), name, payload, decode).spoken_in(format)
    }

    /// What the connection shares with those who call over it.
    #[cfg(feature = "gob")]
    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Who is on the other side.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.handle.shared.peer()
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
        self.handle.shared.flush().await
    }

    /// Takes no more calls, lets those under way finish, and waits until the connection is closed.
    /// Until then their handlers may call back.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the connection is closing whether or not this is waited for.
    pub async fn close(self) {
        self.handle.shared.close();
        self.closed().await;
    }

    /// Whether the connection is closed, or takes no more calls because either side is closing it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.shared.with(|session| !session.is_open(self.handle.within))
    }

    /// Waits until the connection is closed, by either side.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn closed(&self) {
        self.handle.shared.ended().await;
    }
}

impl Handle {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn within(&self) -> Option<CallId> {
        self.within
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_owner {
            self.shared.close();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", self.peer()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_owner", &self.is_owner).finish_non_exhaustive()
    }
}
