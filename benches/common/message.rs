//! The value that the benches send.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A value as they are sent: numbers, text, a map, bytes, and one more of itself inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) tags: HashMap<String, String>,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Vec<u8>,
    pub(crate) nested: Option<Box<Self>>,
}

impl Message {
    /// A message with one nested in it: 178 bytes in bincode.
    pub(crate) fn new() -> Self {
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
