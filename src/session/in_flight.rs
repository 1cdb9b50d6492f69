//! The calls of the peer that still want their final reply.
//!
//! Most calls are answered before the next one comes. So the newest stands apart, and only one that
//! is still open when another comes goes into the table: a connection that makes one call after the
//! other has no table at all.

use std::collections::hash_map::Entry;
use std::time::Instant;

use bytes::BytesMut;
use foldhash::{HashMap, HashMapExt};

use super::CallId;
use super::event::OwnFacts;
use super::tables::TABLE_KEPT_MAX;
use super::told::reply_bytes;
use crate::error::Error;
use crate::wire::{Metadata, Tag};

#[derive(Debug)]
pub(super) struct InFlight {
    newest: Option<(Key, Open)>,
    others: HashMap<Key, Open>,
    // Of all that handlers say beside their replies.
    metadata_bytes: usize,
    // Final replies that wait behind items.
    kept: usize,
    kept_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Open {
    serial: u64,
    is_streamed: bool,
    // The handler of a streamed call has ended like this, and items are still to go before it:
    // see `keep_reply`.
    last: Option<Box<Result<BytesMut, Error>>>,
    pub(super) deadline: Instant,
    // The deadline is ours, and not the caller's.
    pub(super) is_limit: bool,
    // What its command has in place of limits.
    pub(super) facts: OwnFacts,
    // What its handler says beside the reply.
    pub(super) metadata: Option<Box<Metadata>>,
}

/// Calls with a tag are found by it; those without cannot be named by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tag(Tag),
    OneWay(u64),
}

impl InFlight {
    pub(super) fn new() -> Self {
        let others = HashMap::new();
        Self { newest: None, others, metadata_bytes: 0, kept: 0, kept_bytes: 0 }
    }

    pub(super) fn insert(&mut self, id: CallId, open: Open) {
        if let Some((key, open)) = self.newest.replace((Key::of(id), open)) {
            self.others.insert(key, open);
        }
    }

    /// Whether every call that wants a reply has one.
    pub(super) fn is_replied(&self) -> bool {
        self.iter().all(|(id, _)| id.tag == 0)
    }

    /// Those that have no end of their own.
    pub(super) fn endless(&self) -> Vec<CallId> {
        let is_endless = |open: &Open| open.facts.as_ref().is_some_and(|facts| facts.is_endless());
        self.iter().filter(|(_, open)| is_endless(open)).map(|(id, _)| id).collect()
    }

    /// The call with this tag.
    pub(super) fn find(&self, tag: Tag) -> Option<CallId> {
        let key = Key::Tag(tag);
        self.at(key).map(|open| key.id(open))
    }

    /// Whether this very call is open, and not another with its tag.
    pub(super) fn contains(&self, id: CallId) -> bool {
        self.at(Key::of(id)).is_some_and(|open| open.serial == id.serial)
    }

    /// This very call.
    pub(super) fn find_mut(&mut self, id: CallId) -> Option<&mut Open> {
        let key = Key::of(id);
        let open = match &mut self.newest {
            Some((newest, open)) if *newest == key => Some(open),
            _ => self.others.get_mut(&key),
        };
        open.filter(|open| open.serial == id.serial)
    }

    /// Keeps what its handler says beside the reply.
    pub(super) fn set_metadata(&mut self, id: CallId, metadata: Metadata) {
        let bytes = metadata.bytes();
        if let Some(open) = self.find_mut(id) {
            let before = open.metadata.replace(Box::new(metadata));
            self.forget_metadata(before.as_deref());
            self.metadata_bytes = self.metadata_bytes.saturating_add(bytes);
        }
    }

    /// Bytes of what handlers say beside their replies.
    pub(super) const fn metadata_bytes(&self) -> usize {
        self.metadata_bytes
    }

