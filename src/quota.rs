//! What the whole endpoint has given out: bytes, calls, blocking threads.
//!
//! Limits on one connection are kept by its session. These are the ones that all connections share,
//! so they are counted with atomics and nobody waits for them: what does not fit is refused.
//! Everything taken is a value that gives it back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Code, Error};
use crate::limits::Limits;

#[derive(Debug)]
pub(crate) struct Quota {
    held_bytes: AtomicUsize,
    calls: AtomicUsize,
    blocking_calls: AtomicUsize,
    held_bytes_max: usize,
    calls_max: usize,
    blocking_calls_max: usize,
}

/// The bytes that one holder has charged to the endpoint.
///
/// The first [`FREE_BYTES`] are not counted, and the rest is counted in steps, so that small calls
/// touch nothing shared.
#[derive(Debug)]
pub(crate) struct Charge {
    quota: Arc<Quota>,
    charged_bytes: usize,
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
            held_bytes_max: limits.held_bytes_max,
            calls_max: limits.calls_max,
            blocking_calls_max: limits.blocking_calls_max,
        })
    }

    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { quota: Arc::clone(self), charged_bytes: 0 }
    }

    pub(crate) fn call(self: &Arc<Self>) -> Result<Permit, Error> {
        self.permit(|quota| &quota.calls, self.calls_max, "calls_max")
    }

    pub(crate) fn blocking_call(self: &Arc<Self>) -> Result<Permit, Error> {
        self.permit(|quota| &quota.blocking_calls, self.blocking_calls_max, "blocking_calls_max")
    }

    fn permit(
        self: &Arc<Self>,
        counter: fn(&Self) -> &AtomicUsize,
        max: usize,
        name: &str,
    ) -> Result<Permit, Error> {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Relaxed);
        let one_more = |count: usize| count.checked_add(1).filter(|count| *count <= max);
        match counter(self).fetch_update(set, fetch, one_more) {
            Ok(_) => Ok(Permit { quota: Arc::clone(self), counter }),
            Err(_) => {
                Err(Error::new(Code::Overloaded, format!("{name} ({max}) are running already")))
            }
        }
    }
}

impl Charge {
    /// Takes over what `other` has charged.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        let charged_bytes = std::mem::take(&mut other.charged_bytes);
        self.charged_bytes = self.charged_bytes.saturating_add(charged_bytes);
    }

    /// Makes the charge cover `bytes`, more or less than before.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint has not that much left; the charge is as it was then.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(STEP_BYTES);
        if wanted <= self.charged_bytes {
            let surplus = self.charged_bytes.saturating_sub(wanted);
            self.quota.held_bytes.fetch_sub(surplus, Ordering::AcqRel);
            self.charged_bytes = wanted;
            return Ok(());
        }
        let more = wanted.saturating_sub(self.charged_bytes);
        let max = self.quota.held_bytes_max;
        let add = |held: usize| held.checked_add(more).filter(|held| *held <= max);
        match self.quota.held_bytes.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add) {
            Ok(_) => {
                self.charged_bytes = wanted;
                Ok(())
            }
            Err(held) => {
                let text =
                    format!("{bytes} bytes on top of {held} are over held_bytes_max ({max})");
                Err(Error::new(Code::Overloaded, text))
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.held_bytes.fetch_sub(self.charged_bytes, Ordering::AcqRel);
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
    Error::new(Code::Failed, text).with_source(error)
}

/// Bytes that each holder has free.
const FREE_BYTES: usize = 4096;

/// What is charged at once, so that a growing buffer does not come here for every read.
const STEP_BYTES: usize = 16 * 1024;
