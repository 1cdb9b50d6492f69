//! What a format with payloads that build on one another is to a connection.
//!
//! It is the one thing that such a format and the framing know of each other.

use bytes::{Bytes, BytesMut};

use crate::error::Result;
use crate::limits::{Limits, PayloadMax};

/// What a connection remembers of its payloads, if one may build on those before it. A payload
/// stands alone wherever it is handed on.
pub(super) trait Memory: Send + Sync {
    /// Lets the payloads that come from now on have so many bytes.
    fn bound(&mut self, payload_max: PayloadMax);

    /// Takes the next payload from `input` once it is complete.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the end of the payload is not known then.
    fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>>;

    /// What `payload` is on this connection.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn join(&mut self, payload: &[u8]) -> Result<Vec<u8>>;

    /// Bytes of memory that it holds of what was read.
    fn held_bytes(&self) -> usize;
}

/// Makes the memory of a connection with these limits.
pub(super) type NewMemory = fn(&Limits, PayloadMax) -> Box<dyn Memory>;
