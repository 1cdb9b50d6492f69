//! The values that are sent.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes of a large payload.
pub const MIB: usize = 1024 * 1024;

/// Bytes of the message in bincode.
pub const MESSAGE_BYTES: usize = 178;

/// A payload of 8 bytes.
pub const SMALL: &[u8; 8] = b"8 bytes.";

/// How long a slow handler waits.
pub const SLOW_TIME: Duration = Duration::from_millis(10);

/// A value as they are sent: numbers, text, a map, bytes, and one more of itself inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// A number of which no byte is zero.
    pub id: u64,
    /// 16 letters.
    pub name: String,
    /// Three pairs of short words.
    pub tags: HashMap<String, String>,
    /// 32 bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// One more without another inside.
    pub nested: Option<Box<Self>>,
}

/// Bytes that are encoded as a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blob {
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl Message {
    /// A message with one nested in it: 178 bytes in bincode.
    #[must_use]
    pub fn new() -> Self {
        let tags = [("size", "huge"), ("hue", "blue"), ("kind", "box")];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let inner = Self {
            id: 0x0123_4567_89ab_cdef,
            name: "sixteen letters.".to_owned(),
            tags: tags.into(),
            bytes: vec![7; 32],
            nested: None,
        };
        Self { nested: Some(Box::new(inner.clone())), ..inner }
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl Blob {
    /// A MiB of bytes.
    #[must_use]
    pub fn mib() -> Self {
        Self { bytes: vec![7; MIB] }
    }
}
