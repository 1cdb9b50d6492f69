//! The short ways to a client, and to one that connects anew.
//!
//! To dial is the endpoint's matter, since it starts a driver, but whoever only asks looks for it
//! at the client. So `Client` has a part up here, and the two files need each other.

use std::time::Duration;

use super::Endpoint;
use crate::balance::{BackEnds, Balance};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::reconnect::Reconnect;
use crate::service::BoxFuture;
use crate::transport::Address;

impl Client {
    /// Connects to `address`, `host:port` or `unix:` and a path, or an [`Address`], with the
    /// default limits. For other limits, or to be called back, use [`Endpoint::connect`].
    ///
    /// Nobody has to wait for as long as it may take, half a minute. It may be dropped at any time:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use switchboard::{Client, Code, Error, Result};
    /// async fn connect_soon(address: &str) -> Result<Client> {
    ///     let connected = tokio::time::timeout(Duration::from_secs(2), Client::connect(address));
    ///     let late = |_| Err(Error::new(Code::Disconnected, "nobody answered for two seconds"));
    ///     connected.await.unwrap_or_else(late)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Endpoint::connect`], with a `call_time_max` of 30 seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(address: impl TryInto<Address, Error: Into<Error>>) -> Result<Self> {
        Endpoint::new().connect(address).await
    }

    /// How to make a client of the endpoint at `address` that connects anew when its connection is
    /// lost, with the default limits. For others, or to be called back, use
    /// [`Endpoint::reconnect`].
    ///
    /// # Errors
    ///
    /// `invalid` if it is not an address.
    pub fn reconnect(address: impl TryInto<Address, Error: Into<Error>>) -> Result<Reconnect> {
        Endpoint::new().reconnect(address)
    }

    /// How to make a client that spreads its calls over these back ends, with the default limits.
    /// For others, or to be called back, use [`Endpoint::balance`].
    pub fn balance(back_ends: BackEnds) -> Balance {
        Endpoint::new().balance(back_ends)
    }
}

impl Endpoint {
    /// As [`connect`](Self::connect), for a client that connects anew when its connection is lost:
    /// each connection serves the handlers of this endpoint to the peer. They are
    /// [kept alive](Self::with_keepalive), every 15 s unless another time is set.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Client, Command, Endpoint, Error, Result};
    /// # async fn example() -> Result<()> {
    /// const PROGRESS: Command<u8, ()> = Command::new("PROGRESS");
    ///
    /// let endpoint = Endpoint::new().on(PROGRESS, async |percent: u8| {
    ///     println!("{percent} %");
    ///     Ok::<_, Error>(())
    /// });
    /// let client = endpoint.reconnect("unix:/run/worker.sock")?.client();
    /// # Ok(()) } }
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid` if it is not an address.
    pub fn reconnect(
        &self,
        address: impl TryInto<Address, Error: Into<Error>>,
    ) -> Result<Reconnect> {
        let (address, dial) = (Address::of(address)?, self.dial_alive());
        Ok(Reconnect::by(move || dial(address.clone())).within(self.router.limits()))
    }

    /// As [`reconnect`](Self::reconnect), for a client that spreads its calls over these back ends.
    pub fn balance(&self, back_ends: BackEnds) -> Balance {
        Balance::by(back_ends, self.dial_alive()).within(self.router.limits())
    }

    /// Connects by this endpoint, and keeps what it connects alive.
    fn dial_alive(&self) -> impl Fn(Address) -> BoxFuture<'static, Result<Client>> + use<> {
        let mut endpoint = self.clone();
        endpoint.keepalive_time.get_or_insert(KEEPALIVE_TIME);
        move |address| {
            let endpoint = endpoint.clone();
            Box::pin(async move { endpoint.connect(address).await })
        }
    }
}

/// After so much silence a client that connects anew asks whether its peer is there. It is one of
/// the usual times, and well below the usual `idle_time_max` of five minutes.
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
