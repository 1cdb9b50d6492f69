//! Closing without losing what was written last.
//!
//! A `close()` while the peer's bytes wait unread makes TCP answer with a reset, and the peer's
//! kernel then throws away what it has not read yet: of 500,000 bytes of replies 4,096 arrived. So
//! the writing side is ended first, and what the peer still sends is read and dropped until it ends
//! its side too, within `linger_time_max` and `linger_bytes_max`.

use std::future::poll_fn;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Driver;
use crate::error::Code;

impl Driver {
    /// Ends our side and waits for the peer to end its own.
    pub(super) async fn farewell(&mut self) {
        let limits = self.link.limits().clone();
        let is_ended = timeout(limits.write_time_max, self.connection.io().shutdown()).await;
        if self.is_at_end || !matches!(is_ended, Ok(Ok(()))) {
            return;
        }
        let mut left = limits.linger_bytes_max;
        let drain = async {
            while left > 0 {
                self.connection.input().clear();
                match poll_fn(|cx| self.connection.poll_fill(cx, 0)).await {
                    Ok(count) if count > 0 => left = left.saturating_sub(count),
                    // Read, and more than the endpoint can hold; it is dropped at once.
                    Err(error) if error.code() == Code::Overloaded => {
                        left = left.saturating_sub(self.connection.input().len());
                    }
                    _ => return,
                }
            }
        };
        // A peer that goes on sending is cut off; it has had time to read what we wrote.
        let _ = timeout(limits.linger_time_max, drain).await;
    }
}
