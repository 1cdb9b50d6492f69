//! The body of a request, bounded in bytes and in time, whatever reads it.
//!
//! hyper bounds neither. There are two kinds of bodies:
//!
//! | | bytes | time |
//! |---|---|---|
//! | read as a whole | in all | in all, from the end of the head on, however slowly it drips |
//! | read in items | each item, by its reader | of each silence, while somebody waits for more |
//!
//! A service says that a body is of the second kind by [`BodyRules`], before it reads.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::HttpLimits;

/// An error of any type.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of a request as [`serve_http`](crate::serve_http) gives it to its service: bounded by
/// [`HttpLimits::body_bytes_max`] and [`HttpLimits::body_time_max`].
///
/// The items of a streamed request are bounded one by one by a [`Gateway`](crate::Gateway); the
/// time holds for each silence then.
///
/// # Errors
///
/// Reading it fails with a [`LengthLimitError`](http_body_util::LengthLimitError) of
/// `http-body-util` if it is too long, which axum's extractors answer with 413; with a
/// [`BodyTooSlow`] if it takes too long; and with an error of hyper if it is broken.
pub struct RequestBody {
    inner: Inner,
    // Without it, further away than the clock goes.
    until: Option<Instant>,
    time_max: Duration,
    // Armed once there is something to wait for: most bodies come with their head.
    timer: Option<Pin<Box<Sleep>>>,
    rules: BodyRules,
}

/// A body, of one kind or the other from its first read on.
enum Inner {
    Whole(Limited<Incoming>),
    Streamed(Incoming),
    Unread(Option<Incoming>),
}

/// How the body of a request is bounded: in the extensions of the request, for whoever reads it.
#[derive(Clone, Debug)]
pub(crate) struct BodyRules {
    /// The bytes of one that is read as a whole.
    pub(crate) bytes_max: usize,
    is_streamed: Arc<AtomicBool>,
}

impl BodyRules {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self { bytes_max: limits.body_bytes_max, is_streamed: Arc::default() }
    }

    /// A request begins: its body is one to be read as a whole.
    pub(crate) fn begins(&self) {
        self.is_streamed.store(false, Ordering::Release);
    }

    /// Its body is read in items.
    pub(crate) fn goes_on(&self) {
        self.is_streamed.store(true, Ordering::Release);
    }

    fn is_streamed(&self) -> bool {
        self.is_streamed.load(Ordering::Acquire)
    }
}

/// The body of a request did not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyTooSlow {
    /// The time in which it should have come: [`HttpLimits::body_time_max`].
    pub time_max: Duration,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, limits: &HttpLimits, rules: BodyRules) -> Self {
        let time_max = limits.body_time_max;
        let (inner, until) = (Inner::Unread(Some(inner)), Instant::now().checked_add(time_max));
        Self { inner, until, time_max, timer: None, rules }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, until, time_max, timer, rules } = &mut *self;
        if let Inner::Unread(unread) = inner
            && let Some(unread) = unread.take()
        {
            *inner = if rules.is_streamed() {
                Inner::Streamed(unread)
            } else {
                Inner::Whole(Limited::new(unread, rules.bytes_max))
            };
        }
        let frame = match inner {
            Inner::Whole(body) => Pin::new(body).poll_frame(cx),
            Inner::Streamed(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Inner::Unread(_) => Poll::Ready(None),
        };
        if frame.is_ready() {
            if matches!(inner, Inner::Streamed(_)) {
                // The next silence begins when somebody waits for it.
                *timer = None;
            }
            return frame;
        }
        let time_max = *time_max;
        let until = match inner {
            Inner::Streamed(_) if timer.is_none() => Instant::now().checked_add(time_max),
            _ => *until,
        };
        if timer.is_none() {
            *timer = until.map(|until| Box::pin(sleep_until(until)));
        }
        let Some(timer) = timer else { return Poll::Pending };
        timer.as_mut().poll(cx).map(|()| Some(Err(BodyTooSlow { time_max }.into())))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Streamed(body) => body.is_end_stream(),
            Inner::Unread(body) => body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(body) => body.size_hint(),
            Inner::Streamed(body) => body.size_hint(),
            Inner::Unread(body) => body.as_ref().map(Body::size_hint).unwrap_or_default(),
        }
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
