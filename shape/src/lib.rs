//! What serde types look like, found without a derive of its own.
#![doc = ""]
//! A [`Shape`] is found by reading the type from samples.

mod compare;
mod fingerprint;
mod json;
mod shape;
mod trace;
mod types;

pub use self::compare::{Difference, Layout};
pub use self::json::{InvalidJson, JsonSchema};
pub use self::shape::Shape;
pub use self::types::{Content, Encoding, Field, Id, Primitive, Type, Variant};
