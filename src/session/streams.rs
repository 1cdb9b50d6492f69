//! The streamed calls of one direction: where their items are, and whose turn it is.
//!
//! How much may go is each half's own matter (`half`). Here it is seen to that they take turns: the
//! bytes of items that are handed over to be written at once are bounded, and each stream that has
//! credit gives one item after the other. So a stream that nobody reads holds up no other, and a
//! large one not the calls beside it, which do not pass through here.
//!
//! An entry lives as long as its call on the wire: from the call's line to the final reply. What
//! the peer still says of it when this side has lost interest is taken and dropped.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use foldhash::HashMap;

use super::deadlines::Earliest;
use super::event::{StreamId, Whose};
use super::half::{Item, Misuse, Sending};
use super::patience::Patience;
use super::stream::{Halves, Stream, Taken};
use super::told::{push_part, takes_no_items};
use super::{CallId, Violation};
use crate::error::{Code, Error};
use crate::limits::Limits;
use crate::wire::{Options, Outbox, Part, Tag};

#[derive(Debug)]
pub(super) struct Streams {
    whose: Whose,
    // The last of this side's, by which calls that had one tag are told apart.
    last_serial: u32,
    patience: Patience,
    streams_max: u32, // Short numbers: each connection has two of these.
    item_bytes_max: u32,
    // Boxed, and only there while it is needed: most connections never have a stream.
    open: Option<Box<Open>>,
}

/// The streams that are open.
#[derive(Debug, Default)]
struct Open {
    table: HashMap<Tag, Stream>,
    // Those with an item that may go, in turn; each stands here once.
    ready: VecDeque<Tag>,
    // Those who have something to come for.
    due: Vec<Waker>,
    held_bytes: u64,
    // Items have been handed over, and some may be left that wait for credit from now on.
    has_moved: bool,
    // Since when the first stream has waited for credit.
    stalled: Earliest,
}

impl Streams {
    pub(super) fn new(whose: Whose, limits: &Limits) -> Self {
        Self {
            whose,
            last_serial: 0,
            patience: Patience::new(limits),
            streams_max: u32::try_from(limits.streams_per_connection_max).unwrap_or(u32::MAX),
            item_bytes_max: u32::try_from(limits.item_bytes_max).unwrap_or(u32::MAX),
            open: None,
        }
    }

    /// Why no other can be opened beside so many that are.
    pub(super) fn check_room(&self, open: usize) -> Option<Error> {
        if u32::try_from(open).is_ok_and(|open| open < self.streams_max) {
            return None;
        }
        let text = format!("streams_per_connection_max ({}) are open", self.streams_max);
        Some(Error::found(Code::Overloaded, text))
    }

    /// Why an item cannot be so large.
    pub(super) fn check_size(&self, len: u64) -> Option<Error> {
        let max = self.item_bytes_max;
        if len <= u64::from(max) {
            return None;
        }
        let text = format!("an item of {len} bytes is over item_bytes_max ({max})");
        Some(Error::found(Code::TooLarge, text))
    }

    /// A streamed call of this side has begun.
    pub(super) fn begin_made(&mut self, tag: Tag, halves: Halves) {
        self.last_serial = self.last_serial.wrapping_add(1);
        self.begin(tag, u64::from(self.last_serial), halves);
    }

    /// A streamed call of the peer has begun.
    pub(super) fn begin_taken(&mut self, id: CallId, halves: Halves) {
        self.begin(id.tag, id.serial, halves);
    }

    fn begin(&mut self, tag: Tag, serial: u64, halves: Halves) {
        let stream = Stream::new(self.whose, serial, halves);
        self.open.get_or_insert_default().table.insert(tag, stream);
    }

    /// The call with this tag, if it is streamed.
    pub(super) fn id_of(&self, tag: Tag) -> Option<StreamId> {
        let serial = self.open.as_ref()?.table.get(&tag)?.serial;
        Some(StreamId::new(self.whose, tag, serial))
    }

    /// The call has its final reply, or none will come: whoever waits for items is woken.
    #[inline]
    pub(super) fn remove(&mut self, tag: Tag) {
        // On most connections there is none.
        if self.open.is_some() {
            self.cut_off(tag);
        }
        if let Some(open) = &mut self.open {
            open.table.remove(&tag);
        }
    }

