//! The insides of structs, slices, arrays, maps and interfaces, one after the other.
//!
//! Each access says of an error where it was, on its way out.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::check::no_common_field;
use super::deserializer::{ValueDeserializer, ZEROS};
use super::plan::PlanNumber;
use crate::definition::Fields;
use crate::error::{Error, Result, Shown, Step};
use crate::key;
use crate::kinds::{Definition, Field, Kind};
use crate::wire::Reader;

/// The fields of a struct.
pub(super) struct StructAccess<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    fields: &'de [Field],
    wanted: Wanted,
    // How many of the wanted ones are done.
    done: usize,
    sent: Fields,
    // The field whose number was read last; `None` at the end of the struct.
    next_sent: Option<usize>,
    // The field whose value comes next, and whether it was sent.
    current: Option<(&'de Field, bool)>,
}

/// Which fields the receiver is given.
enum Wanted {
    /// Those that it has, be they sent or not.
    Plan(PlanNumber),
    /// All, since it has not said which. Structs and arrays that were not sent were behind nil
    /// pointers; a struct that leads to itself would have no end.
    All,
    /// Those that were sent.
    Sent,
}

impl<'a, 'de> StructAccess<'a, 'de> {
    /// For a receiver of the struct `name`, which has fields of these names.
    pub(super) fn of_names(
        value: &'a mut ValueDeserializer<'de>,
        name: &str,
        names: &'static [&'static str],
    ) -> Result<Self> {
        let (Kind::Defined(number), Some(Definition::Struct { fields, .. })) =
            (value.kind, value.definition())
        else {
            return Err(value.mismatch(&format!("struct {}", Shown(name))));
        };
        let plan = value.plans.plan(number, fields, names);
        // As of outermost types, and as in Go; no interface's type has been compared.
        if value.plans.wanted(plan).is_empty()
            && value.reader.rest().as_ptr().addr() == value.in_interface_at
            && !(fields.is_empty() || names.is_empty())
        {
            return Err(no_common_field(name, names, fields));
        }
        Self::new(value, fields, Wanted::Plan(plan))
    }

    pub(super) fn of_all(
        value: &'a mut ValueDeserializer<'de>,
        fields: &'de [Field],
    ) -> Result<Self> {
        Self::new(value, fields, Wanted::All)
    }

    pub(super) fn of_sent(
        value: &'a mut ValueDeserializer<'de>,
        fields: &'de [Field],
    ) -> Result<Self> {
        Self::new(value, fields, Wanted::Sent)
    }

    fn new(
        value: &'a mut ValueDeserializer<'de>,
        fields: &'de [Field],
        wanted: Wanted,
    ) -> Result<Self> {
        let max = value.limits.depth_max;
        if value.left_out_depth > max {
            let what = format!("nesting of {} levels left out", value.left_out_depth);
            return Err(Error::limit(what, "depth_max", max));
        }
        let mut sent = Fields::of(fields.len());
        let next_sent = sent.next(&mut value.reader)?;
        Ok(Self { value, fields, wanted, done: 0, sent, next_sent, current: None })
    }

    /// The next field for the receiver, and whether it was sent.
    fn advance(&mut self) -> Result<Option<(&'de Field, bool)>> {
        loop {
            let sent = self.next_sent.and_then(|number| number.checked_sub(1));
            let wanted = self.next_wanted();
            let index = match (sent, wanted) {
                (None, None) => return Ok(None),
                (Some(sent), Some(wanted)) if sent < wanted => {
                    self.pass(sent)?;
                    continue;
                }
                (Some(sent), None) => {
                    self.pass(sent)?;
                    continue;
                }
                (_, Some(wanted)) => wanted,
            };
            self.done = self.done.saturating_add(1);
            let Some(field) = self.fields.get(index) else {
                return Ok(None);
            };
            let is_sent = sent == Some(index);
            if !is_sent {
                self.value.charge(1)?;
            }
            if !matches!(self.wanted, Wanted::Plan(_)) {
                self.value.charge_name(&field.name)?;
            }
            return Ok(Some((field, is_sent)));
        }
    }

    /// The index of the next field that the receiver is given.
    fn next_wanted(&mut self) -> Option<usize> {
        let sent = self.next_sent.and_then(|number| number.checked_sub(1));
        match self.wanted {
            Wanted::Plan(plan) => {
                self.value.plans.wanted(plan).get(self.done).map(|index| *index as usize)
            }
            Wanted::Sent => sent,
            Wanted::All => {
                while let Some(field) = self.fields.get(self.done) {
                    if sent == Some(self.done) || !self.is_pointer(field.kind) {
                        return Some(self.done);
                    }
                    self.done = self.done.saturating_add(1);
                }
                None
            }
        }
    }

    /// Whether a field of this type can only be missing for being a nil pointer.
    fn is_pointer(&self, kind: Kind) -> bool {
        match kind {
            Kind::Defined(number) => matches!(
                self.value.types.definition(number),
                Definition::Struct { .. } | Definition::Array { .. }
            ),
            _ => false,
        }
    }

    /// Passes a field that was sent and is not wanted.
    fn pass(&mut self, index: usize) -> Result<()> {
        if let Some(field) = self.fields.get(index) {
            self.value.skip(field.kind)?;
        }
        self.next_sent = self.sent.next(&mut self.value.reader)?;
        Ok(())
    }

    fn left_out<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let zeros = Reader::new(&ZEROS, self.value.reader.offset());
        let reader = std::mem::replace(&mut self.value.reader, zeros);
        self.value.left_out_depth = self.value.left_out_depth.saturating_add(1);
        let decoded = seed.deserialize(&mut *self.value);
        self.value.left_out_depth = self.value.left_out_depth.saturating_sub(1);
        self.value.reader = reader;
        decoded
    }
}

