//! The short way to a client: [`Client::connect`].
//!
//! To dial is the endpoint's matter, since it starts a driver, but whoever only asks looks for it
//! at the client. So `Client` has a part up here, and the two files need each other.

use super::Endpoint;
use crate::client::Client;
use crate::error::{Error, Result};
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
}
