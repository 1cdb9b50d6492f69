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
