//! Go's `encoding/gob` for serde.

mod decode;
mod definition;
mod encode;
mod error;
mod limits;
mod schema;
mod special;
mod time;
mod trace;
mod value;
mod wire;

pub use self::decode::{Decoder, Progress, ValueDeserializer, from_slice};
pub use self::encode::{Encoder, to_vec, to_vec_as};
pub use self::error::{Error, ErrorKind, Result};
pub use self::limits::Limits;
pub use self::schema::{Marshaler, Schema, SchemaBuilder, Type};
pub use self::special::{BinaryBytes, Complex, GobBytes};
pub use self::time::Time;
pub use self::value::{Interface, Value};
