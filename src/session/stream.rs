//! One streamed call, with its halves and how far it is.
//!
//! ```text
//!   begun ──open, or an item──► opened ──final reply──► (gone)
//!                                 │ a half: end ──► ended
//!                                 └ this side wants nothing more: cut off ──► (gone)
//! ```

use std::task::{Poll, Waker};
use std::time::Instant;

use super::event::Whose;
use super::half::{Item, Misuse, Receiving, Sending};
use crate::command::Facts;
use crate::error::{Code, Error};
use crate::wire::{Options, Tag};

/// The halves that a call begins with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Halves {
    /// The request goes on in items.
    pub(super) has_request: bool,
    /// The reply comes in items, for which its caller grants so much at first.
    pub(super) reply_credit: Option<u32>,
    /// The caller wants to go on where it was.
    pub(super) has_position: bool,
    /// The window of a request that goes on; replies have theirs from the beginning.
    pub(super) request_window: u32,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) serial: u64,
    pub(super) sending: Option<Sending>,
    pub(super) receiving: Option<Receiving>,
    // Whether it stands among those whose turn comes.
    pub(super) is_listed: bool,
    // `open` was said, by whoever takes the call, or something that comes behind it.
    is_open: bool,
    // Where the items begin, once `open` or something behind it has come.
    opened: Option<Option<u64>>,
    // Of whoever waits for that.
    opener: Option<Waker>,
    // `end` is to be said behind the last item.
    pub(super) is_end_due: bool,
    // The final reply is to be said behind the last item.
    pub(super) is_last_due: bool,
    // No more comes.
    is_over: bool,
    // Nor is what has come wanted.
    pub(super) is_cut_off: bool,
    pub(super) stalled_since: Option<Instant>,
}

/// What to do with a line about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is done.
    Done,
    /// The body that follows is an item.
    Item,
    /// Nobody wants it any more.
    Unwanted,
}

impl Halves {
    #[inline]
    pub(super) fn of(options: &Options) -> Self {
        if options.is_known_format() {
            // As nearly always.
            return Self::default();
        }
        let (has_request, reply_credit) = (options.is_stream(), options.credit());
        let has_position = options.from().is_some();
        Self { has_request, reply_credit, has_position, request_window: 0 }
    }

    /// These of a call that this side takes, whose command has these facts.
    pub(super) fn taken_by(mut self, facts: Option<&Facts>) -> Self {
        self.request_window = facts.map_or(0, Facts::window);
        self
    }

    pub(super) const fn are_none(self) -> bool {
        !self.has_request && self.reply_credit.is_none()
    }

    /// Why a command with these facts cannot be called like this.
    pub(super) fn mismatch(self, tag: Tag, facts: Option<&Facts>) -> Option<Error> {
        let facts = facts.copied().unwrap_or_default();
        let text = match (self.has_request, self.reply_credit.is_some()) {
            (true, _) if !facts.has_request_items() => "this command takes no stream",
            (_, true) if !facts.has_reply_items() => "this command answers with one value",
            (false, _) if facts.has_request_items() => {
                "this command takes a stream: call it with stream=1"
            }
            (_, false) if facts.has_reply_items() => {
                "this command answers with a stream: call it with credit="
            }
            (false, false) => return None,
            _ if tag == 0 => "a streamed call has a tag",
            _ if self.has_position && !facts.is_resumable() => {
                return Some(Error::found(Code::Invalid, NOT_RESUMABLE));
            }
            _ => return None,
        };
        Some(Error::found(Code::UnsupportedFormat, text))
    }
}

impl Stream {
    pub(super) fn new(whose: Whose, serial: u64, halves: Halves) -> Self {
        let request = halves.has_request.then_some(REQUEST_CREDIT);
        // The caller has said how much of the reply it wants at once.
        let (sent, received, window_later) = match whose {
            Whose::Ours => (request, halves.reply_credit, 0),
            Whose::Theirs => (halves.reply_credit, request, halves.request_window),
        };
        Self {
            serial,
            sending: sent.map(Sending::new),
            receiving: received.map(|window| Receiving::new(window, window_later)),
            is_listed: false,
            is_open: false,
            opened: None,
            opener: None,
            is_end_due: false,
            is_last_due: false,
            is_over: false,
            is_cut_off: false,
            stalled_since: None,
        }
    }

