//! Layers of tower in front of a client, and the client as a service of tower.

use std::task::{Context, Poll};

use tower_layer::Layer;

use super::Client;
use crate::error::{Error, Result};
use crate::service::{Answer, Channel, Layered, Reply, Request, Service};

/// A client with a layer in front.
struct LayeredChannel<S> {
    // The client behind it.
    inner: Client,
    outermost: S,
}

impl Client {
    /// This client with a layer in front of its calls. A call passes the layer that was added last
    /// first, and its time goes on meanwhile. The items of a streamed call pass beside it, and so a
    /// client that [reconnects](Client::reconnect) does not let it go on after a loss.
    ///
    /// Only the client that is returned has the layer. An error of the layer that is not an
    /// [`Error`] is `failed`, and the call may have run. A panic in the layer is one in the task
    /// that polls the call.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::service::Request;
    /// use switchboard::{Command, Endpoint, Metadata, Result};
    /// use tower::util::MapRequestLayer;
    ///
    /// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let double = async |number: u32| -> Result<u32> { Ok(2 * number) };
    /// # let client = Endpoint::new().on(DOUBLE, double).client();
    /// let tenant = Metadata::default().with("tenant-id", "42")?;
    /// let client = client.layer(MapRequestLayer::new(move |request: Request| {
    ///     request.with_metadata(&tenant)
    /// }));
    /// assert_eq!(client.call(DOUBLE, &21).await?, 42);
    /// # Ok(()) }
    /// # }
    /// ```
    #[must_use]
    pub fn layer<L: Layer<Self, Service: Layered>>(self, layer: L) -> Self {
        let outermost = layer.layer(self.clone());
        Self::over(LayeredChannel { inner: self, outermost })
    }
}

impl<S: Layered> Service for LayeredChannel<S> {
    fn call(&self, request: Request) -> Answer {
        self.outermost.clone().answer(request)
    }
}

impl<S: Layered> Channel for LayeredChannel<S> {
    fn inner(&self) -> Option<&dyn Channel> {
        Some(&self.inner)
    }
}

/// It is always ready.
impl tower_service::Service<Request> for Client {
    type Response = Reply;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        Service::call(self, request)
    }
}
