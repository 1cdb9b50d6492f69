//! The ways of a call: over one connection, which is the fast one; over a connection that is found
//! for it, and perhaps found anew; or over any channel.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::over_channel::OverChannel;
use super::repeating::{Repeating, Supply};
use crate::asking::Unsent;
use crate::command::Facts;
use crate::conn::{ConnectionChannel, Outgoing};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::service::{Channel, Items};
use crate::session::Received;

/// How calls are made.
#[derive(Clone)]
pub(super) enum Way {
    Connection(ConnectionChannel),
    Supplied(Arc<dyn Supply>),
    Channel(Arc<dyn Channel>),
}

/// A call by a [`Way`] and its reply, from before it is sent.
pub(super) enum Exchange {
    Connection(Outgoing),
    Supplied(Repeating),
    Channel(Box<OverChannel>),
}

impl Way {
    /// It as a channel, for all but the calls that have a way of their own.
    pub(super) fn channel(&self) -> &dyn Channel {
        match self {
            Self::Connection(connection) => connection,
            Self::Supplied(supply) => &**supply,
            Self::Channel(channel) => &**channel,
        }
    }

    #[inline]
    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(connection) => connection.limits(),
            Self::Supplied(supply) => supply.limits(),
            Self::Channel(channel) => channel.limits(),
        }
    }

    #[inline]
    pub(super) fn exchange(&self, unsent: Unsent) -> Exchange {
        match self {
            Self::Connection(ConnectionChannel(handle)) => {
                Exchange::Connection(Outgoing::new(Arc::clone(handle), unsent))
            }
            Self::Supplied(supply) => Exchange::Supplied(Repeating::new(supply, unsent)),
            Self::Channel(channel) => Exchange::Channel(OverChannel::new(channel, unsent)),
        }
    }
}

impl Exchange {
    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        match self {
            Self::Connection(call) => call.poll_call(cx),
            Self::Supplied(call) => call.poll_call(cx),
            Self::Channel(call) => call.poll_call(cx),
        }
    }

    /// Sends a streamed call; answers where its items are.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn Items>>> {
        let items = match self {
            Self::Connection(call) => ready!(call.poll_open(cx)),
            Self::Supplied(call) => ready!(call.poll_open(cx)),
            Self::Channel(call) => return Poll::Ready(call.open()),
        };
        Poll::Ready(items.map(|items| Arc::new(items) as Arc<dyn Items>))
    }

    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Connection(call) => call.poll_notify(cx),
            Self::Supplied(call) => call.poll_notify(cx),
            Self::Channel(call) => call.poll_notify(cx),
        }
    }

    /// Whether a streamed call that has ended with this error is made again; at this position if it
    /// had begun.
    pub(super) fn goes_on(&mut self, error: &mut Error, has_begun: bool, at: Option<u64>) -> bool {
        match self {
            Self::Supplied(call) => call.goes_on(error, has_begun, at),
            Self::Connection(_) | Self::Channel(_) => false,
        }
    }

    /// Whether nobody but its caller moves it.
    pub(super) const fn is_over_channel(&self) -> bool {
        matches!(self, Self::Channel(_))
    }

    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(call) => call.handle().shared().limits(),
            Self::Supplied(call) => call.limits(),
            Self::Channel(call) => call.channel.limits(),
        }
    }

    /// What its command has in place of limits.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.unsent().facts.as_deref()
    }

    pub(super) fn command(&self) -> &str {
        self.unsent().name.as_str()
    }

    pub(super) fn unsent_mut(&mut self) -> &mut Unsent {
        match self {
            Self::Connection(call) => call.unsent_mut(),
            Self::Supplied(call) => call.unsent_mut(),
            Self::Channel(call) => &mut call.unsent,
        }
    }

    fn unsent(&self) -> &Unsent {
        match self {
            Self::Connection(call) => call.unsent(),
            Self::Supplied(call) => call.unsent(),
            Self::Channel(call) => &call.unsent,
        }
    }
}
