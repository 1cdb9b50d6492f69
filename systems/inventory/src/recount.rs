//! Work that is slow, and what stops it: the time limit of the endpoint.
//!
//! Somebody goes along the shelf and takes each piece in hand. With the stock of the first day that
//! takes 15 s, and a call may take 5. An async handler is stopped at its next await, without a word
//! in it. A thread cannot be stopped from outside, so it looks up after each piece.
//!
//! The pieces counted are visible, so that anybody can see that nobody counts any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard::{Code, Context, Error, Result};
use tokio::time::sleep;

/// What is counted, and how slowly.
#[derive(Debug)]
pub struct Recount {
    pause: Duration,
    pieces: AtomicU64,
    threads: AtomicU64,
}

impl Recount {
    /// Takes as long as `pause` for each piece.
    #[must_use]
    pub fn new(pause: Duration) -> Self {
        Self { pause, pieces: AtomicU64::new(0), threads: AtomicU64::new(0) }
    }

    /// Pieces that were counted so far, by all counts together.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Threads that count now.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.threads.load(Ordering::Relaxed)
    }

    /// Counts so many pieces.
    pub async fn count(self: Arc<Self>, total: u64) -> u64 {
        for _ in 0..total {
            sleep(self.pause).await;
            self.pieces.fetch_add(1, Ordering::Relaxed);
        }
        total
    }

    /// The same on a thread that may block.
    ///
    /// # Errors
    ///
    /// Nobody waits for it any more.
    pub fn count_blocking(self: Arc<Self>, total: u64, context: &Context) -> Result<u64> {
        let _counting = Counting::begin(&self.threads);
        for _ in 0..total {
            if context.is_cancelled() {
                return Err(Error::new(Code::Cancelled, "nobody waits for this count"));
            }
            std::thread::sleep(self.pause);
            self.pieces.fetch_add(1, Ordering::Relaxed);
        }
        Ok(total)
    }
}

/// A thread that counts.
struct Counting<'a>(&'a AtomicU64);

impl<'a> Counting<'a> {
    fn begin(threads: &'a AtomicU64) -> Self {
        threads.fetch_add(1, Ordering::Relaxed);
        Self(threads)
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
