//! What the whole endpoint has given out: bytes, calls, blocking threads.
//!
//! Limits on one connection are kept by its session. These are the ones that all connections share,
//! so they are counted with atomics and nobody waits for them: what does not fit is refused.
//! Everything taken is a value that gives it back when dropped.
//!
//! Bytes are not counted one by one. Each connection adds up what it holds, calls and all, under a
//! lock of its own, and has a [`Reservation`] for the sum: the first 4 KiB of it are free, and
//! beyond that it comes here for 16 KiB at once. So small calls touch nothing shared, and many
//! small calls are charged all the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::format::Grant;
use crate::limits::{Limits, over_held};

#[derive(Debug)]
pub(crate) struct Quota {
    held_bytes: AtomicUsize,
    calls: AtomicUsize,
    streams: AtomicUsize,
    blocking_calls: AtomicUsize,
    unheard: Mutex<Unheard>,
    held_bytes_max: usize,
    calls_max: usize,
    streams_max: usize,
    blocking_calls_max: usize,
}

/// One-way calls that were refused, of which nobody hears but the log.
#[derive(Debug, Default)]
struct Unheard {
    calls: u64,
    logged_at: Option<Instant>,
}

/// The bytes of the endpoint that one connection has reserved for what it holds.
///
/// The first [`FREE_BYTES`] are not counted, and the rest is counted in steps.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: Arc<Quota>,
    // Of the quota: without the free ones, in whole steps.
    bytes: usize,
}

/// Memory that counts against [`Limits::held_bytes_max`] until this is dropped, made by
/// [`Door::held`](crate::service::Door::held).
///
/// ```
/// use switchboard::{Code, Endpoint, Limits};
///
/// let limits = Limits::default().with(|limits| limits.held_bytes_max = 4096);
/// let endpoint = Endpoint::new().with_limits(limits);
/// let mut body = endpoint.door().held();
/// body.cover(4000)?;
/// let mut other = endpoint.door().held();
/// assert_eq!(other.cover(100).unwrap_err().code(), Code::Overloaded);
/// drop(body);
/// assert!(other.cover(100).is_ok());
/// # Ok::<(), switchboard::Error>(())
/// ```
// Of what belongs to no connection with a `Reservation`. None of the bytes are free.
#[derive(Debug)]
pub struct Held {
    quota: Arc<Quota>,
    bytes: usize,
}

/// A call that counts against `calls_max`, a streamed one that counts against `streams_max`, or a
/// blocking one that counts against `blocking_calls_max`.
#[derive(Debug)]
pub(crate) struct Permit {
    quota: Arc<Quota>,
    counter: fn(&Quota) -> &AtomicUsize,
}

impl Quota {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            held_bytes: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            blocking_calls: AtomicUsize::new(0),
            unheard: Mutex::default(),
            held_bytes_max: limits.held_bytes_max,
            calls_max: limits.calls_max,
            streams_max: limits.streams_max,
            blocking_calls_max: limits.blocking_calls_max,
        })
    }

    /// Counts a call until the permit is dropped.
    ///
    /// # Errors
    ///
    /// `overloaded` if `calls_max` are running.
    pub(crate) fn call(self: &Arc<Self>) -> Result<Permit, Error> {
        take_one(&self.calls, self.calls_max, "calls_max")?;
        Ok(Permit { quota: Arc::clone(self), counter: |quota| &quota.calls })
    }

    /// Counts a streamed call until the permit is dropped.
    ///
    /// # Errors
    ///
    /// `overloaded` if `streams_max` are open.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<Permit, Error> {
        take_one(&self.streams, self.streams_max, "streams_max")?;
        Ok(Permit { quota: Arc::clone(self), counter: |quota| &quota.streams })
    }

    /// Notes that so many one-way calls did not run; answers how many are to be logged now. That is
    /// done once in [`LOG_PAUSE`], since a peer can send them as fast as it likes.
    pub(crate) fn note_unheard(&self, calls: u64, now: Instant) -> Option<u64> {
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        unheard.calls = unheard.calls.saturating_add(calls);
        let is_due = |at| now.saturating_duration_since(at) >= LOG_PAUSE;
        if !unheard.logged_at.is_none_or(is_due) {
            return None;
        }
        unheard.logged_at = Some(now);
        Some(std::mem::take(&mut unheard.calls))
    }

    /// Counts a blocking call until the permit is dropped.
    pub(crate) fn blocking_call(self: &Arc<Self>) -> Result<Permit, Error> {
        take_one(&self.blocking_calls, self.blocking_calls_max, "blocking_calls_max")?;
        Ok(Permit { quota: Arc::clone(self), counter: |quota| &quota.blocking_calls })
    }

    /// Bytes that are held now, and blocking calls that are counted.
    pub(crate) fn held_and_blocking(&self) -> (usize, usize) {
        let Self { held_bytes, blocking_calls, .. } = self;
        (held_bytes.load(Ordering::Relaxed), blocking_calls.load(Ordering::Relaxed))
    }

    /// Whether so much is held that what waits in streams should not grow: more than half.
    pub(crate) fn is_scarce(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > self.held_bytes_max / 2
    }

    /// Counts so many bytes more, until they are given back.
    ///
    /// # Errors
    ///
    /// How many are held, if so many are not left.
    pub(crate) fn hold(&self, more: usize) -> Result<(), usize> {
        let max = self.held_bytes_max;
        let add = |held: usize| held.checked_add(more).filter(|held| *held <= max);
        self.held_bytes.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add).map(|_| ())
    }
}

