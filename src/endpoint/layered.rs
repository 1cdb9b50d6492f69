//! Layers of tower in front of the handlers of an endpoint, and the endpoint as a service of tower.

use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;

use super::Endpoint;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::service::{Answer, Layered, Next, Reply, Request, Service};

impl Endpoint {
    /// Puts a layer in front of all handlers of this endpoint, and of clones made of it from then
    /// on. A call passes the layer that was added last first.
    ///
    /// A layer sees a call as a [`Request`] and a
    /// [`Reply`]: name, metadata, encoded payload, who calls, and
    /// [extensions](crate::service::Request::with_extension), by which it hands values to the
    /// handler ([`Context::extensions`](crate::Context::extensions)). The items of a streamed call
    /// pass beside it.
    ///
    /// - The call has been admitted: it counts against `calls_max`, and its time runs. A layer that
    ///   waits is stopped when the call is.
    /// - Its time, its format and its command are settled then. If a layer changes them in the
    ///   request, that holds only where it hands the request to another service. For less time put
    ///   tower's time limit in front.
    /// - What a layer refuses without calling [`Next`] did not run, and its caller is told so.
    /// - Metadata that a layer sets on a reply takes the place of the handler's.
    /// - A panic in a layer is that call's error, like one in a handler.
    /// - [Raw handlers](Self::on_raw) get the stream itself, and pass no layer: the limits of
    ///   connections hold for them. The endpoint's own commands (`?`, `?DESCRIBE`) pass none
    ///   either.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::service::Request;
    /// use switchboard::{Command, Context, Endpoint, Result};
    /// use tower::limit::ConcurrencyLimitLayer;
    /// use tower::util::MapRequestLayer;
    ///
    /// const WHOSE: Command<(), String> = Command::new("WHOSE");
    ///
    /// struct Tenant(String);
    ///
    /// async fn whose(_: (), context: Context) -> Result<String> {
    ///     let tenant = context.extensions().get::<Tenant>();
    ///     Ok(tenant.map(|tenant| tenant.0.clone()).unwrap_or_default())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let endpoint = Endpoint::new()
    ///     .on(WHOSE, whose)
    ///     .layer(MapRequestLayer::new(|request: Request| {
    ///         let tenant = request.metadata().get("tenant-id").unwrap_or_default().into_owned();
    ///         request.with_extension(Tenant(tenant))
    ///     }))
    ///     .layer(ConcurrencyLimitLayer::new(8));
    ///
    /// let call = endpoint.client().call(WHOSE, &()).metadata("tenant-id", "42");
    /// assert_eq!(call.await?, "42");
    /// # Ok(()) }
    /// # }
    /// ```
    pub fn layer<L: Layer<Next, Service: Layered>>(mut self, layer: L) -> Self {
        self.router = Arc::new(self.router.with_layers(|layers| layers.push(&layer)));
        self
    }

    /// Puts a layer in front of the handler of one command, be it registered or not yet. It stands
    /// behind those that [all commands](Self::layer) have.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::{Command, Endpoint, Result};
    /// use tower::limit::ConcurrencyLimitLayer;
    ///
    /// const REPORT: Command<u32, u64> = Command::new("REPORT");
    ///
    /// // One at a time; the others wait, as long as their callers do.
    /// let endpoint = Endpoint::new()
    ///     .on(REPORT, async |year: u32| -> Result<u64> { Ok(u64::from(year)) })
    ///     .layer_for(REPORT, ConcurrencyLimitLayer::new(1));
    /// # }
    /// ```
    pub fn layer_for<Req, Rep, F, L>(mut self, command: Command<Req, Rep, F>, layer: L) -> Self
    where
        L: Layer<Next, Service: Layered>,
    {
        let name = command.name();
        self.router = Arc::new(self.router.with_layers(|layers| layers.push_for(name, &layer)));
        self
    }
}

/// It is always ready.
impl tower_service::Service<Request> for Endpoint {
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
