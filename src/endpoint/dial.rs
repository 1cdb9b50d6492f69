//! Connections that this side opens.

use super::Endpoint;
use super::in_process::InProcess;
use crate::client::Client;
use crate::conn::Handle;
use crate::error::Result;
use crate::session::Side;
use crate::transport::{self, Address, BoxedIo, Io, Peer};

impl Client {
    /// Connects to `address`, `host:port` or `unix:` and a path, with the default limits. For other
    /// limits, or to be called back, use [`Endpoint::connect`].
    ///
    /// # Errors
    ///
    /// As [`Endpoint::connect`], with a `call_time_max` of 30 seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(address: &str) -> Result<Self> {
        Endpoint::new().connect(address).await
    }
}

impl Endpoint {
    /// Connects to `address`, and serves the handlers of this endpoint to whoever is there.
    ///
    /// Of a host with several addresses the first that answers is taken. They are tried one after
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
    /// # Ok(())
    /// # } }
    /// ```
    ///
    /// # Errors
    ///
    /// `failed` if the address is none, `disconnected` if nobody answers there within
    /// `call_time_max`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(&self, address: &str) -> Result<Client> {
        let address: Address = address.parse()?;
        let (io, peer) = transport::dial(&address, self.router.limits().call_time_max).await?;
        Ok(self.connect_boxed(io, peer))
    }

    /// Makes a client over a stream that is open already, and serves the handlers of this endpoint
    /// to whoever is there. Where the process may have reset SIGPIPE, make it a
    /// [`Socket`](transport::Socket) first.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect_over(&self, io: impl Io) -> Client {
        self.connect_boxed(Box::new(io), Peer::unknown())
    }

    /// Makes a client of this endpoint's own handlers, without a socket or a stream: what it calls
    /// passes the same limits, formats and bounds on time as the calls of others. Handlers that are
    /// added later are called as well. Whoever they see calling is in this process, and they cannot
    /// call back.
    ///
    /// Handlers run in the runtime in which the client was made, and begin in the order in which
    /// they were called.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Endpoint, Error, Result};
    /// # async fn example() -> Result<()> {
    /// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    ///
    /// let endpoint = Endpoint::new().on(DOUBLE, async |number| Ok::<_, Error>(2 * number));
    /// assert_eq!(endpoint.client().call(DOUBLE, &21).await?, 42);
    /// # Ok(())
    /// # } }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::over(InProcess::new(self.door_of(Peer::memory())))
    }

    fn connect_boxed(&self, io: BoxedIo, peer: Peer) -> Client {
        let (driver, shared) = self.driver(io, peer, Side::Dialled);
        tokio::spawn(driver.run());
        Client::over_connection(Handle::owner(shared))
    }
}
