//! Closing without losing what was written last.
//!
//! A `close()` while the peer's bytes wait unread makes TCP answer with a reset, and the peer's
//! kernel then throws away what it has not read yet: of 500,000 bytes of replies 4,096 arrived. So
//! the writing side is ended first, and what the peer still sends is read and dropped until it ends
//! its side too, within `linger_time_max` and `linger_bytes_max`.

use std::future::poll_fn;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Connection;
use crate::error::Code;

impl Connection {
    /// Ends our side; whether that went well, so that all is written.
    pub(crate) async fn end(&mut self) -> bool {
        let is_ended = timeout(self.limits.write_time_max, self.io.shutdown()).await;
        matches!(is_ended, Ok(Ok(())))
    }

    /// Waits for the peer to end its own side.
    pub(crate) async fn linger(&mut self) {
        let mut left = self.limits.linger_bytes_max;
        let time = self.limits.linger_time_max;
        let drain = async {
            while left > 0 {
                self.input.clear();
                match poll_fn(|cx| self.poll_fill(cx, 0)).await {
                    Ok(count) if count > 0 => left = left.saturating_sub(count),
                    // Read, and more than the endpoint can hold; it is dropped at once.
                    Err(error) if error.code() == Code::Overloaded => {
                        left = left.saturating_sub(self.input.len());
                    }
                    _ => return,
                }
            }
        };
        // A peer that goes on sending is cut off; it has had time to read what we wrote.
        let _ = timeout(time, drain).await;
    }
}
