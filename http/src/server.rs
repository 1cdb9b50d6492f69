//! The accept loop of HTTP, and its end.
//!
//! ```text
//!   accepting ──stop──► draining ──no connection is left──► a report
//!    │                   │ idle connections end at once, those with a request behind its response
//!    │                   └─ after drain_time_max what is left is cut off
//!    └─ no permit: 503, and closed
//! ```
//!
//! It knows HTTP and no command: a [`Gateway`](crate::Gateway) is served like any other service. What
//! a service must know of the connection lies in the extensions of each request: the
//! [`Peer`](switchboard::transport::Peer), and [`Draining`].
//!
//! Only HTTP/1 is spoken, so nothing has to be found out before hyper reads. What a connection may
//! take is kept by `stream` and `body`; hyper itself bounds the head in bytes and headers.

use std::future::IntoFuture;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use switchboard::transport::{Handshake, Listener, Peer};
use switchboard::{ConnectionPermit, Endpoint};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::body::{BoxError, RequestBody};
use crate::connection::{Serving, refuse, serve_connection};
use crate::limits::HttpLimits;

/// Serves HTTP/1 to whoever connects to `listener`, for ever or [until](ServeHttp::until) it is
/// told to stop. The service may be a [`Gateway`](crate::Gateway), an axum `Router`, or any other
/// `tower_service::Service`; each request gets a clone of it.
///
/// The [`Peer`] and [`Draining`] are in the extensions of each request.
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
    ServeHttp { listener, service, limits, endpoint: None, stop: std::future::pending() }
}

/// A listener that is to be served, made by [`serve_http`]. It is awaited.
#[derive(Debug)]
#[must_use = "nothing is served until it is awaited"]
pub struct ServeHttp<L, S, Stop = std::future::Pending<()>> {
    listener: L,
    service: S,
    limits: HttpLimits,
    endpoint: Option<Endpoint>,
    stop: Stop,
}

/// What happened while HTTP was served, told when that has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpReport {
    /// Connections that were served.
    pub connections: u64,
    /// Connections that were turned away for want of a place.
    pub connections_refused: u64,
    /// Connections that were cut off when `drain_time_max` had passed.
    pub connections_cut_off: u64,
    /// Requests that reached the service.
    pub requests: u64,
}

/// Whether the server is to stop: in the extensions of each request. A service that answers without
/// an end looks at it, and ends then.
#[derive(Clone, Debug)]
pub struct Draining {
    told: watch::Receiver<bool>,
}

impl Draining {
    /// Whether the server takes no more requests.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.told.borrow() || self.told.has_changed().is_err()
    }

    /// Waits until it takes no more.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn wait(&mut self) {
        // An error is the end of the server as well.
        let _ = self.told.wait_for(|is_draining| *is_draining).await;
    }
}

impl<L, S, Stop> ServeHttp<L, S, Stop> {
    /// Stops when `stop` is ready: no connection and no request is taken any more, those under way
    /// have `drain_time_max`.
    pub fn until<Other: Future>(self, stop: Other) -> ServeHttp<L, S, Other> {
        let Self { listener, service, limits, endpoint, .. } = self;
        ServeHttp { listener, service, limits, endpoint, stop }
    }

    /// Counts the connections together with those of the endpoint's other doors, against its
    /// `connections_max` and `connections_per_peer_max`. Without it they are counted alone, against
    /// the defaults of these.
    pub fn admitted_by(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = Some(endpoint.clone());
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
        let (drain, told) = watch::channel(false);
        let (left, leaving) = mpsc::channel(1);
        let serving = Serving::new(limits, Draining { told }, left);
        let server = Server {
            service,
            serving: Arc::new(serving),
            endpoint: endpoint.unwrap_or_default(),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            refused: 0,
            drain,
        };
        Box::pin(server.run(listener, stop, leaving))
    }
}

struct Server<S> {
    service: S,
    serving: Arc<Serving>,
    endpoint: Endpoint,
    // Those who are being told that there is no place for them.
    refusals: Arc<Semaphore>,
    refused: u64,
    // Dropped with the future, which tells the connections as well.
    drain: watch::Sender<bool>,
}

impl<S, B> Server<S>
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>>,
    S: Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn run(
        mut self,
        mut listener: impl Listener,
        stop: impl Future + Send,
        mut leaving: mpsc::Receiver<()>,
    ) -> HttpReport {
        let mut stop = pin!(stop);
        let mut pause = PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, peer)) => {
                    pause = PAUSE_MIN;
                    self.welcome(Handshake::of(io, peer.clone()), &peer);
                }
                Err(error) => {
                    if pause == PAUSE_MIN {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    tokio::select! {
                        _ = &mut stop => break,
                        () = sleep(pause) => {}
                    }
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
        drop(listener);
        self.drain(&mut leaving).await
    }

    fn welcome(&mut self, handshake: Handshake, peer: &Peer) {
        match self.endpoint.admit(peer) {
            Ok(permit) => self.serve(handshake, permit),
            Err(error) => {
                self.refused = self.refused.saturating_add(1);
                tracing::info!(%peer, %error, "turned a connection away");
                let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
                let text = error.text().to_owned();
                tokio::spawn(async move {
                    // A peer that does not listen is not waited for.
                    let _ = timeout(REFUSAL_TIME_MAX, async {
                        if let Ok((io, _)) = handshake.run().await {
                            refuse(io, &text).await;
                        }
                    })
                    .await;
                    drop(place);
                });
            }
        }
    }

    fn serve(&self, handshake: Handshake, permit: ConnectionPermit) {
        let (serving, service) = (Arc::clone(&self.serving), self.service.clone());
        let time_max = serving.limits.handshake_time_max;
        let mut draining = serving.draining.clone();
        tokio::spawn(async move {
            let made = tokio::select! {
                biased;
                made = timeout(time_max, handshake.run()) => made,
                () = draining.wait() => return,
            };
            match made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok((io, peer)) => serve_connection(io, peer, service, &serving).await,
                Err(error) => tracing::info!(%error, ?time_max, "a handshake failed"),
            }
            drop((permit, serving));
        });
    }

    /// Waits for those who are connected, and cuts off who is left.
    async fn drain(self, leaving: &mut mpsc::Receiver<()>) -> HttpReport {
        let Self { serving, drain, refused, .. } = self;
        let (counts, time) = (Arc::clone(&serving.counts), serving.limits.drain_time_max);
        // Its sender is in there: when it is gone, so is everybody.
        drop(serving);
        drain.send_replace(true);
        let until = Instant::now().checked_add(time);
        let over = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = leaving.recv() => {}
            // The connections keep the same time, from when they were told.
            () = over => { let _ = timeout(GRACE, leaving.recv()).await; }
        }
        HttpReport { connections_refused: refused, ..counts.report() }
    }
}

/// The pause after the first accept that failed.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Peers that are told at one time that there is no place for them; more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// Time for telling one.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);

/// Time for connections that were cut off to be gone.
const GRACE: Duration = Duration::from_secs(1);
