//! Go's `encoding/gob` for serde: read what Go programs write, write what they read.
//!
//! [`to_vec`] and [`from_slice`] are for single values, an [`Encoder`] and a [`Decoder`] for
//! streams of them, [`Value`] for streams whose types are not known.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use switchboard_gob::{from_slice, to_vec};
//!
//! // type Order struct { Number int; Note string; Next *Order }
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Order {
//!     number: i64,
//!     note: String,
//!     next: Option<Box<Order>>,
//! }
//!
//! let order = Order { number: 7, note: "in a hurry".to_owned(), next: None };
//! assert_eq!(from_slice::<Order>(&to_vec(&order)?)?, order);
//! # Ok::<(), switchboard_gob::Error>(())
//! ```
//!
//! # How it works
//!
//! A gob stream describes itself. Before the first value of a type come the definitions of the
//! types in it, each under a number; the values then have no names, only numbers of fields, and
//! leave out what is zero. Three things follow.
//!
//! **To write, the type must be known before the value is**: an empty `Vec` does not say what could
//! be in it. So a type is asked, once in a process: its `Deserialize` is run on a deserializer
//! that gives sample values and takes notes. What it finds is a [`Schema`], and a value is then
//! written in step with it. Types that cannot be asked have their schema built by hand.
//!
//! **To read, the sender's types are compared with the receiver's** before any value is looked at,
//! so that a field of the wrong type is found even while it is zero.
//!
//! **Where a value ends is known only by following it.** A message says its length, but a value
//! with interfaces in it can take several messages. So the [`Decoder`] is given bytes as they come,
//! follows the value through them once, and says where it ends. Nothing behind it is touched.
//!
//! # Input that means harm
//!
//! Whatever the bytes are, reading them ends in a value or an [`Error`], in time and memory in
//! proportion to the input, within [`Limits`] that can be set. Following a value takes no
//! recursion; what is recursive afterwards is no deeper than [`Limits::depth_max`].

mod decode;
mod definition;
mod encode;
mod error;
mod key;
mod kinds;
mod limits;
mod order;
mod rfc3339;
mod schema;
mod shape;
mod special;
mod time;
mod trace;
mod traced;
mod value;
mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use self::decode::{Decoder, Progress, ValueDeserializer, from_slice};
pub use self::encode::{Encoder, to_vec, to_vec_as};
pub use self::error::{Error, ErrorKind, Result};
pub use self::kinds::{Marshaler, Type};
pub use self::limits::Limits;
pub use self::schema::{Schema, SchemaBuilder};
pub use self::shape::Shape;
pub use self::special::{BinaryBytes, Complex, GobBytes};
pub use self::time::Time;
pub use self::value::{Interface, Value};
