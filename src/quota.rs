//! What the whole endpoint has given out: bytes, calls, blocking threads.
//!
//! Limits on one connection are kept by its session. These are the ones that all connections share,
//! so they are counted with atomics and nobody waits for them: what does not fit is refused.
//! Everything taken is a value that gives it back when dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::limits::Limits;

#[derive(Debug)]
pub(crate) struct Quota {
    held_bytes: AtomicUsize,
    calls: AtomicUsize,
    blocking_calls: AtomicUsize,
    unheard: Mutex<Unheard>,
    held_bytes_max: usize,
    calls_max: usize,
    blocking_calls_max: usize,
}

/// One-way calls that were refused, of which nobody hears but the log.
#[derive(Debug, Default)]
struct Unheard {
    calls: u64,
    logged_at: Option<Instant>,
}

/// The bytes that one holder has charged to the endpoint.
///
/// The first [`FREE_BYTES`] are not counted, and the rest is counted in steps, so that small calls
/// touch nothing shared: a charge of nothing does not even know whose quota it would be of.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    charged: Option<Charged>,
}

#[derive(Debug)]
struct Charged {
    quota: Arc<Quota>,
    bytes: usize,
}

/// A call that counts against `calls_max`, or a blocking one against `blocking_calls_max`.
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
            blocking_calls: AtomicUsize::new(0),
            unheard: Mutex::default(),
            held_bytes_max: limits.held_bytes_max,
            calls_max: limits.calls_max,
            blocking_calls_max: limits.blocking_calls_max,
        })
    }

    /// Counts a call. Whoever began it says that it has ended by [`end_call`](Self::end_call).
    ///
    /// # Errors
    ///
    /// `overloaded` if `calls_max` are running.
    pub(crate) fn begin_call(&self) -> Result<(), Error> {
        take_one(&self.calls, self.calls_max, "calls_max")
    }

    pub(crate) fn end_call(&self) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts a call until the permit is dropped.
    pub(crate) fn call(self: &Arc<Self>) -> Result<Permit, Error> {
        self.begin_call()?;
        Ok(Permit { quota: Arc::clone(self), counter: |quota| &quota.calls })
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

    fn hold(&self, more: usize, bytes: usize) -> Result<(), Error> {
        let max = self.held_bytes_max;
        let add = |held: usize| held.checked_add(more).filter(|held| *held <= max);
        match self.held_bytes.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(held) => {
                let text =
                    format!("{bytes} bytes on top of {held} are over held_bytes_max ({max})");
                Err(Error::found(Code::Overloaded, text))
            }
        }
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

/// A charge together with the quota that it counts against.
#[derive(Debug)]
pub(crate) struct Cover<'a> {
    charge: &'a mut Charge,
    quota: &'a Arc<Quota>,
}

impl Charge {
    pub(crate) fn of<'a>(&'a mut self, quota: &'a Arc<Quota>) -> Cover<'a> {
        Cover { charge: self, quota }
    }

    /// Takes over what `other` has charged to the same quota.
    pub(crate) fn absorb(&mut self, other: &mut Self) {
        match (&mut self.charged, other.charged.take()) {
            (_, None) => {}
            (Some(charged), Some(mut more)) => {
                charged.bytes = charged.bytes.saturating_add(std::mem::take(&mut more.bytes));
            }
            (none, more) => *none = more,
        }
    }

    /// Makes the charge cover `bytes`, more or less than before.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint has not that much left; the charge is as it was then.
    #[inline]
    pub(crate) fn cover(&mut self, quota: &Arc<Quota>, bytes: usize) -> Result<(), Error> {
        if bytes <= FREE_BYTES {
            if self.charged.is_some() {
                self.charged = None;
            }
            return Ok(());
        }
        self.cover_counted(quota, bytes)
    }

    fn cover_counted(&mut self, quota: &Arc<Quota>, bytes: usize) -> Result<(), Error> {
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(STEP_BYTES);
        let before = self.charged.as_ref().map_or(0, |charged| charged.bytes);
        if wanted <= before {
            let surplus = before.saturating_sub(wanted);
            quota.held_bytes.fetch_sub(surplus, Ordering::AcqRel);
        } else {
            quota.hold(wanted.saturating_sub(before), bytes)?;
        }
        match &mut self.charged {
            Some(charged) => charged.bytes = wanted,
            None => self.charged = Some(Charged { quota: Arc::clone(quota), bytes: wanted }),
        }
        Ok(())
    }
}

impl Cover<'_> {
    /// As [`Charge::cover`].
    #[inline]
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge.cover(self.quota, bytes)
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.quota.held_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
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

/// Bytes that each holder has free.
const FREE_BYTES: usize = 4096;

/// What is charged at once, so that a growing buffer does not come here for every read.
const STEP_BYTES: usize = 16 * 1024;
