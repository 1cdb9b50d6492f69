//! What has to be done next for the peer: events in the order in which they came, and a plain call
//! behind them.
//!
//! A plain call is a barrier. It is given out when every call before it that wants a reply has one,
//! and while it has the stream nothing else is.

use std::collections::VecDeque;

use super::tables::shrink_empty;
use super::{CallId, Event, Plain};

#[derive(Debug, Default)]
pub(super) struct Agenda {
    events: VecDeque<Event>,
    // Boxed, as few connections ever have one.
    plain: Option<Box<Plain>>,
    // A plain call has the stream: nothing else is given out, read or written.
    pub(super) is_lent: bool,
    // Those that were given out.
    pub(super) plain_calls: u64,
}

impl Agenda {
    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn push_plain(&mut self, plain: Plain) {
        self.plain = Some(Box::new(plain));
    }

    /// Whether there was a plain call that waited.
    pub(super) fn drop_plain(&mut self) -> bool {
        self.plain.take().is_some()
    }

    /// The next event; `is_replied` says whether every call that wants a reply has one.
    pub(super) fn poll(&mut self, is_replied: impl FnOnce() -> bool) -> Option<Event> {
        if self.is_lent {
            return None;
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        shrink_empty(&mut self.events);
        if self.plain.is_none() || !is_replied() {
            return None;
        }
        self.is_lent = true;
        self.plain_calls = self.plain_calls.saturating_add(1);
        self.plain.take().map(Event::Plain)
    }

    pub(super) fn has_event(&self, is_replied: impl FnOnce() -> bool) -> bool {
        let has_plain = || self.plain.is_some() && is_replied();
        !self.is_lent && (!self.events.is_empty() || has_plain())
    }

    /// Takes back a call that nobody has seen; whether there was one.
    pub(super) fn take_back(&mut self, id: CallId) -> bool {
        let before = self.events.len();
        self.events.retain(|event| !matches!(event, Event::Call(call) if call.id == id));
        self.events.len() < before
    }

    /// Forgets all but the calls that are to stop; answers those that nobody has seen.
    pub(super) fn abandon(&mut self) -> Vec<CallId> {
        self.plain = None;
        let mut unseen = Vec::new();
        self.events.retain(|event| {
            if let Event::Call(call) = event {
                unseen.push(call.id);
            }
            matches!(event, Event::Stop(_))
        });
        unseen
    }

    /// Whether a plain call waits.
    pub(super) const fn has_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Whether nothing is to be done, or is being done by a plain call.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.plain.is_none() && !self.is_lent
    }
}
