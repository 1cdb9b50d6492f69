//! What serde types look like, found without a derive of its own: compare them, hash them, and make
//! JSON Schema of them.
//!
//! A [`Shape`] is found by reading a type from samples, [`Sides`] by writing these samples as well.
//! Both are lists of [`Type`]s that refer to each other by their [`Id`]s.
//!
//! ```
//! use switchboard_shape::{Encoding, Primitive, Shape, Type};
//!
//! // An address is a text where people read, and a choice of bytes elsewhere.
//! let text = Shape::of::<std::net::IpAddr>(Encoding::Text);
//! assert_eq!(text.get(text.root()), Some(&Type::Primitive(Primitive::String)));
//! let binary = Shape::of::<std::net::IpAddr>(Encoding::Binary);
//! assert!(matches!(binary.get(binary.root()), Some(Type::Enum { .. })));
//! ```
//!
//! Nothing here is for values that come from elsewhere: a type is looked at once, when a program
//! starts or in a test, and the time and memory that takes have their limits ([`Shape::of`]).

mod compare;
mod fingerprint;
mod json;
mod sent;
mod shape;
mod sides;
mod trace;
mod types;
mod watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use self::compare::{Difference, Layout};
pub use self::json::{InvalidJson, JsonSchema};
pub use self::shape::Shape;
pub use self::sides::Sides;
pub use self::types::{Content, Encoding, Field, Id, Primitive, Type, Variant};
