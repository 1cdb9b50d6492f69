//! HTTP on a listener: the connections that an endpoint accepts are served by hyper.
//!
//! It knows HTTP and no command: a [`Gateway`](crate::Gateway) is served like any other service.
//! What a service must know of the connection lies in the extensions of each request: the
//! [`Peer`](switchboard::transport::Peer), and [`Draining`](switchboard::service::Draining).
//!
//! Only HTTP/1 is spoken, so nothing has to be found out before hyper reads. Accepting, counting
//! and the end are the endpoint's; what a connection may take is kept by `stream` and `body`; hyper
//! itself bounds the head in bytes and headers.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use http_body::Body;
use switchboard::Endpoint;
use switchboard::transport::Listener;

use crate::body::{BoxError, RequestBody};
use crate::connection::{Serving, serve_connection};
use crate::limits::HttpLimits;
use crate::report::{Counts, HttpReport};

/// Serves HTTP/1 to all who connect to `listener`, for ever or [until](ServeHttp::until) it is told
/// to stop. The service may be a [`Gateway`](crate::Gateway), an axum `Router`, or any other
/// `tower_service::Service`; each request gets a clone of it.
///
/// The extensions of each request hold the [`Peer`](switchboard::transport::Peer) and
/// [`Draining`](switchboard::service::Draining).
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use switchboard::transport;
/// use switchboard_http::{HttpLimits, RequestBody, serve_http};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// #[derive(Clone)]
/// struct Hello;
///
/// impl tower_service::Service<Request<RequestBody>> for Hello {
///     type Response = Response<String>;
///     type Error = Infallible;
///     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
///
///     fn poll_ready(
///         &mut self,
///         _: &mut std::task::Context<'_>,
///     ) -> std::task::Poll<Result<(), Infallible>> {
///         std::task::Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
///         std::future::ready(Ok(Response::new("hello".to_owned())))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (listener, dialer) = transport::memory_listener();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = serve_http(listener, Hello, HttpLimits::default()).until(stopped);
/// let serving = tokio::spawn(serving.into_future());
///
/// let mut stream = dialer.dial().await.unwrap();
/// stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
/// let mut response = String::new();
/// stream.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
/// assert!(response.ends_with("hello"), "{response}");
///
/// drop(stop);
/// assert_eq!(serving.await?.requests, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// None: an accept that fails is tried again, after a pause that grows from 10 ms to 1 s.
///
/// # Cancel safety
///
/// Dropping the future stops accepting, and the connections drain in the background.
pub fn serve_http<L, S>(listener: L, service: S, limits: HttpLimits) -> ServeHttp<L, S> {
    let (endpoint, stop) = (Endpoint::default(), std::future::pending());
    ServeHttp { listener, service, limits, endpoint, stop }
}

/// The future that serves a listener, made by [`serve_http`]. Await it.
#[derive(Debug)]
#[must_use = "nothing is served until it is awaited"]
pub struct ServeHttp<L, S, Stop = std::future::Pending<()>> {
    listener: L,
    service: S,
    limits: HttpLimits,
    endpoint: Endpoint,
    stop: Stop,
}

impl<L, S, Stop> ServeHttp<L, S, Stop> {
    /// Stops when `stop` is ready: it takes no more connections and requests, and those under way
    /// have the endpoint's `drain_time_max`. Peers that have connected by then and wait to be
    /// accepted get an answer, with 503 from a [`Gateway`](crate::Gateway).
    pub fn until<Other>(self, stop: Other) -> ServeHttp<L, S, Other>
    where
        Other: Future + Send + 'static,
    {
        let Self { listener, service, limits, endpoint, .. } = self;
        ServeHttp { listener, service, limits, endpoint, stop }
    }

    /// Counts the connections together with those of the endpoint's other doors, against its
    /// `connections_max` and `connections_per_peer_max`. Its `handshake_time_max` and
    /// `drain_time_max` hold. Without this call the connections count alone, and the default limits
    /// hold.
    pub fn admitted_by(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = endpoint.clone();
        self
    }
}

impl<L, S, B, Stop> IntoFuture for ServeHttp<L, S, Stop>
where
    L: Listener,
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>>,
    S: Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    Stop: Future + Send + 'static,
{
    type Output = HttpReport;
    type IntoFuture = Pin<Box<dyn Future<Output = HttpReport> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { listener, service, limits, endpoint, stop } = self;
        let counts = Arc::new(Counts::default());
        let serving = Arc::new(Serving { limits, counts: Arc::clone(&counts) });
        // A service need not be Sync, so it is cloned for one connection at a time.
        let service = Mutex::new(service);
        let serve = move |incoming| {
            let service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let serving = Arc::clone(&serving);
            async move { serve_connection(incoming, service, &serving).await }
        };
        Box::pin(async move { counts.report(endpoint.accept_until(listener, serve, stop).await) })
    }
}
