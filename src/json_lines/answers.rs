//! Answers on their way out: alone, or as a batch when its last one is there.
//!
//! A batch is put together piece by piece while it is written, so it is never in memory twice.

use std::collections::{HashMap, VecDeque};

use super::calls::{Ended, Outcome};
use crate::envelope::{Dialect, Flaw, put_error, put_flaw, put_reply};
use crate::error::{Error, Result};
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
    pub(super) fn begin_batch(&mut self, entries: usize) -> u64 {
        let number = self.batches_begun;
        self.batches_begun = number.saturating_add(1);
        let answers = std::iter::repeat_with(|| None).take(entries).collect();
        self.batches.insert(number, Batch { missing: entries, answers });
        number
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

    /// Answers a line that has no request in it.
    pub(super) fn refuse(&mut self, dialect: Dialect, error: &Error) {
        self.put_queued();
        put_error(&mut self.out, dialect, None, error);
        self.out.push(b'\n');
    }

    /// The same, for what is wrong with the line itself.
    pub(super) fn refuse_flaw(&mut self, dialect: Dialect, flaw: Flaw) {
        self.put_queued();
        put_flaw(&mut self.out, dialect, None, flaw);
        self.out.push(b'\n');
    }

    /// Writes all that is to be written.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<()> {
        loop {
            while self.out.len() < WRITE_BYTES
                && let Some(queued) = self.queue.pop_front()
            {
                self.put(queued);
            }
            if self.out.is_empty() {
                return Ok(());
            }
            let out = std::mem::take(&mut self.out);
            connection.write_bytes(&out).await?;
            drop(out);
            // To hold less cannot fail.
            self.held.cover(0)?;
        }
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

    fn put_queued(&mut self) {
        while let Some(queued) = self.queue.pop_front() {
            self.put(queued);
        }
    }

    fn put(&mut self, Queued { before, ended, behind }: Queued) {
        let Ended { place, outcome, held } = ended;
        self.held.absorb(held);
        self.out.extend_from_slice(before);
        match outcome {
            Outcome::Reply(reply) => {
                let (payload, held) = reply.into_parts();
                held.into_iter().for_each(|held| self.held.absorb(held));
                put_reply(&mut self.out, place.dialect, place.id.as_deref(), &payload);
            }
            Outcome::Error(answer) => self.out.extend_from_slice(&answer),
            Outcome::Unanswered => {}
        }
        self.out.extend_from_slice(behind);
    }
}

/// Answers that are ready together are written together, up to so much.
const WRITE_BYTES: usize = 64 * 1024;
