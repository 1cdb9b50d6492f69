//! What the types are made of and Rust does not have.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use switchboard_gob::{Complex, Time};

/// A map of keys of any type, in the order in which it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Map<K, V>(Vec<(K, V)>);

/// An array longer than those that serde knows.
#[derive(Debug, Clone)]
pub(crate) struct LongArray<T, const LEN: usize>(Vec<T>);

/// A field that Go never leaves out: one whose pointer has the encoder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Always<T>(T);

/// A complex number of two parts of 32 bits.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "Complex", into = "Complex")]
pub(crate) struct Complex64(Complex);

impl TryFrom<Complex> for Complex64 {
    type Error = &'static str;

    fn try_from(wide: Complex) -> Result<Self, &'static str> {
        #[expect(clippy::cast_possible_truncation, reason = "so it is rounded")]
        let narrow = |part: f64| {
            let is_fit = !part.is_finite() || part.abs() <= f32::MAX.into();
            is_fit.then_some(f64::from(part as f32)).ok_or("a part is over 32 bits")
        };
        Ok(Self(Complex { re: narrow(wide.re)?, im: narrow(wide.im)? }))
    }
}

impl From<Complex64> for Complex {
    fn from(value: Complex64) -> Self {
        value.0
    }
}

/// Whether Go would leave it out.
pub(crate) fn is_zero(time: &Time) -> bool {
    *time == Time::ZERO
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Serialize, V: Serialize> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for MapVisitor<K, V> {
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<K, V>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Map(entries))
    }
}

impl<T: Serialize, const LEN: usize> Serialize for LongArray<T, LEN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(LEN)?;
        self.0.iter().try_for_each(|element| tuple.serialize_element(element))?;
        tuple.end()
    }
}

impl<'de, T: Deserialize<'de>, const LEN: usize> Deserialize<'de> for LongArray<T, LEN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(LEN, LongVisitor(PhantomData))
    }
}

struct LongVisitor<T, const LEN: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LEN: usize> Visitor<'de> for LongVisitor<T, LEN> {
    type Value = LongArray<T, LEN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {LEN}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(LongArray(elements))
    }
}

impl<T: Serialize> Serialize for Always<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_some(&self.0)
    }
}
