//! Values that stand alone, put on one stream.
//!
//! Somebody has encoded a value without knowing what the stream has heard before. Its definitions
//! are left out where the stream has equal ones, and its ids become those of the stream.

use super::Encoder;
use crate::decode::{Decoder, Progress};
use crate::error::{Error, Result};
use crate::value::Value;
use crate::wire::cut_short;

impl Encoder {
    /// Appends a value that was encoded as a stream of its own.
    ///
    /// # Errors
    ///
    /// Nothing is appended then, and the stream goes on as if there had been no call. What
    /// [`from_slice`](crate::from_slice) and [`encode_as`](Self::encode_as) say of it.
    ///
    /// ```
    /// use switchboard_gob::{Encoder, to_vec};
    ///
    /// let (alone, mut stream) = (to_vec(&vec![1_i64, 2])?, Vec::new());
    /// let mut encoder = Encoder::new();
    /// encoder.append(&alone, &mut stream)?;
    /// assert_eq!(stream, alone);
    /// // The type is known now.
    /// encoder.append(&alone, &mut stream)?;
    /// assert!(stream.len() < alone.len() * 2);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn append(&mut self, alone: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut decoder = Decoder::with_limits(self.limits.clone());
        let Progress { used_bytes, is_complete } = decoder.push(alone)?;
        let Some(schema) = decoder.schema().filter(|_| is_complete) else {
            return Err(cut_short());
        };
        if used_bytes < alone.len() {
            return Err(Error::malformed(used_bytes as u64, "bytes left behind the value"));
        }
        self.encode_as(&schema, &decoder.decode::<Value>()?, out)
    }

    /// Forgets what the stream has heard: definitions are sent again with the next value, under ids
    /// that were not used before. So the stream goes on for one decoder, and begins anew for
    /// others.
    pub fn forget_definitions(&mut self) {
        self.told.clear();
        self.last = 0;
    }
}
