//! One connection: hyper in front of a service, with our times and our end.
//!
//! hyper is lent the stream, so that it is still there when hyper has ended: what the peer goes on
//! to send is read and thrown away for a while. Closing with unread input makes TCP throw away what
//! was written, and the peer would never read why it was refused.

use std::error::Error as StdError;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use switchboard::service::Draining;
use switchboard::transport::BoxedIo;
use switchboard::{Incoming, Limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::ahead::Ahead;
use crate::body::{BodyRules, BoxError, RequestBody};
use crate::ids::{REQUEST_ID, made};
use crate::limits::HttpLimits;
use crate::refusal::Refusal;
use crate::report::{Counts, CutOff};
use crate::service::HttpService;
use crate::stream::{Phase, Watched};

/// What the connections of one listener share.
pub(crate) struct Serving {
    pub(crate) limits: HttpLimits,
    // How long it lingers, and how much is read then.
    pub(crate) of_endpoint: Limits,
    pub(crate) counts: Arc<Counts>,
}

impl Serving {
    fn builder(&self) -> http1::Builder {
        let limits = &self.limits;
        let buffer_bytes_max = limits.buffer_bytes_max.max(limits.head_bytes_max).max(BUFFER_LEAST);
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_header_size(limits.head_bytes_max)
            .max_buf_size(buffer_bytes_max);
        if limits.headers_max != HEADERS_OF_HYPER {
            // It takes memory for each request then.
            builder.max_headers(limits.headers_max);
        }
        builder
    }
}

/// Serves one stream until its peer, a limit or the drain ends it. When the drain is over, this is
/// dropped.
pub(crate) async fn serve_connection(
    incoming: Incoming,
    service: impl HttpService,
    serving: &Serving,
) {
    let draining = incoming.draining();
    let Incoming { io, peer, refused, .. } = incoming;
    let Serving { limits, of_endpoint, counts } = serving;
    if let Some(error) = refused {
        return refuse(io, error, of_endpoint).await;
    }
    let cut_off = CutOff::new(counts);
    let mut ahead = Ahead::new(io);
    let mut io = Watched::new(ahead.clone(), limits);
    let phase = Arc::clone(io.phase());
    let (told, shown, rules) = (draining.clone(), peer.clone(), BodyRules::new(limits));
    let turn = Arc::clone(&phase);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        turn.begin();
        counts.count_request();
        rules.begins();
        let mut request = request.map(|body| RequestBody::new(body, limits, rules.clone()));
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(told.clone());
        request.extensions_mut().insert(rules.clone());
        let (mut service, phase) = (service.clone(), Arc::clone(&turn));
        async move {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.map_err(Failed::new)?;
            let response = service.call(request).await.map_err(Failed::new)?;
            Ok::<_, Failed>(response.map(|inner| Told { inner: Box::pin(inner), phase }))
        }
    });
    let end = {
        let connection = serving.builder().serve_connection(TokioIo::new(&mut io), service);
        let mut connection = pin!(connection);
        let mut waiting = pin!(end_of_waiting(&draining));
        let (mut is_told, mut was_idle) = (false, false);
        std::future::poll_fn(|cx| {
            if !is_told && waiting.as_mut().poll(cx).is_ready() {
                (is_told, was_idle) = (true, phase.is_idle());
                connection.as_mut().graceful_shutdown();
            }
            let is_head = phase.is_head();
            match connection.as_mut().poll(cx) {
                Poll::Ready(Ok(())) if was_idle => Poll::Ready(End::Idle),
                Poll::Ready(Ok(())) => Poll::Ready(End::Served),
                Poll::Ready(Err(error)) => Poll::Ready(End::Failed { error, is_head }),
                // It has left: so does its handler, which is dropped with the connection.
                Poll::Pending if phase.is_busy() => ahead.poll_gone(cx).map(|()| End::Left),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    };
    match end {
        // Nothing is on its way to the peer.
        End::Idle | End::Left => return cut_off.end(),
        End::Served => cut_off.end(),
        End::Failed { error, is_head } => {
            tracing::debug!(peer = %shown, %error, "a connection failed");
            // An answer that could not be written while the server drained is cut off.
            if is_head || !draining.is_draining() {
                cut_off.end();
            }
        }
    }
    tokio::select! {
        () = linger(&mut ahead, of_endpoint) => {}
        () = async { draining.wait().await; sleep(of_endpoint.linger_time_max).await } => {}
    }
}

/// How a connection came to its end.
enum End {
    /// The server drains, and there is no request.
    Idle,
    /// The peer left while it was answered.
    Left,
    /// In good order.
    Served,
    /// By an error: in a head, or behind one.
    Failed { error: hyper::Error, is_head: bool },
}

/// Waits until a connection without a request is to end. One that was let in when all was to end
/// may have sent one, which the runtime has not seen yet.
async fn end_of_waiting(draining: &Draining) {
    if draining.is_draining() {
        sleep(LATE_TIME_MAX).await;
    }
    draining.wait().await;
}

/// Tells a peer why there is no place for it.
async fn refuse(mut io: BoxedIo, error: switchboard::Error, limits: &Limits) {
    let id = made();
    let response = Refusal::from(error).response(&id);
    let mut bytes =
        format!("HTTP/1.1 {}\r\n{REQUEST_ID}: {id}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.body();
    let end = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    bytes.extend_from_slice(end.as_bytes());
    bytes.extend_from_slice(body);
    let _ = io.write_all(&bytes).await;
    linger(&mut io, limits).await;
}

/// Says that nothing more comes, and reads what the peer still sends.
async fn linger(io: &mut (impl AsyncRead + AsyncWrite + Unpin), limits: &Limits) {
    let drain = async {
        let _ = io.shutdown().await;
        let mut buffer = vec![0; LINGER_BUFFER_BYTES];
        let mut left = limits.linger_bytes_max;
        while left > 0 {
            match io.read(&mut buffer).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => return,
            }
        }
    };
    let _ = timeout(limits.linger_time_max, drain).await;
}

/// A service that gave no response.
#[derive(Debug)]
struct Failed(BoxError);

impl Failed {
    fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service failed: {}", self.0)
    }
}

impl StdError for Failed {}

/// The body of a response, by which the connection learns of its end.
struct Told<B> {
    inner: Pin<Box<B>>,
    phase: Arc<Phase>,
}

impl<B: Body> Body for Told<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.inner.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Told<B> {
    fn drop(&mut self) {
        self.phase.end();
    }
}

/// The headers that hyper takes where it is told nothing.
const HEADERS_OF_HYPER: usize = 100;

/// The least that hyper takes as a buffer.
const BUFFER_LEAST: usize = 8192;

/// What is read at once of a peer that goes on sending.
const LINGER_BUFFER_BYTES: usize = 8 * 1024;

/// Time for the head of a request of who was let in at the end.
const LATE_TIME_MAX: Duration = Duration::from_millis(100);