    /// This side wants nothing of it any more; the peer may not know yet.
    pub(super) fn cut_off(&mut self, tag: Tag) {
        self.change(tag, Stream::cut_off);
    }

    /// No more will come for a call of ours: what has come may still be taken.
    pub(super) fn end(&mut self, tag: Tag) {
        self.change(tag, Stream::end);
    }

    /// None goes on.
    pub(super) fn clear(&mut self) {
        let tags: Vec<_> = self.open.iter().flat_map(|open| open.table.keys()).copied().collect();
        tags.into_iter().for_each(|tag| self.remove(tag));
    }

    pub(super) fn contains(&self, tag: Tag) -> bool {
        self.open.as_ref().is_some_and(|open| open.table.contains_key(&tag))
    }

    pub(super) fn len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.table.len())
    }

    /// Takes out those who have something to come for.
    pub(super) fn collect_due(&mut self, due: &mut Vec<Waker>) {
        if let Some(open) = &mut self.open {
            due.append(&mut open.due);
        }
        self.open.take_if(|open| open.table.is_empty());
    }

    // What arrives.

    /// Takes in a line about a call that is under way; with `open` a position may be said.
    pub(super) fn handle_line(
        &mut self,
        tag: Tag,
        part: Part,
        position: Option<u64>,
    ) -> Result<Taken, Violation> {
        let taken = self.change(tag, |stream, due| match part {
            Part::Item(len) => {
                let receiving = stream.receiving.as_mut().ok_or(Misuse::NoHalf)?;
                let is_wanted = receiving.handle_line(len)?;
                Ok(if is_wanted { Taken::Item } else { Taken::Unwanted })
            }
            Part::End => {
                let receiving = stream.receiving.as_mut().ok_or(Misuse::NoHalf)?;
                due.extend(receiving.handle_end()?);
                stream.note_opened(None, due);
                Ok(Taken::Done)
            }
            Part::Credit(credit) => {
                let sending = stream.sending.as_mut().ok_or(Misuse::NoHalf)?;
                sending.handle_credit(credit)?;
                if !sending.is_stalled() {
                    stream.stalled_since = None;
                }
                Ok(Taken::Done)
            }
            Part::Open => stream.handle_open(position, due).map(|()| Taken::Done),
            Part::Cancel | Part::Ok(_) | Part::Err(..) => Ok(Taken::Done),
        });
        let taken = taken.unwrap_or(Err(Misuse::NoHalf));
        taken.map_err(|misuse| Violation::Stream(tag, misuse))
    }

    /// Takes in an item, if somebody still wants it.
    pub(super) fn handle_item(&mut self, tag: Tag, item: Item) {
        self.change(tag, |stream, due| {
            due.extend(stream.receiving.as_mut().and_then(|half| half.handle_item(item)));
            stream.note_opened(None, due);
        });
    }

    // Whoever takes items.

    /// The next item of the peer, `None` behind the last; credit for more goes to `outbox`.
    ///
    /// # Errors
    ///
    /// The call is over, and there was no last one.
    pub(super) fn poll_item(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
        outbox: &mut Outbox,
    ) -> Poll<Result<Option<Item>, Error>> {
        let whose = self.whose;
        let polled = self.change_own(id, |stream, due| {
            let (item, credit) = stream.poll_item(is_scarce, waker, spent, due)?;
            if let Some(credit) = credit {
                push_part((whose, id.tag()), Part::Credit(credit), Options::default(), outbox);
            }
            Some(item)
        });
        match polled.flatten() {
            Some(item) => item.map(Ok),
            None => Poll::Ready(Err(takes_no_items())),
        }
    }

    /// Lends those behind the item that was taken last, until another is asked for.
    pub(super) fn lend_items(&mut self, id: StreamId, lent: &mut VecDeque<Item>) {
        self.change_own(id, |stream, due| {
            if let Some(receiving) = &mut stream.receiving {
                receiving.lend(lent);
                due.extend(receiving.take_last_waker());
            }
        });
    }

    /// Where the items of the peer begin; `waker` is kept until that is known.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub(super) fn poll_opened(
        &mut self,
        id: StreamId,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Result<Option<u64>, Error>> {
        match self.change_own(id, |stream, _| stream.poll_opened(waker, spent)) {
            Some(Poll::Ready(Some(position))) => Poll::Ready(Ok(position)),
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(None)) | None => Poll::Ready(Err(takes_no_items())),
        }
    }

    /// Whether the items that came before the final reply have been taken; `waker` is kept if not.
    pub(super) fn poll_taken(
        &mut self,
        tag: Tag,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<()> {
        let polled =
            self.change(tag, |stream, _| Some(stream.receiving.as_mut()?.poll_taken(waker, spent)));
        polled.flatten().unwrap_or(Poll::Ready(()))
    }

    // Whoever makes items.

    /// Whether more items of this side may come.
    pub(super) fn is_sending(&mut self, id: StreamId) -> bool {
        let sending = self.change_own(id, |stream, _| {
            stream.sending.as_ref().is_some_and(|sending| !sending.is_ended())
        });
        sending == Some(true)
    }

    /// This side has taken the call; whether that can still be said.
    pub(super) fn open(&mut self, id: StreamId, position: Option<u64>) -> bool {
        self.change_own(id, |stream, _| stream.open(position)) == Some(true)
    }

    /// Whether an item may be added; `waker` is kept if it may not yet.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub(super) fn poll_room(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Result<(), Error>> {
        let polled = self.change_own(id, |stream, _| {
            let half = stream.sending.as_mut().filter(|half| !half.is_ended())?;
            Some(half.poll_room(is_scarce, waker, spent))
        });
        match polled.flatten() {
            Some(poll) => poll.map(Ok),
            None => Poll::Ready(Err(takes_no_items())),
        }
    }

    /// Adds an item, for which there is room.
    pub(super) fn push_item(&mut self, now: Instant, id: StreamId, item: Item) {
        let whose = self.whose;
        let stalls = self.change_own(id, |stream, _| {
            if whose == Whose::Theirs {
                stream.note_open();
            }
            if let Some(sending) = &mut stream.sending {
                sending.push(item);
            }
            stream.stalls(now)
        });
        if let (Some(true), Some(open)) = (stalls, &mut self.open) {
            open.stalled.note(now);
        }
    }

    /// Nothing comes behind what waits: `end` is said behind it. Not of a reply, whose final value
    /// or error is its end.
    pub(super) fn end_items(&mut self, id: StreamId, outbox: &mut Outbox) {
        let whose = self.whose;
        if whose == Whose::Theirs {
            return;
        }
        self.change_own(id, |stream, due| {
            let Some(sending) = stream.sending.as_mut().filter(|half| !half.is_ended()) else {
                return;
            };
            due.extend(sending.end());
            stream.is_end_due = !sending.is_done();
            if !stream.is_end_due {
                push_part((whose, id.tag()), Part::End, Options::default(), outbox);
            }
        });
    }

    /// The final reply comes behind what waits. Whether nothing waits, and it can be said at once.
    /// If not, what still comes of the request is granted and dropped: its sender may wait for it.
    pub(super) fn finish(&mut self, id: StreamId, outbox: &mut Outbox) -> bool {
        let whose = self.whose;
        let is_done = self.change_own(id, |stream, due| {
            let Some(sending) = &mut stream.sending else { return true };
            due.extend(sending.end());
            stream.is_last_due = !sending.is_done();
            if stream.is_last_due
                && let Some(receiving) = &mut stream.receiving
                && let Some(credit) = receiving.let_go(due)
            {
                push_part((whose, id.tag()), Part::Credit(credit), Options::default(), outbox);
            }
            !stream.is_last_due
        });
        is_done != Some(false)
    }

    // What goes out.

    pub(super) fn has_transmit(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.ready.is_empty())
    }

    /// Hands the next item over, of the stream whose turn it is, and `end` behind the last one.
    /// Answers the call whose final reply is to be said now.
    pub(super) fn transmit(&mut self, outbox: &mut Outbox) -> Option<Tag> {
        let open = self.open.as_mut()?;
        let tag = open.ready.pop_front()?;
        open.has_moved = true;
        let whose = self.whose;
        let is_last = self.change(tag, |stream, due| {
            stream.is_listed = false;
            let sending = stream.sending.as_mut()?;
            let item = sending.pop(due)?;
            let len = u64::try_from(item.payload.len()).unwrap_or(u64::MAX);
            push_part((whose, tag), Part::Item(len), Options::of_item(item.position), outbox);
            outbox.push_body(item.payload);
            let is_done = sending.is_done();
            if is_done && std::mem::take(&mut stream.is_end_due) {
                push_part((whose, tag), Part::End, Options::default(), outbox);
            }
            Some(is_done && std::mem::take(&mut stream.is_last_due))
        });
        (is_last.flatten() == Some(true)).then_some(tag)
    }

    // Time and memory.

    /// Something was written. Items that are left without credit wait from now on.
    pub(super) fn handle_written(&mut self, now: Instant) {
        let Some(open) = self.open.as_mut().filter(|open| open.has_moved) else { return };
        open.has_moved = false;
        for stream in open.table.values_mut() {
            if stream.stalls(now) {
                open.stalled.note(now);
            }
        }
    }

    /// When the first stream has waited for credit for too long, or before.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.open.as_ref()?.stalled.0?.checked_add(self.patience.time_max())
    }

    /// The peer says nothing more.
    pub(super) fn handle_eof(&mut self) {
        self.patience.lose();
    }

    /// Those that have waited for credit for too long, which are to be ended with this error.
    pub(super) fn take_stalled(&mut self, now: Instant) -> (Vec<Tag>, Error) {
        let (mut late, time_max) = (Vec::new(), self.patience.time_max());
        if let Some(open) = &mut self.open {
            open.stalled = Earliest::default();
            for (tag, stream) in &open.table {
                let Some(since) = stream.stalled_since else { continue };
                if since.checked_add(time_max).is_some_and(|due| due <= now) {
                    late.push(*tag);
                } else {
                    open.stalled.note(since);
                }
            }
        }
        (late, self.patience.error())
    }

    /// Those whose peer has not said the end of its items.
    pub(super) fn unfinished(&self) -> Vec<Tag> {
        let is_unfinished =
            |stream: &Stream| stream.receiving.as_ref().is_some_and(|half| !half.is_ended());
        let streams = self.open.iter().flat_map(|open| &open.table);
        streams.filter(|(_, stream)| is_unfinished(stream)).map(|(tag, _)| *tag).collect()
    }

    /// Bytes of items that wait, on either side of their halves.
    pub(super) fn held_bytes(&self) -> usize {
        let bytes = self.open.as_ref().map_or(0, |open| open.held_bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Changes a stream, if it is there, and what follows from that; `change` is given those who
    /// are to be woken.
    fn change<R>(
        &mut self,
        tag: Tag,
        change: impl FnOnce(&mut Stream, &mut Vec<Waker>) -> R,
    ) -> Option<R> {
        self.change_if(tag, |_| true, change)
    }

    fn change_if<R>(
        &mut self,
        tag: Tag,
        is_it: impl FnOnce(&Stream) -> bool,
        change: impl FnOnce(&mut Stream, &mut Vec<Waker>) -> R,
    ) -> Option<R> {
        let open = self.open.as_deref_mut()?;
        let stream = open.table.get_mut(&tag).filter(|stream| is_it(stream))?;
        let before = stream.held_bytes();
        let result = change(stream, &mut open.due);
        let after = stream.held_bytes();
        open.held_bytes = open.held_bytes.saturating_sub(before).saturating_add(after);
        if !stream.is_listed && stream.sending.as_ref().is_some_and(Sending::is_ready) {
            stream.is_listed = true;
            open.ready.push_back(tag);
        }
        Some(result)
    }

    /// As [`change`](Self::change), of this very call and not of another with its tag.
    fn change_own<R>(
        &mut self,
        id: StreamId,
        change: impl FnOnce(&mut Stream, &mut Vec<Waker>) -> R,
    ) -> Option<R> {
        self.change_if(id.tag(), |stream| stream.serial == id.serial(), change)
    }
}