impl<'de> MapAccess<'de> for StructAccess<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.current = self.advance()?;
        match self.current {
            Some((field, _)) => {
                let name: BorrowedStrDeserializer<'_, Error> =
                    BorrowedStrDeserializer::new(&field.name);
                seed.deserialize(name).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let Some((field, is_sent)) = self.current.take() else {
            return Err(Error::unsupported("a value was asked for before its key"));
        };
        self.value.kind = field.kind;
        let decoded = if is_sent {
            let decoded = seed.deserialize(&mut *self.value);
            decoded.and_then(|value| {
                self.next_sent = self.sent.next(&mut self.value.reader)?;
                Ok(value)
            })
        } else {
            self.left_out(seed)
        };
        decoded.map_err(|error| error.inside(Step::field(&field.name)))
    }
}

/// The elements of a slice or an array.
pub(super) struct ElementAccess<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    element: Kind,
    left: usize,
    index: usize,
}

impl<'a, 'de> ElementAccess<'a, 'de> {
    /// Those that were sent, whose number comes next.
    pub(super) fn of_sent(value: &'a mut ValueDeserializer<'de>, element: Kind) -> Result<Self> {
        let left = value.reader.count()?;
        Ok(Self { value, element, left, index: 0 })
    }

    /// Those of an array that was left out.
    pub(super) fn of_zeros(
        value: &'a mut ValueDeserializer<'de>,
        element: Kind,
        left: usize,
    ) -> Result<Self> {
        value.charge(left)?;
        Ok(Self { value, element, left, index: 0 })
    }
}

impl<'de> SeqAccess<'de> for ElementAccess<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let index = self.index;
        self.index = index.saturating_add(1);
        self.value.kind = self.element;
        if self.value.left_out_depth > 0 {
            self.value.reader = Reader::new(&ZEROS, self.value.reader.offset());
        }
        let element = seed.deserialize(&mut *self.value);
        element.map(Some).map_err(|error| error.inside(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Bytes, one by one.
pub(super) struct ByteAccess<'de> {
    bytes: std::slice::Iter<'de, u8>,
}

impl<'de> ByteAccess<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }
}

impl<'de> SeqAccess<'de> for ByteAccess<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(byte) = self.bytes.next() else {
            return Ok(None);
        };
        seed.deserialize(Byte(*byte)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// One of them, perhaps in a type of its own: Go's `[]Octet` is bytes like `[]uint8`.
struct Byte(u8);

impl<'de> Deserializer<'de> for Byte {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The entries of a map.
pub(super) struct EntryAccess<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    key: Kind,
    element: Kind,
    left: usize,
    // What the last key was read from, to say where an error was.
    key_reader: Reader<'de>,
}

impl<'a, 'de> EntryAccess<'a, 'de> {
    pub(super) fn new(
        value: &'a mut ValueDeserializer<'de>,
        key: Kind,
        element: Kind,
    ) -> Result<Self> {
        let left = value.reader.count()?;
        let key_reader = value.reader;
        Ok(Self { value, key, element, left, key_reader })
    }

    #[cold]
    fn step(&self) -> Step {
        key::step_to(self.key, self.key_reader.rest())
    }
}

impl<'de> MapAccess<'de> for EntryAccess<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.value.kind = self.key;
        self.key_reader = self.value.reader;
        let key = seed.deserialize(&mut *self.value);
        key.map(Some).map_err(|error| error.inside(self.step()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.value.kind = self.element;
        let value = seed.deserialize(&mut *self.value);
        value.map_err(|error| error.inside(self.step()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A value in an interface: its registered name is the variant.
pub(super) struct InterfaceAccess<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    variant: &'de str,
}

impl<'a, 'de> InterfaceAccess<'a, 'de> {
    pub(super) fn new(value: &'a mut ValueDeserializer<'de>, variant: &'de str) -> Self {
        Self { value, variant }
    }
}

impl<'de> EnumAccess<'de> for InterfaceAccess<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant: StrDeserializer<'_, Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for InterfaceAccess<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        Err(self.value.mismatch("nothing behind the name"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.value.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_map(StructAccess::of_names(self.value, self.variant, names)?)
    }
}
