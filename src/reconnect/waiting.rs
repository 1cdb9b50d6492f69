//! How many calls wait for a connection, and how large they are.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Code, Error, Result};

/// Those that wait.
pub(crate) struct Waiting {
    calls_max: usize,
    bytes_max: usize,
    now: Mutex<Sum>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    calls: usize,
    bytes: usize,
}

/// One of them, until dropped.
pub(crate) struct Place {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Waiting {
    pub(crate) fn new(calls_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { calls_max, bytes_max, now: Mutex::default() })
    }

    /// Takes in a call with a payload of so many bytes.
    ///
    /// # Errors
    ///
    /// `overloaded` with the bound that it is over. The first may be of any size.
    pub(crate) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Place> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.calls >= self.calls_max {
            let text = format!("waiting_calls_max ({}) wait for a connection", self.calls_max);
            return Err(Error::local(Code::Overloaded, text));
        }
        let sum = now.bytes.saturating_add(bytes);
        if now.calls > 0 && sum > self.bytes_max {
            let max = self.bytes_max;
            let text = format!("calls of {sum} bytes would wait: over waiting_bytes_max ({max})");
            return Err(Error::local(Code::Overloaded, text));
        }
        *now = Sum { calls: now.calls.saturating_add(1), bytes: sum };
        Ok(Place { waiting: Arc::clone(self), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.waiting.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.calls = now.calls.saturating_sub(1);
        now.bytes = now.bytes.saturating_sub(self.bytes);
    }
}
