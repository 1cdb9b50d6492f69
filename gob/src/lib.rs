//! Go's `encoding/gob` for serde.

mod definition;
mod error;
mod limits;
mod schema;
mod special;
mod wire;

pub use self::error::{Error, ErrorKind, Result};
pub use self::limits::Limits;
pub use self::schema::{Marshaler, Schema, SchemaBuilder, Type};
