//! A value for [`Value`](crate::Value): each comes with the number of its variant.

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer, U64Deserializer};
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, SeqAccess, VariantAccess, Visitor};

use super::access::{ElementAccess, EntryAccess, StructAccess};
use super::deserializer::ValueDeserializer;
use crate::error::{Error, Result};
use crate::kinds::{Definition, Kind, Type};
use crate::value::Variant;

/// A value, to be asked for its variant.
pub(super) struct DynamicAccess<'a, 'de>(pub(super) &'a mut ValueDeserializer<'de>);

/// A value whose variant has been told.
pub(super) struct DynamicContent<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    // Of an interface.
    name: &'de str,
}

impl<'a, 'de> EnumAccess<'de> for DynamicAccess<'a, 'de> {
    type Error = Error;
    type Variant = DynamicContent<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant)> {
        let value = self.0;
        let mut name = "";
        let is_left_out = value.left_out_depth > 0;
        let variant = match value.kind {
            Kind::Bool => Variant::Bool,
            Kind::Int => Variant::Int,
            Kind::Uint => Variant::Uint,
            Kind::Float => Variant::Float,
            Kind::Complex => Variant::Complex,
            Kind::Bytes => Variant::Bytes,
            Kind::String => {
                let mut ahead = value.reader;
                let is_text = std::str::from_utf8(ahead.bytes()?).is_ok();
                if is_text { Variant::String } else { Variant::Bytes }
            }
            Kind::Interface => match value.enter_interface()? {
                Some(found) => {
                    name = found;
                    Variant::Interface
                }
                None => Variant::Nil,
            },
            Kind::Defined(number) => match value.types.definition(number) {
                // Behind a nil pointer.
                Definition::Array { .. } | Definition::Struct { .. } if is_left_out => Variant::Nil,
                Definition::Array { .. } => Variant::Array,
                Definition::Slice { .. } => Variant::Slice,
                Definition::Map { .. } => Variant::Map,
                Definition::Struct { .. } => Variant::Struct,
                Definition::Opaque { .. } => {
                    value.kind = Kind::Bytes;
                    Variant::Opaque
                }
                Definition::Choice { .. } | Definition::Missing => {
                    return Err(value.mismatch("a value"));
                }
            },
        };
        let number: U32Deserializer<Error> = (variant as u32).into_deserializer();
        Ok((seed.deserialize(number)?, DynamicContent { value, name }))
    }
}

impl<'de> VariantAccess<'de> for DynamicContent<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    /// What serde has a word for.
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.value)
    }

    /// The elements of an array or a slice, or the three parts of an interface.
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        let Self { value, name } = self;
        if !name.is_empty() {
            return visitor.visit_seq(InterfaceParts { value, name, next: 0 });
        }
        let Kind::Defined(number) = value.kind else {
            return Err(value.mismatch("elements"));
        };
        match value.types.definition(number) {
            Definition::Array { element, .. } | Definition::Slice { element, .. } => {
                visitor.visit_seq(ElementAccess::of_sent(value, *element)?)
            }
            _ => Err(value.mismatch("elements")),
        }
    }

    /// The entries of a map, or the fields that were sent of a struct.
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let value = self.value;
        let Kind::Defined(number) = value.kind else {
            return Err(value.mismatch("entries"));
        };
        match value.types.definition(number) {
            Definition::Map { key, value: element, .. } => {
                visitor.visit_map(EntryAccess::new(value, *key, *element)?)
            }
            Definition::Struct { fields, .. } => {
                visitor.visit_map(StructAccess::of_sent(value, fields)?)
            }
            _ => Err(value.mismatch("entries")),
        }
    }
}

/// The registered name, the type and the value in an interface.
struct InterfaceParts<'a, 'de> {
    value: &'a mut ValueDeserializer<'de>,
    name: &'de str,
    next: u8,
}

impl<'de> SeqAccess<'de> for InterfaceParts<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.next = self.next.saturating_add(1);
        match self.next {
            1 => {
                let name: BorrowedStrDeserializer<'_, Error> =
                    BorrowedStrDeserializer::new(self.name);
                seed.deserialize(name).map(Some)
            }
            2 => {
                let number: U64Deserializer<Error> =
                    Type(self.value.kind).number().into_deserializer();
                seed.deserialize(number).map(Some)
            }
            3 => seed.deserialize(&mut *self.value).map(Some),
            _ => Ok(None),
        }
    }
}
