//! An address as a file has it: its text.
//!
//! An address that a program made by hand may have a text that means another one, or nothing: a
//! path that is not UTF-8, a host with a space. That is found when it is written, not when somebody
//! reads it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

use super::Address;

/// # Errors
///
/// If its text would not be read as this address.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        let why = match (text.parse::<Self>(), self) {
            (Ok(read), _) if read == *self => return serializer.serialize_str(&text),
            (_, Self::Unix(path)) if path.to_str().is_none() => {
                format!("the path {path:?} is not UTF-8")
            }
            (Ok(read), _) => format!("it would be read as {read}"),
            (Err(error), _) => error.text().to_owned(),
        };
        Err(ser::Error::custom(format!("an address that cannot be written as a text: {why}")))
    }
}

/// # Errors
///
/// As its `FromStr`.
impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, such as 127.0.0.1:61000 or unix:/run/stock.sock")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        Address::of(text).map_err(|error| de::Error::custom(error.text()))
    }
}