    pub(super) fn held_bytes(&self) -> u64 {
        let sent = self.sending.as_ref().map_or(0, Sending::held_bytes);
        sent.saturating_add(self.receiving.as_ref().map_or(0, Receiving::held_bytes))
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.sending.as_ref().is_some_and(Sending::is_stalled)
    }

    /// Items that are left without credit wait for it from now on; whether they have not before.
    pub(super) fn stalls(&mut self, now: Instant) -> bool {
        let stalls = self.stalled_since.is_none() && self.is_stalled();
        if stalls {
            self.stalled_since = Some(now);
        }
        stalls
    }

    /// The peer says that it has taken the call, and where its items begin.
    pub(super) fn handle_open(
        &mut self,
        position: Option<u64>,
        due: &mut Vec<Waker>,
    ) -> Result<(), Misuse> {
        if std::mem::replace(&mut self.is_open, true) {
            return Err(Misuse::OpenTwice);
        }
        if self.opened.is_none()
            && let Some(receiving) = &mut self.receiving
        {
            receiving.begin_at(position);
        }
        self.note_opened(position, due);
        Ok(())
    }

    /// Something came that comes behind `open`, if there is one.
    pub(super) fn note_opened(&mut self, position: Option<u64>, due: &mut Vec<Waker>) {
        self.opened.get_or_insert(position);
        due.extend(self.opener.take());
    }

    /// Where the items begin; `waker` is kept until that is known. `None` if the call has ended
    /// before.
    pub(super) fn poll_opened(
        &mut self,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Option<Option<u64>>> {
        if self.opened.is_some() || self.is_over {
            return Poll::Ready(self.opened);
        }
        spent.extend(std::mem::replace(&mut self.opener, waker.take()));
        Poll::Pending
    }

    /// The next item of the peer, `None` behind the last, and what is to be granted for more.
    /// `None` of both if the call is over.
    pub(super) fn poll_item(
        &mut self,
        is_scarce: bool,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
        due: &mut Vec<Waker>,
    ) -> Option<(Poll<Option<Item>>, Option<u32>)> {
        if self.is_cut_off {
            return None;
        }
        let Some(receiving) = &mut self.receiving else {
            return Some((Poll::Ready(None), None));
        };
        if receiving.is_cut_off() {
            return None;
        }
        let item = receiving.poll_next(waker, spent);
        due.extend(receiving.take_last_waker());
        // Also when there is none: what was lent has been used up.
        let is_open = !matches!(item, Poll::Ready(None));
        let credit = if is_open { receiving.take_credit(is_scarce) } else { None };
        Some((item, credit))
    }

    /// This side says that it has taken the call; whether that can still be said.
    pub(super) fn open(&mut self, position: Option<u64>) -> bool {
        if self.is_cut_off || std::mem::replace(&mut self.is_open, true) {
            return false;
        }
        if let Some(sending) = &mut self.sending {
            sending.begin_at(position);
        }
        true
    }

    /// An item of this side comes, behind which `open` says nothing.
    pub(super) const fn note_open(&mut self) {
        self.is_open = true;
    }

    /// Drops what waits; whoever waits for it is to be woken.
    pub(super) fn cut_off(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.receiving.as_mut().and_then(Receiving::cut_off));
        self.be_over(due);
        self.is_cut_off = true;
    }

    /// No more will come; what has come may still be taken.
    pub(super) fn end(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.receiving.as_mut().and_then(|half| half.handle_end().ok().flatten()));
        self.be_over(due);
    }

    /// Nothing more goes, and nobody waits for that or for the beginning.
    fn be_over(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.sending.iter_mut().flat_map(Sending::cut_off));
        due.extend(self.opener.take());
        (self.is_end_due, self.is_last_due, self.stalled_since) = (false, false, None);
        self.is_over = true;
    }
}

/// What a caller is told that wants to go on where it cannot.
pub(crate) const NOT_RESUMABLE: &str = "this command cannot go on from a position";

/// What the half of a request begins with.
const REQUEST_CREDIT: u32 = 16_384;
