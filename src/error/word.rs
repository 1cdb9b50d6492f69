//! A word of a line, stored inline, so that reading one from the wire allocates nothing.
//!
//! Which words are codes, names or formats is told where these are; here they only have a bound.

/// 1 to `BYTES_MAX` printable ASCII bytes without space.
///
/// A line is moved from hand to hand, which costs less if its fields begin at whole words.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(align(8))]
pub(crate) struct Word<const BYTES_MAX: usize> {
    // Only the first `len` bytes count; the rest are zero. 1 <= len <= BYTES_MAX < 256.
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl<const BYTES_MAX: usize> Word<BYTES_MAX> {
    /// The word that `bytes` are known to be, cut off if they are more than fit.
    #[inline]
    pub(crate) const fn copy(bytes: &[u8]) -> Self {
        let mut copy = [0; BYTES_MAX];
        let bytes = match bytes.split_at_checked(BYTES_MAX) {
            Some((bytes, _)) => bytes,
            None => bytes,
        };
        if let Some((room, _)) = copy.split_at_mut_checked(bytes.len()) {
            room.copy_from_slice(bytes);
        }
        #[expect(clippy::cast_possible_truncation, reason = "len <= BYTES_MAX < 256")]
        let len = bytes.len() as u8;
        Self { bytes: copy, len }
    }

    /// Its first byte.
    pub(crate) const fn first(&self) -> Option<&u8> {
        self.bytes.first()
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        match self.bytes.split_at_checked(self.len as usize) {
            Some((word, _)) => word,
            None => &[],
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}
