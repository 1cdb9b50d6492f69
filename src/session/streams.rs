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
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::event::Whose;
use super::half::{Item, Misuse, Receiving, Sending, WINDOW};
use super::{CallId, Violation};
use crate::command::Facts;
use crate::error::{Code, Error};
use crate::limits::Limits;
use crate::wire::{Line, Options, Outbox, Part, Tag};

/// One streamed call, as whoever sends or takes its items names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamId {
    /// Of a call that this side made.
    Made(Tag),
    /// Of a call that the peer made.
    Taken(CallId),
}

#[derive(Debug)]
pub(super) struct Streams {
    whose: Whose,
    stall_ms_max: u32, // Short numbers: each connection has two of these.
    streams_max: u32,
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
}

#[derive(Debug)]
struct Stream {
    serial: u64,
    sending: Option<Sending>,
    receiving: Option<Receiving>,
    is_listed: bool,
    is_open: bool,
    // `end` is still to be said, or the final reply.
    is_last_due: bool,
    stalled_since: Option<Instant>,
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

/// The halves that a call begins with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Halves {
    /// The request goes on in items.
    pub(super) has_request: bool,
    /// The reply comes in items, for which its caller grants so much at first.
    pub(super) reply_credit: Option<u32>,
    /// The caller wants to go on where it was.
    pub(super) has_position: bool,
}

impl StreamId {
    pub(super) const fn whose(self) -> Whose {
        match self {
            Self::Made(_) => Whose::Ours,
            Self::Taken(_) => Whose::Theirs,
        }
    }

    const fn tag(self) -> Tag {
        match self {
            Self::Made(tag) => tag,
            Self::Taken(id) => id.tag,
        }
    }

    fn is_of(self, stream: &Stream) -> bool {
        match self {
            Self::Made(_) => true,
            Self::Taken(id) => id.serial == stream.serial,
        }
    }
}

impl Halves {
    #[inline]
    pub(super) fn of(options: &Options) -> Self {
        if options.is_known_format() {
            // As nearly always.
            return Self::default();
        }
        let (has_request, reply_credit) = (options.is_stream(), options.credit());
        Self { has_request, reply_credit, has_position: options.from().is_some() }
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
            _ if self.has_position => {
                let text = "this command cannot go on from a position";
                return Some(Error::found(Code::Invalid, text));
            }
            _ => return None,
        };
        Some(Error::found(Code::UnsupportedFormat, text))
    }
}

impl Stream {
    fn new(whose: Whose, serial: u64, halves: Halves) -> Self {
        let request = halves.has_request.then_some(REQUEST_CREDIT);
        let (sent, received, later) = match whose {
            Whose::Ours => (request, halves.reply_credit, 0),
            Whose::Theirs => (halves.reply_credit, request, WINDOW),
        };
        Self {
            serial,
            sending: sent.map(Sending::new),
            receiving: received.map(|credit| Receiving::new(credit, later)),
            is_listed: false,
            is_open: false,
            is_last_due: false,
            stalled_since: None,
        }
    }

    fn held_bytes(&self) -> u64 {
        let sent = self.sending.as_ref().map_or(0, Sending::held_bytes);
        sent.saturating_add(self.receiving.as_ref().map_or(0, Receiving::held_bytes))
    }

    fn is_stalled(&self) -> bool {
        self.sending.as_ref().is_some_and(Sending::is_stalled)
    }

    /// Drops what waits; whoever waits for it is to be woken.
    fn cut_off(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.sending.as_mut().and_then(Sending::cut_off));
        due.extend(self.receiving.as_mut().and_then(Receiving::cut_off));
        (self.is_last_due, self.stalled_since) = (false, None);
    }
}

