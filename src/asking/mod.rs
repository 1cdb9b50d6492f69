//! What whoever calls says and hears, whichever client it uses; pure.
//!
//! A typed request becomes an [`Unsent`], which knows all that is said of a call, and how long it
//! has; the payload of its reply becomes a value, and an item its bytes and back. How a call gets
//! to its peer is not known here: `conn` sends it for tasks, and `blocking` for threads.

mod errors;
mod halves;
mod unsent;
mod values;

pub(crate) use self::errors::{has_reply, not_resumed, over, polled_too_late};
pub use self::halves::{NoItems, Receives, Sends};
#[cfg(feature = "io")]
pub(crate) use self::unsent::Beside;
pub(crate) use self::unsent::{Unsent, later};
#[cfg(feature = "io")]
pub(crate) use self::values::check_item_bytes;
pub(crate) use self::values::{
    DecodeItem, EncodeItem, decode_item, decode_reply, encode_item, explain,
};
