//! The value that the benches send, and the tests that count what it costs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A value as they are sent: numbers, text, a map, bytes, and one more of itself inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: u64,
    pub name: String,
    pub tags: HashMap<String, String>,
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    pub nested: Option<Box<Self>>,
}

impl Message {
    /// A message with one nested in it: 178 bytes in bincode.
    pub fn sample() -> Self {
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
