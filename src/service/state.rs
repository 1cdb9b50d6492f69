//! Whether a channel has a connection, as a program may watch it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::watch;

/// Whether a channel, or the [`Client`](crate::Client) over it, has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// There is none, and one is being made. Calls wait for it.
    Connecting,
    /// There is one, as far as this side knows.
    Connected,
    /// There is none, and none will come.
    Closed,
}

/// The states of a channel: the one of now, and then each change, until it is closed. Changes that
/// follow one another faster than they are taken may be left out, but never the last.
///
/// It does not keep a connection open.
#[must_use = "a stream of states says nothing until it is asked"]
pub struct ChannelStates {
    // Not given out yet.
    first: Option<ChannelState>,
    rest: Rest,
}

/// A future that may be looked at from several threads, as streams of states may.
type Shared<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

enum Rest {
    /// Asked in this future, which gives the receiver back.
    Watched(Shared<Option<watch::Receiver<ChannelState>>>),
    /// Connected until this is ready.
    Until(Shared<()>),
    Over,
}

impl ChannelStates {
    /// Those of a channel that has always somebody to call, and is never closed.
    pub(crate) fn connected() -> Self {
        Self::until(std::future::pending())
    }

    /// Those of a connection that ends when this is ready.
    pub(crate) fn until(closed: impl Future<Output = ()> + Send + Sync + 'static) -> Self {
        Self { first: Some(ChannelState::Connected), rest: Rest::Until(Box::pin(closed)) }
    }

    /// Those of a channel that is closed.
    pub(crate) fn closed() -> Self {
        Self { first: Some(ChannelState::Closed), rest: Rest::Over }
    }

    /// Those that somebody else sets.
    pub(crate) fn watched(mut states: watch::Receiver<ChannelState>) -> Self {
        let first = *states.borrow_and_update();
        let rest = match first {
            ChannelState::Closed => Rest::Over,
            _ => Rest::watched(states),
        };
        Self { first: Some(first), rest }
    }

    /// The next state; `None` behind [`Closed`](ChannelState::Closed).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no state is lost.
    pub async fn next(&mut self) -> Option<ChannelState> {
        poll_fn(|cx| self.poll_state(cx)).await
    }

    /// The state of now, before any is taken.
    pub(crate) const fn first(&self) -> Option<ChannelState> {
        self.first
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Option<ChannelState>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let state = match &mut self.rest {
            Rest::Until(closed) => {
                ready!(closed.as_mut().poll(cx));
                ChannelState::Closed
            }
            Rest::Watched(changed) => match ready!(changed.as_mut().poll(cx)) {
                Some(mut states) => {
                    let state = *states.borrow_and_update();
                    self.rest = Rest::watched(states);
                    state
                }
                None => ChannelState::Closed,
            },
            Rest::Over => return Poll::Ready(None),
        };
        if state == ChannelState::Closed {
            self.rest = Rest::Over;
        }
        Poll::Ready(Some(state))
    }
}

impl Rest {
    fn watched(mut states: watch::Receiver<ChannelState>) -> Self {
        Self::Watched(Box::pin(async move { states.changed().await.is_ok().then_some(states) }))
    }
}

impl Stream for ChannelStates {
    type Item = ChannelState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ChannelState>> {
        self.poll_state(cx)
    }
}

impl fmt::Debug for ChannelStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelStates").finish_non_exhaustive()
    }
}
