//! Lingering: closing without losing what was written last.
//!
//! A `close()` while the peer's bytes wait unread makes TCP answer with a reset, and the peer's
//! kernel then throws away what it has not read yet: of 500,000 bytes of replies 4,096 arrived. So
//! the writing side is ended first, and what the peer still sends is read and dropped until it ends
//! its side too, within `linger_time_max` and `linger_bytes_max`.

use std::future::poll_fn;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::input::Input;
use crate::error::Code;
use crate::limits::Limits;
use crate::transport::SharedIo;

/// Ends our side; whether that went well, so that all is written.
pub(super) async fn end(io: &mut SharedIo, limits: &Limits) -> bool {
    let is_ended = timeout(limits.write_time_max, io.shutdown()).await;
    matches!(is_ended, Ok(Ok(())))
}

/// Waits for the peer to end its own side.
pub(super) async fn linger(io: &mut SharedIo, input: &mut Input, limits: &Limits) {
    let mut left = limits.linger_bytes_max;
    let drain = async {
        while left > 0 {
            input.bytes.clear();
            match poll_fn(|cx| input.poll_fill(cx, io, 0)).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                // Read, and more than the endpoint can hold; it is dropped at once.
                Err(error) if error.code() == Code::Overloaded && !input.bytes.is_empty() => {
                    left = left.saturating_sub(input.bytes.len());
                }
                _ => return,
            }
        }
    };
    // A peer that goes on sending is cut off; it has had time to read what we wrote.
    let _ = timeout(limits.linger_time_max, drain).await;
}