    /// Keeps the final reply of a streamed call until its items have gone, or it ends before.
    pub(super) fn keep_reply(&mut self, id: CallId, reply: Result<BytesMut, Error>) {
        let bytes = reply_bytes(&reply);
        if let Some(open) = self.find_mut(id) {
            open.last = Some(Box::new(reply));
            self.kept = self.kept.saturating_add(1);
            self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        }
    }

    /// The final reply that was kept, if one was: its items have gone.
    pub(super) fn take_reply(&mut self, id: CallId) -> Option<Result<BytesMut, Error>> {
        let reply = self.find_mut(id)?.last.take()?;
        self.forget_reply(&reply);
        Some(*reply)
    }

    /// Final replies that are kept.
    pub(super) const fn kept(&self) -> usize {
        self.kept
    }

    /// Bytes of final replies that are kept, and of what their calls still take.
    pub(super) const fn kept_bytes(&self) -> usize {
        self.kept_bytes.saturating_add(self.kept.saturating_mul(KEPT_COST_BYTES))
    }

    fn forget_reply(&mut self, reply: &Result<BytesMut, Error>) {
        self.kept = self.kept.saturating_sub(1);
        self.kept_bytes = self.kept_bytes.saturating_sub(reply_bytes(reply));
    }

    fn forget_metadata(&mut self, metadata: Option<&Metadata>) {
        let bytes = metadata.map_or(0, Metadata::bytes);
        self.metadata_bytes = self.metadata_bytes.saturating_sub(bytes);
    }

    /// Takes a call out, if it was open.
    pub(super) fn remove(&mut self, id: CallId) -> Option<Open> {
        let open = self.take_out(id)?;
        self.forget_metadata(open.metadata.as_deref());
        if let Some(reply) = open.last.as_deref() {
            self.forget_reply(reply);
        }
        Some(open)
    }

    fn take_out(&mut self, id: CallId) -> Option<Open> {
        let (key, is_it) = (Key::of(id), |open: &Open| open.serial == id.serial);
        if let Some((_, open)) = self.newest.take_if(|(newest, open)| *newest == key && is_it(open))
        {
            return Some(open);
        }
        let Entry::Occupied(entry) = self.others.entry(key) else {
            return None;
        };
        let open = is_it(entry.get()).then(|| entry.remove());
        if self.others.is_empty() {
            self.others.shrink_to(TABLE_KEPT_MAX);
        }
        open
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (CallId, Open)> + use<> {
        let calls = std::mem::replace(self, Self::new());
        calls.others.into_iter().chain(calls.newest).map(|(key, open)| (key.id(&open), open))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Open)> {
        let newest = self.newest.as_ref().map(|(key, open)| (key, open));
        self.others.iter().chain(newest).map(|(key, open)| (key.id(open), open))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none() && self.others.is_empty()
    }

    fn at(&self, key: Key) -> Option<&Open> {
        match &self.newest {
            Some((newest, open)) if *newest == key => Some(open),
            _ if self.others.is_empty() => None,
            _ => self.others.get(&key),
        }
    }
}

impl Open {
    /// A call that has begun.
    pub(super) const fn new(
        id: CallId,
        (deadline, is_limit): (Instant, bool),
        facts: OwnFacts,
    ) -> Self {
        let CallId { serial, is_streamed, .. } = id;
        Self { serial, is_streamed, last: None, deadline, is_limit, facts, metadata: None }
    }

    /// Whether its handler has ended, and items are still to go.
    pub(super) const fn is_kept(&self) -> bool {
        self.last.is_some()
    }
}

impl Key {
    const fn of(id: CallId) -> Self {
        if id.tag == 0 { Self::OneWay(id.serial) } else { Self::Tag(id.tag) }
    }

    const fn id(self, open: &Open) -> CallId {
        let tag = if let Self::Tag(tag) = self { tag } else { 0 };
        CallId { tag, is_streamed: open.is_streamed, serial: open.serial }
    }
}

/// What a call whose reply is kept costs beside it: about what its places in the tables take.
const KEPT_COST_BYTES: usize = 512;
