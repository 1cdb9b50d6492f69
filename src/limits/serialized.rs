//! Limits as a file has them, in a format of serde: numbers under the names of the fields.
//!
//! It is not derived. A derive would be another dependency of every build, would have times as two
//! numbers each, and would say of a wrong value neither its field nor the least that works. All
//! fields are in one list, from which both ways are made, and which the compiler compares with the
//! struct.
//!
//! Times are floating-point numbers of seconds. Below 2^23 s two such numbers lie less than 1 ns
//! apart, so there each time is read back as it was.

use std::fmt;
use std::time::Duration;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Limits;

macro_rules! fields {
    ($count:literal: $($name:ident),* $(,)?) => {
        const NAMES: [&str; $count] = [$(stringify!($name)),*];

        /// All fields, in the order of their names.
        fn fields(limits: &mut Limits) -> [Field<'_>; $count] {
            let Limits { $($name),* } = limits;
            [$(Field { name: stringify!($name), value: $name.into() }),*]
        }
    };
}

fields! {
    29:
    line_bytes_max,
    payload_bytes_max,
    depth_max,
    spare_elements_max,
    definition_bytes_max,
    net_rpc_definition_bytes_max,
    decode_bytes_max,
    calls_per_connection_max,
    one_way_bytes_max,
    consecutive_errors_max,
    unwritten_bytes_max,
    streams_per_connection_max,
    item_bytes_max,
    calls_max,
    streams_max,
    blocking_calls_max,
    held_bytes_max,
    connections_max,
    connections_per_peer_max,
    handshake_time_max,
    line_time_max,
    body_time_max,
    idle_time_max,
    write_time_max,
    call_time_max,
    stall_time_max,
    drain_time_max,
    linger_time_max,
    linger_bytes_max,
}

/// A struct of all fields; times are seconds.
impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut limits = self.clone();
        let fields = fields(&mut limits);
        let mut out = serializer.serialize_struct("Limits", fields.len())?;
        for Field { name, value } in fields {
            match value {
                Value::Count(count) => out.serialize_field(name, count)?,
                Value::Count32(count) => out.serialize_field(name, count)?,
                Value::Time(time) => out.serialize_field(name, &time.as_secs_f64())?,
            }
        }
        out.end()
    }
}

/// Fields that are left out have their defaults. One that there is not, one that is given twice,
/// and a value that [`Limits::check`] refuses are errors.
impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limits = deserializer.deserialize_struct("Limits", &NAMES, Struct)?;
        limits.check().map_err(|error| de::Error::custom(error.text()))?;
        Ok(limits)
    }
}

/// Reads limits before they are checked.
struct Struct;

impl<'de> Visitor<'de> for Struct {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the limits that differ, by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Limits, A::Error> {
        let mut limits = Limits::default();
        let mut fields = fields(&mut limits).map(Some);
        while let Some(at) = map.next_key_seed(Key)? {
            match fields.get_mut(at).and_then(Option::take) {
                Some(field) => map.next_value_seed(field)?,
                None => {
                    let name = NAMES.get(at).copied().unwrap_or_default();
                    return Err(de::Error::duplicate_field(name));
                }
            }
        }
        Ok(limits)
    }

    /// From a format that knows no names.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Limits, A::Error> {
        let mut limits = Limits::default();
        for (at, field) in fields(&mut limits).into_iter().enumerate() {
            if seq.next_element_seed(field)?.is_none() {
                return Err(de::Error::invalid_length(at, &"all limits, in their order"));
            }
        }
        Ok(limits)
    }
}

/// Reads the name of a field, as its place in the list.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a limit")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        let at = NAMES.iter().position(|known| *known == name);
        at.ok_or_else(|| de::Error::unknown_field(name, &NAMES))
    }
}

/// A field to be read into, or to be written.
struct Field<'a> {
    name: &'static str,
    value: Value<'a>,
}

enum Value<'a> {
    Count(&'a mut usize),
    Count32(&'a mut u32),
    Time(&'a mut Duration),
}

impl<'a> From<&'a mut usize> for Value<'a> {
    fn from(count: &'a mut usize) -> Self {
        Self::Count(count)
    }
}

impl<'a> From<&'a mut u32> for Value<'a> {
    fn from(count: &'a mut u32) -> Self {
        Self::Count32(count)
    }
}

impl<'a> From<&'a mut Duration> for Value<'a> {
    fn from(time: &'a mut Duration) -> Self {
        Self::Time(time)
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.value {
            Value::Count(_) => deserializer.deserialize_u64(self),
            Value::Count32(_) => deserializer.deserialize_u32(self),
            Value::Time(_) => deserializer.deserialize_f64(self),
        }
    }
}

impl Visitor<'_> for Field<'_> {
    type Value = ();

    /// The field too, since most formats tell the place in a text and not what is there.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match self.value {
            Value::Count(_) => write!(f, "{name}, a whole number from 0 to {}", usize::MAX),
            Value::Count32(_) => write!(f, "{name}, a whole number from 0 to {}", u32::MAX),
            Value::Time(_) => write!(f, "{name}, a number of seconds from 0 on"),
        }
    }

    fn visit_u64<E: de::Error>(mut self, number: u64) -> Result<(), E> {
        let unexpected = Unexpected::Unsigned(number);
        self.set_whole(number).ok_or_else(|| de::Error::invalid_value(unexpected, &self))
    }

    fn visit_i64<E: de::Error>(mut self, number: i64) -> Result<(), E> {
        let unexpected = Unexpected::Signed(number);
        let set = u64::try_from(number).ok().and_then(|number| self.set_whole(number));
        set.ok_or_else(|| de::Error::invalid_value(unexpected, &self))
    }

    fn visit_f64<E: de::Error>(mut self, number: f64) -> Result<(), E> {
        let unexpected = Unexpected::Float(number);
        self.set_seconds(number).ok_or_else(|| de::Error::invalid_value(unexpected, &self))
    }
}

impl Field<'_> {
    /// Sets it to a whole number, if it can be that.
    fn set_whole(&mut self, number: u64) -> Option<()> {
        match &mut self.value {
            Value::Count(value) => **value = usize::try_from(number).ok()?,
            Value::Count32(value) => **value = u32::try_from(number).ok()?,
            Value::Time(value) => **value = Duration::from_secs(number),
        }
        Some(())
    }

    /// Sets it to so many seconds, if it is a time and can be that.
    fn set_seconds(&mut self, number: f64) -> Option<()> {
        match &mut self.value {
            Value::Count(_) | Value::Count32(_) => return None,
            Value::Time(value) => **value = time(number)?,
        }
        Some(())
    }
}

/// So many seconds; `None` if no time is so long.
fn time(seconds: f64) -> Option<Duration> {
    // The longest time is written as a number that is a little more than it.
    if seconds == Duration::MAX.as_secs_f64() {
        return Some(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds).ok()
}