impl Streams {
    pub(super) fn new(whose: Whose, limits: &Limits) -> Self {
        Self {
            whose,
            stall_ms_max: u32::try_from(limits.stall_time_max.as_millis()).unwrap_or(u32::MAX),
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

    /// A streamed call has begun.
    pub(super) fn begin(&mut self, id: StreamId, halves: Halves) {
        let serial = if let StreamId::Taken(id) = id { id.serial } else { 0 };
        let stream = Stream::new(self.whose, serial, halves);
        self.open.get_or_insert_default().table.insert(id.tag(), stream);
    }

    /// The call has its final reply, or none will come: whoever waits for items is woken.
    pub(super) fn remove(&mut self, tag: Tag) {
        self.cut_off(tag);
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
        self.change(tag, |stream, due| {
            due.extend(stream.sending.as_mut().and_then(Sending::cut_off));
            due.extend(stream.receiving.as_mut().and_then(|half| half.handle_end().ok().flatten()));
            (stream.is_last_due, stream.stalled_since) = (false, None);
        });
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

    /// Takes in a line about a call that is under way.
    pub(super) fn handle_line(&mut self, tag: Tag, part: Part) -> Result<Taken, Violation> {
        let taken = self.change(tag, |stream, due| match part {
            Part::Item(len) => {
                let receiving = stream.receiving.as_mut().ok_or(Misuse::NoHalf)?;
                receiving
                    .handle_line(len)
                    .map(|is_wanted| if is_wanted { Taken::Item } else { Taken::Unwanted })
            }
            Part::End => {
                let receiving = stream.receiving.as_mut().ok_or(Misuse::NoHalf)?;
                due.extend(receiving.handle_end()?);
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
            Part::Open if std::mem::replace(&mut stream.is_open, true) => Err(Misuse::OpenTwice),
            Part::Open | Part::Cancel | Part::Ok(_) | Part::Err(..) => Ok(Taken::Done),
        });
        let taken = taken.unwrap_or(Err(Misuse::NoHalf));
        taken.map_err(|misuse| Violation::Stream(tag, misuse))
    }

    /// Takes in an item, if somebody still wants it.
    pub(super) fn handle_item(&mut self, tag: Tag, item: Item) {
        self.change(tag, |stream, due| {
            due.extend(stream.receiving.as_mut().and_then(|half| half.handle_item(item)));
        });
    }

    // Whoever takes items.

    /// The next item of the peer, `None` behind the last; credit for more goes to `outbox`.
    pub(super) fn poll_item(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
        outbox: &mut Outbox,
    ) -> Poll<Option<Item>> {
        let whose = self.whose;
        let polled = self.change_own(id, |stream, _| {
            let receiving = stream.receiving.as_mut()?;
            let item = receiving.poll_next(waker, spent);
            if matches!(item, Poll::Ready(Some(_)))
                && let Some(credit) = receiving.take_credit(is_scarce)
            {
                push_part((whose, id.tag()), Part::Credit(credit), Options::default(), outbox);
            }
            Some(item)
        });
        polled.flatten().unwrap_or(Poll::Ready(None))
    }

    // Whoever makes items.

    /// Whether an item may be added; `waker` is kept if it may not yet.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub(super) fn poll_room(
        &mut self,
        id: StreamId,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Result<(), Error>> {
        let polled = self.change_own(id, |stream, _| {
            stream.sending.as_mut().filter(|half| !half.is_ended())?.poll_room(waker, spent).into()
        });
        match polled.flatten() {
            Some(poll) => poll.map(Ok),
            None => Poll::Ready(Err(over())),
        }
    }

    /// Adds an item, for which there is room.
    pub(super) fn push_item(&mut self, now: Instant, id: StreamId, item: Item) {
        self.change_own(id, |stream, _| {
            if let Some(sending) = &mut stream.sending {
                sending.push(item);
            }
            if stream.is_stalled() {
                stream.stalled_since.get_or_insert(now);
            }
        });
    }

    /// Nothing comes behind what waits: `end` of a request, or the final reply. Whether nothing
    /// waits, and it can be said at once; `None` if there is no such half, or it has ended.
    pub(super) fn finish(&mut self, id: StreamId) -> Option<bool> {
        let is_done = self.change_own(id, |stream, _| {
            let sending = stream.sending.as_mut().filter(|half| !half.is_ended())?;
            sending.end();
            stream.is_last_due = !sending.is_done();
            Some(!stream.is_last_due)
        });
        is_done.flatten()
    }

    // What goes out.

    pub(super) fn has_transmit(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.ready.is_empty())
    }

    /// Hands the next item over, of the stream whose turn it is. Answers the call if that was its
    /// last one, and its end is to be said now.
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
            Some(sending.is_done() && std::mem::take(&mut stream.is_last_due))
        });
        (is_last.flatten() == Some(true)).then_some(tag)
    }

    // Time and memory.

    /// Something was written. Items that are left without credit wait from now on.
    pub(super) fn handle_written(&mut self, now: Instant) {
        let Some(open) = self.open.as_mut().filter(|open| open.has_moved) else { return };
        open.has_moved = false;
        for stream in open.table.values_mut().filter(|stream| stream.is_stalled()) {
            stream.stalled_since.get_or_insert(now);
        }
    }

    /// When the first stream has waited for credit for too long.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let streams = self.open.as_ref()?.table.values();
        let since = streams.filter_map(|stream| stream.stalled_since).min()?;
        since.checked_add(self.stall_time_max())
    }

    fn stall_time_max(&self) -> Duration {
        Duration::from_millis(self.stall_ms_max.into())
    }

    /// Those that have waited for credit for too long.
    pub(super) fn stalled(&self, now: Instant) -> Vec<Tag> {
        let is_late = |stream: &Stream| {
            let due = stream.stalled_since?.checked_add(self.stall_time_max())?;
            Some(due <= now)
        };
        let streams = self.open.iter().flat_map(|open| &open.table);
        let late = streams.filter(|(_, stream)| is_late(stream) == Some(true));
        late.map(|(tag, _)| *tag).collect()
    }

    /// The error of a call whose items have waited for credit for too long.
    pub(super) fn stall_error(&self) -> Error {
        let time = self.stall_time_max();
        let text = format!("no credit was granted for items within stall_time_max ({time:?})");
        Error::found(Code::DeadlineExceeded, text)
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
        let open = self.open.as_deref_mut()?;
        let stream = open.table.get_mut(&tag)?;
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
        let stream = self.open.as_ref()?.table.get(&id.tag());
        let is_it = stream.is_some_and(|stream| id.is_of(stream));
        if is_it { self.change(id.tag(), change) } else { None }
    }
}

/// Writes a line about a call, to whoever made it or takes it.
pub(super) fn push_part(
    (whose, tag): (Whose, Tag),
    part: Part,
    options: Options,
    outbox: &mut Outbox,
) {
    outbox.push_line(&match whose {
        Whose::Ours => Line::Request(tag, part, options),
        Whose::Theirs => Line::Reply(tag, part, options),
    });
}

fn over() -> Error {
    Error::local(Code::Cancelled, "the call is over, and takes no more items")
}

/// What the half of a request begins with.
const REQUEST_CREDIT: u32 = 16_384;
