//! The values as protobuf, as from a proto file.

use std::collections::HashMap;

use bytes::Bytes;

/// The message.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) tags: HashMap<String, String>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) bytes: Vec<u8>,
    #[prost(message, optional, boxed, tag = "5")]
    pub(crate) nested: Option<Box<Self>>,
}

/// Many bytes, or few. They are not copied out of the buffer that was read.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Blob {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: Bytes,
}

/// How many messages have come, or for how many milliseconds some are to come.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Count {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
}

impl From<peers_common::Message> for Message {
    fn from(message: peers_common::Message) -> Self {
        Self {
            id: message.id,
            name: message.name,
            tags: message.tags,
            bytes: message.bytes,
            nested: message.nested.map(|nested| Box::new((*nested).into())),
        }
    }
}