impl Grant for Quota {
    fn grant(&self, bytes: usize) -> Result<(), (usize, usize)> {
        self.hold(bytes).map_err(|held| (held, self.held_bytes_max))
    }

    fn give_back(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

fn take_one(counter: &AtomicUsize, max: usize, name: &str) -> Result<(), Error> {
    let one_more = |count: usize| count.checked_add(1).filter(|count| *count <= max);
    match counter.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(Error::found(Code::Overloaded, format!("{name} ({max}) are running already")))
        }
    }
}

impl Reservation {
    /// Whether the endpoint surely has memory for a few calls more.
    pub(crate) fn is_roomy(&self) -> bool {
        let held = self.quota.held_bytes.load(Ordering::Relaxed);
        held.saturating_add(ROOMY_BYTES) <= self.quota.held_bytes_max
    }

    /// Whether memory of the endpoint is scarce.
    pub(crate) fn is_scarce(&self) -> bool {
        self.quota.is_scarce()
    }

    /// Of nothing so far.
    pub(crate) fn new(quota: &Arc<Quota>) -> Self {
        Self { quota: Arc::clone(quota), bytes: 0 }
    }

    /// Makes it cover `bytes`, more or less than before.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left; it is as it was then.
    #[inline]
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes <= FREE_BYTES {
            if self.bytes > 0 {
                self.quota.give_back(std::mem::take(&mut self.bytes));
            }
            return Ok(());
        }
        self.cover_counted(bytes)
    }

    fn cover_counted(&mut self, bytes: usize) -> Result<(), Error> {
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(STEP_BYTES);
        if wanted > self.bytes {
            let max = self.quota.held_bytes_max;
            let held = self.quota.hold(wanted.saturating_sub(self.bytes));
            held.map_err(|held| Error::found(Code::Overloaded, over_held(bytes, held, max)))?;
        } else if wanted.saturating_add(STEP_BYTES) < self.bytes {
            self.quota.give_back(self.bytes.saturating_sub(wanted));
        } else {
            // One step too much is kept: what goes up and down by little would come here each time.
            return Ok(());
        }
        self.bytes = wanted;
        Ok(())
    }
}

impl Held {
    /// Nothing so far, to be made more.
    pub(crate) fn new(quota: &Arc<Quota>) -> Self {
        Self { quota: Arc::clone(quota), bytes: 0 }
    }

    /// Nothing so far, of the same endpoint.
    pub(crate) fn beside(&self) -> Self {
        Self::new(&self.quota)
    }

    /// This with so much.
    ///
    /// # Errors
    ///
    /// As [`cover`](Self::cover).
    pub(crate) fn of(mut self, bytes: usize) -> Result<Self, Error> {
        self.cover(bytes)?;
        Ok(self)
    }

    /// Covers so many bytes, more or fewer than before.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so many left; all is as it was then.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.bytes {
            let (more, max) = (bytes.saturating_sub(self.bytes), self.quota.held_bytes_max);
            let held = self.quota.hold(more);
            held.map_err(|held| Error::found(Code::Overloaded, over_held(bytes, held, max)))?;
        } else {
            self.quota.give_back(self.bytes.saturating_sub(bytes));
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Whether memory of the endpoint is scarce.
    pub(crate) fn is_scarce(&self) -> bool {
        self.quota.is_scarce()
    }

    /// Takes over what `other` holds.
    #[cfg(any(feature = "gob", feature = "json"))]
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.quota.give_back(self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.quota.give_back(self.bytes);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        (self.counter)(&self.quota).fetch_sub(1, Ordering::AcqRel);
    }
}

/// The error of a call whose reply finds no room. It has run, so `overloaded`, by which its caller
/// may try again, would be a lie.
pub(crate) fn unheld(error: Error) -> Error {
    let text = format!("the reply found no room: {}", error.text());
    Error::found(Code::Failed, text).with_source(error)
}

/// Time between two lines in the log about one-way calls.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// What a call under way holds that keeps so many bytes of the peer's: with its task, its place in
/// each table and the rest. A little of what it keeps is in the flat part.
pub(crate) fn call_bytes(kept_bytes: usize) -> usize {
    CALL_BYTES.saturating_add(kept_bytes.saturating_sub(CALL_KEPT_BYTES))
}

/// A call under way as tests/memory.rs measures it, with [`CALL_KEPT_BYTES`].
const CALL_BYTES: usize = 2 * 1024;
const CALL_KEPT_BYTES: usize = 1024;

/// More than a batch of small calls takes, with what they may be decoded to.
const ROOMY_BYTES: usize = 1024 * 1024;

/// Bytes that each connection has free.
const FREE_BYTES: usize = 4096;

/// What is reserved at once, so that a growing buffer does not come here for every read.
const STEP_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
