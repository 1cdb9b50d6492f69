//! Go's types that serde has no word for.
//!
//! serde knows neither complex numbers nor bytes that a type makes itself. They travel through it
//! as newtypes with names that nobody else has; this crate's serializers know these, and in any
//! other format the types are what is inside them.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::kinds::Marshaler;

/// The name of a newtype whose content is a pair of floating-point numbers.
pub(crate) const COMPLEX: &str = "$gob:complex";

/// The name of the enum that [`Value`](crate::Value) is for serde.
pub(crate) const VALUE: &str = "$gob:value";

/// The name of a newtype whose content are bytes that a type made itself: who makes them, and the
/// name of the type.
pub(crate) fn opaque(name: &str) -> Option<(Marshaler, &str)> {
    let name = name.strip_prefix("$gob:")?;
    let (by, name) = name.split_once(':')?;
    let by = match by {
        "gob" => Marshaler::Gob,
        "binary" => Marshaler::Binary,
        "text" => Marshaler::Text,
        _ => return None,
    };
    Some((by, name))
}

/// Go's `complex128`, and its `complex64`.
///
/// ```
/// use switchboard_gob::{Complex, from_slice, to_vec};
///
/// let bytes = to_vec(&Complex { re: 3.0, im: -4.0 })?;
/// assert_eq!(bytes[bytes.len() - 6..], [0xfe, 0x08, 0x40, 0xfe, 0x10, 0xc0]);
/// let value: Complex = from_slice(&bytes)?;
/// assert_eq!(value.re.hypot(value.im), 5.0);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a complex number has two parts")]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

/// Bytes that a Go type with `GobEncode` and `GobDecode` makes and reads, such as those of
/// `big.Int`. What they mean, only that type knows. For `time.Time` there is [`Time`](crate::Time).
///
/// ```
/// use switchboard_gob::{GobBytes, from_slice, to_vec};
///
/// // Go: big.NewInt(258).
/// let number = GobBytes(vec![2, 1, 2]);
/// assert_eq!(from_slice::<GobBytes>(&to_vec(&number)?)?, number);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "it is its bytes")]
pub struct GobBytes(
    /// What `GobEncode` returned; empty where Go left the value out.
    pub Vec<u8>,
);

/// Bytes that a Go type with `MarshalBinary` and `UnmarshalBinary` makes and reads, and without the
/// methods of [`GobBytes`], such as those of `url.URL`. What they mean, only that type knows.
///
/// ```
/// use switchboard_gob::{BinaryBytes, from_slice, to_vec};
///
/// // Go: &url.URL{Scheme: "https", Host: "go.dev"}.
/// let address = BinaryBytes(b"https://go.dev".to_vec());
/// assert_eq!(from_slice::<BinaryBytes>(&to_vec(&address)?)?, address);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "it is its bytes")]
pub struct BinaryBytes(
    /// What `MarshalBinary` returned; empty where Go left the value out.
    pub Vec<u8>,
);

const GOB_BYTES: &str = "$gob:gob:GobBytes";
const BINARY_BYTES: &str = "$gob:binary:BinaryBytes";

impl Serialize for Complex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(COMPLEX, &(self.re, self.im))
    }
}

impl<'de> Deserialize<'de> for Complex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(COMPLEX, ComplexVisitor)
    }
}

struct ComplexVisitor;

impl<'de> Visitor<'de> for ComplexVisitor {
    type Value = Complex;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("complex")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, content: D) -> Result<Complex, D::Error> {
        let (re, im) = Deserialize::deserialize(content)?;
        Ok(Complex { re, im })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Complex, A::Error> {
        self.visit_newtype_struct(SeqAccessDeserializer::new(parts))
    }
}

impl Serialize for GobBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_opaque(GOB_BYTES, &self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for GobBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_opaque(GOB_BYTES, deserializer).map(Self)
    }
}

impl Serialize for BinaryBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_opaque(BINARY_BYTES, &self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for BinaryBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_opaque(BINARY_BYTES, deserializer).map(Self)
    }
}

/// Writes the newtype `name`, see [`opaque`], which holds `bytes`.
pub(crate) fn serialize_opaque<S: Serializer>(
    name: &'static str,
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(name, &Content(bytes))
}

/// Reads the newtype `name`, see [`opaque`], which holds bytes.
pub(crate) fn deserialize_opaque<'de, D: Deserializer<'de>>(
    name: &'static str,
    deserializer: D,
) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_newtype_struct(name, BytesVisitor)
}

struct Content<'a>(&'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, content: D) -> Result<Vec<u8>, D::Error> {
        content.deserialize_byte_buf(self)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    // Formats without bytes of their own, such as JSON.
    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Vec<u8>, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(elements))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BytesDeserializer, SeqDeserializer};

    use super::*;
    use crate::error::Error;

    #[test]
    fn other_formats_have_what_is_inside() {
        let parts = SeqDeserializer::<_, Error>::new([1.5, -2.0].into_iter());
        assert_eq!(Complex::deserialize(parts).unwrap(), Complex { re: 1.5, im: -2.0 });
        for parts in [&[1.5][..], &[1.0, 2.0, 3.0]] {
            let parts = SeqDeserializer::<_, Error>::new(parts.iter().copied());
            assert!(Complex::deserialize(parts).is_err());
        }

        let elements = SeqDeserializer::<_, Error>::new([1_u8, 2].into_iter());
        assert_eq!(GobBytes::deserialize(elements).unwrap(), GobBytes(vec![1, 2]));
        let bytes = BytesDeserializer::<Error>::new(&[1, 2]);
        assert_eq!(BinaryBytes::deserialize(bytes).unwrap(), BinaryBytes(vec![1, 2]));
    }

    #[test]
    fn names_tell_who_makes_the_bytes() {
        let cases = [
            (GOB_BYTES, Some((Marshaler::Gob, "GobBytes"))),
            (BINARY_BYTES, Some((Marshaler::Binary, "BinaryBytes"))),
            ("$gob:text:Name", Some((Marshaler::Text, "Name"))),
            ("$gob:other:Name", None),
            (COMPLEX, None),
            ("GobBytes", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(opaque(name), wanted, "{name}");
        }
    }
}
