//! Answers on their way out: alone, or as a batch when its last one is there.
//!
//! A batch is put together piece by piece while it is written, and a large reply is written as it
//! is, so nothing large is in memory twice.

use std::collections::{HashMap, VecDeque};

use super::calls::{Ended, Outcome};
use crate::envelope::{Dialect, put_reply_begin, put_reply_end};
use crate::error::Result;
use crate::quota::Held;
use crate::stream::Connection;

/// What is still to be answered and to be written on one connection.
pub(super) struct Answers {
    out: Vec<u8>,
    // Covers what is in `out`.
    held: Held,
    queue: VecDeque<Queued>,
    batches: HashMap<u64, Batch>,
    batches_begun: u64,
    owes_bare: bool,
}

/// An answer, and what goes before and behind it.
struct Queued {
    before: &'static [u8],
    ended: Ended,
    behind: &'static [u8],
}

/// The answers of a batch, in the order of its entries.
struct Batch {
    missing: usize,
    answers: Vec<Option<Ended>>,
    // Covers their places, of which some may stay empty.
    _held: Held,
}

impl Answers {
    /// None so far; `held` covers those to come.
    pub(super) fn new(held: Held) -> Self {
        Self {
            out: Vec::new(),
            held,
            queue: VecDeque::new(),
            batches: HashMap::new(),
            batches_begun: 0,
            owes_bare: false,
        }
    }

    /// Whether a bare request is not answered yet.
    pub(super) fn owe_bare(&self) -> bool {
        self.owes_bare
    }

    /// Notes that a call has begun, and whether it is a bare one.
    pub(super) fn await_bare(&mut self, is_bare: bool) {
        self.owes_bare |= is_bare;
    }

    /// Begins a batch of so many entries; answers its number.
    ///
    /// # Errors
    ///
    /// `overloaded` if there is no memory for their places.
    pub(super) fn begin_batch(&mut self, entries: usize, mut held: Held) -> Result<u64> {
        held.cover(entries.saturating_mul(size_of::<Option<Ended>>()))?;
        let number = self.batches_begun;
        self.batches_begun = number.saturating_add(1);
        let answers = std::iter::repeat_with(|| None).take(entries).collect();
        self.batches.insert(number, Batch { missing: entries, answers, _held: held });
        Ok(number)
    }

    /// Takes the outcome of a request.
    pub(super) fn end(&mut self, ended: Ended) {
        if ended.place.dialect == Dialect::Bare {
            self.owes_bare = false;
        }
        let Some((number, index)) = ended.place.batch else {
            if !matches!(ended.outcome, Outcome::Unanswered) {
                self.queue.push_back(Queued { before: b"", ended, behind: b"\n" });
            }
            return;
        };
        let Some(batch) = self.batches.get_mut(&number) else { return };
        batch.missing = batch.missing.saturating_sub(1);
        let is_whole = batch.missing == 0;
        if !matches!(ended.outcome, Outcome::Unanswered)
            && let Some(place) = batch.answers.get_mut(index)
        {
            *place = Some(ended);
        }
        if is_whole && let Some(batch) = self.batches.remove(&number) {
            self.queue_batch(batch);
        }
    }

    /// Writes all that is to be written.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<()> {
        while let Some(Queued { before, ended, behind }) = self.queue.pop_front() {
            let Ended { place, outcome, held } = ended;
            self.held.absorb(held);
            self.out.extend_from_slice(before);
            let (dialect, id) = (place.dialect, place.id.as_deref());
            match outcome {
                Outcome::Reply(reply) => {
                    let (payload, held) = reply.into_parts();
                    held.into_iter().for_each(|held| self.held.absorb(held));
                    put_reply_begin(&mut self.out, dialect, id);
                    self.put(&payload, connection).await?;
                    put_reply_end(&mut self.out, dialect, id);
                }
                Outcome::Error(answer) => self.put(&answer, connection).await?,
                Outcome::Unanswered => {}
            }
            self.out.extend_from_slice(behind);
            if self.out.len() >= WRITE_BYTES || self.queue.is_empty() {
                self.write_out(connection).await?;
                // To hold less cannot fail.
                self.held.cover(0)?;
            }
        }
        Ok(())
    }

    /// Appends these bytes, or writes them if they are many: a copy of them would count nowhere.
    async fn put(&mut self, bytes: &[u8], connection: &mut Connection) -> Result<()> {
        if bytes.len() < WRITE_BYTES / 8 {
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_out(connection).await?;
        connection.write_bytes(bytes).await
    }

    async fn write_out(&mut self, connection: &mut Connection) -> Result<()> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() { Ok(()) } else { connection.write_bytes(&out).await }
    }

    fn queue_batch(&mut self, batch: Batch) {
        let mut answers = batch.answers.into_iter().flatten().peekable();
        let mut before: &[u8] = b"[";
        while let Some(ended) = answers.next() {
            let behind: &[u8] = if answers.peek().is_some() { b"" } else { b"]\n" };
            self.queue.push_back(Queued { before, ended, behind });
            before = b",";
        }
    }
}

/// Answers that are ready together are written together, up to so much.
const WRITE_BYTES: usize = 64 * 1024;
