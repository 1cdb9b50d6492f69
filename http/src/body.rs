//! The body of a request, bounded in bytes and in time, whatever reads it.
//!
//! hyper bounds neither. The time begins with the body and not with the first read, so that a peer
//! which drips a byte a second ends with its time, and does not begin anew with each byte.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::HttpLimits;

/// An error of whichever type.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of a request as [`serve_http`](crate::serve_http) gives it to its service: bounded by
/// [`HttpLimits::body_bytes_max`] and [`HttpLimits::body_time_max`].
///
/// # Errors
///
/// Reading it fails with a [`LengthLimitError`](http_body_util::LengthLimitError) of
/// `http-body-util` where it is too long, which axum's extractors answer with 413; with a
/// [`BodyTooSlow`] where it takes too long; and with one of hyper's where it is broken.
pub struct RequestBody {
    inner: Limited<Incoming>,
    // Without it, further away than the clock goes.
    until: Option<Instant>,
    time_max: Duration,
    // Armed once there is something to wait for: most bodies come with their head.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The body of a request did not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyTooSlow {
    /// The time in which it should have come: [`HttpLimits::body_time_max`].
    pub time_max: Duration,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, limits: &HttpLimits) -> Self {
        let until = Instant::now().checked_add(limits.body_time_max);
        let inner = Limited::new(inner, limits.body_bytes_max);
        Self { inner, until, time_max: limits.body_time_max, timer: None }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, until, time_max, timer } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(until) = *until else { return Poll::Pending };
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        let time_max = *time_max;
        timer.as_mut().poll(cx).map(|()| Some(Err(BodyTooSlow { time_max }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

impl fmt::Display for BodyTooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body did not come within body_time_max ({:?})", self.time_max)
    }
}

impl StdError for BodyTooSlow {}
