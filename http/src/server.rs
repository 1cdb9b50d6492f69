//! HTTP on a listener: the connections that an endpoint accepts are served by hyper.
//!
//! It knows HTTP and no command: a [`Gateway`](crate::Gateway) is served like any other service.
//! What a service must know of the connection lies in the extensions of each request: the
//! [`Peer`](switchboard::transport::Peer), and [`Draining`](switchboard::service::Draining).
//!
//! Only HTTP/1 is spoken, so nothing has to be found out before hyper reads. Accepting, counting
//! and the end are the endpoint's; what a connection may take is kept by `stream` and `body`; hyper
//! itself bounds the head in bytes and headers.

use std::sync::{Arc, Mutex, PoisonError};

use switchboard::Endpoint;
use switchboard::service::Channel;
use switchboard::transport::Listener;

use crate::connection::{Serving, serve_connection};
use crate::limits::HttpLimits;
use crate::report::{Counts, HttpReport};
use crate::service::HttpService;

/// Serves HTTP/1 to all who connect to `listener`, for ever; [`serve_http_until`] stops. The
/// service may be a [`Gateway`](crate::Gateway), an axum `Router`, or any other [`HttpService`].
///
/// The connections count together with those of the endpoint's other doors, against its
/// `connections_max` and `connections_per_peer_max`. Its times hold as well, for handshakes, the
/// drain and lingering. What else a peer may take is bounded by `limits`.
///
/// The extensions of each request hold the [`Peer`](switchboard::transport::Peer) and
/// [`Draining`](switchboard::service::Draining).
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use switchboard::{Endpoint, transport};
/// use switchboard_http::{HttpLimits, RequestBody, serve_http_until};
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
/// let (endpoint, limits) = (Endpoint::new(), HttpLimits::default());
/// let serving = serve_http_until(&endpoint, listener, Hello, limits, stopped);
/// let serving = tokio::spawn(serving);
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
pub fn serve_http<L: Listener, S: HttpService>(
    endpoint: &Endpoint,
    listener: L,
    service: S,
    limits: HttpLimits,
) -> impl Future<Output = ()> + use<L, S> {
    let stop = std::future::pending::<()>();
    let serving = serve_http_until(endpoint, listener, service, limits, stop);
    async move {
        serving.await;
    }
}

/// As [`serve_http`] until `stop` is ready, and then drains: it takes no more connections and
/// requests, and those under way have the endpoint's `drain_time_max`. Peers that have connected by
/// then and wait to be accepted get an answer, with 503 from a [`Gateway`](crate::Gateway).
///
/// # Errors
///
/// None, as for [`serve_http`].
///
/// # Cancel safety
///
/// As [`serve_http`].
pub fn serve_http_until<L: Listener, S: HttpService, Stop: Future>(
    endpoint: &Endpoint,
    listener: L,
    service: S,
    limits: HttpLimits,
    stop: Stop,
) -> impl Future<Output = HttpReport> + use<L, S, Stop> {
    let (endpoint, counts) = (endpoint.clone(), Arc::new(Counts::default()));
    let of_endpoint = Channel::limits(&endpoint.door_for_many()).clone();
    let serving = Arc::new(Serving { limits, of_endpoint, counts: Arc::clone(&counts) });
    // A service need not be Sync, so it is cloned for one connection at a time.
    let service = Mutex::new(service);
    let serve = move |incoming| {
        let service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let serving = Arc::clone(&serving);
        async move { serve_connection(incoming, service, &serving).await }
    };
    async move { counts.report(endpoint.accept_until(listener, serve, stop).await) }
}
