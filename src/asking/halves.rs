//! Which items go each way in a streamed call, as types.

use std::fmt;

use super::values::{DecodeItem, EncodeItem};

/// Items of this type are sent.
pub struct Sends<I> {
    pub(crate) encode: EncodeItem<I>,
}

/// Items of this type come.
pub struct Receives<I> {
    pub(crate) decode: DecodeItem<I>,
}

/// There are no items this way.
#[derive(Debug)]
#[non_exhaustive]
pub struct NoItems;

impl<I> fmt::Debug for Sends<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sends")
    }
}

impl<I> fmt::Debug for Receives<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receives")
    }
}
