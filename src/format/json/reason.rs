//! What is wrong with a JSON text, in words of our own.
//!
//! Those of `serde_json` quote the payload, and what a type says of itself may do so as well: they
//! go to the log. A peer is told where, by the names of fields and variants that stand in the type,
//! and what is expected there. Both are known from the type's shape, so nothing of the payload can
//! get into the words: the keys of maps, values, and fields that the type does not know.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use switchboard_shape::{Field, Id, Primitive, Shape, Type, Variant};

use super::location::{Location, Step, keys, locate};

/// Where a text is not what a type of this shape reads, and what is expected there, as far as that
/// can be said: `.items[3].name: expected a string`.
pub(super) fn reason(shape: &Shape, text: &[u8], read_bytes: usize) -> String {
    let Some(location) = locate(text, read_bytes) else { return UNEXPECTED.to_owned() };
    let mut walk = Walk { shape, path: String::new(), at: Some(shape.root()) };
    for step in &location.steps {
        walk.go(*step);
    }
    let what = walk.content().map_or_else(|| UNEXPECTED.to_owned(), |of| expected(of, &location));
    if walk.path.is_empty() { what } else { format!("{}: {what}", walk.path) }
}

/// The way into a shape, as far as it is known.
struct Walk<'s> {
    shape: &'s Shape,
    path: String,
    at: Option<Id>,
}

impl<'s> Walk<'s> {
    /// What is there, without what JSON does not show.
    fn content(&self) -> Option<&'s Type> {
        let mut at = self.at?;
        for _ in self.shape.ids() {
            match self.shape.get(at)? {
                Type::Newtype { content, .. } | Type::Option { content } => at = *content,
                of => return Some(of),
            }
        }
        None
    }

    fn go(&mut self, step: Step<'_>) {
        let Some(of) = self.content() else { return };
        self.at = match (of, step) {
            (Type::Struct { fields, .. }, Step::Key(key)) => {
                fields.iter().find(|field| is_of(field, key)).map(|field| self.go_to_field(field))
            }
            // Derived types take their fields in a list as well.
            (Type::Struct { fields, .. }, Step::Index(index)) => {
                fields.get(index).map(|field| self.go_to_field(field))
            }
            (Type::Enum { variants, .. }, Step::Key(key)) => {
                let variant = variants.iter().find(|variant| variant.name.as_bytes() == key);
                variant.and_then(|variant| self.go_to_variant(variant))
            }
            (Type::Map { value, .. }, Step::Key(_)) => {
                self.path.push_str("[]");
                Some(*value)
            }
            (Type::Sequence { element }, Step::Index(index)) => self.go_to_element(index, *element),
            (Type::Tuple { elements, .. }, Step::Index(index)) => {
                elements.get(index).and_then(|element| self.go_to_element(index, *element))
            }
            _ => None,
        };
    }

    fn go_to_field(&mut self, field: &Field) -> Id {
        self.path.push('.');
        self.path.push_str(&field.name);
        field.id
    }

    fn go_to_variant(&mut self, variant: &Variant) -> Option<Id> {
        self.path.push_str("::");
        self.path.push_str(&variant.name);
        variant.content.id()
    }

    fn go_to_element(&mut self, index: usize, element: Id) -> Option<Id> {
        // Writing to a string does not fail.
        let _ = write!(self.path, "[{index}]");
        Some(element)
    }
}

fn is_of(field: &Field, key: &[u8]) -> bool {
    let names = std::iter::once(&field.name).chain(&field.aliases);
    names.into_iter().any(|name| name.as_bytes() == key)
}

/// What a type expects in the place of what is there.
fn expected(of: &Type, location: &Location<'_>) -> String {
    match of {
        Type::Struct { fields, is_open, .. } if location.value.starts_with(b"{") => {
            wrong_field(fields, *is_open, location)
        }
        Type::Primitive(primitive) => format!("expected {}", words(*primitive)),
        Type::Unit { .. } => "expected null".to_owned(),
        Type::Sequence { .. } => "expected a list".to_owned(),
        Type::Tuple { elements, .. } => format!("expected a list of {}", elements.len()),
        Type::Map { .. } | Type::Struct { .. } => "expected an object".to_owned(),
        Type::Enum { variants, .. } => {
            let names = variants.iter().map(|variant| &*variant.name);
            format!("expected {}", one_of(names, "a variant"))
        }
        _ => UNEXPECTED.to_owned(),
    }
}

fn wrong_field(fields: &[Field], is_open: bool, location: &Location<'_>) -> String {
    let mut numbers = HashMap::new();
    for (number, field) in fields.iter().enumerate() {
        let names = std::iter::once(&field.name).chain(&field.aliases);
        numbers.extend(names.map(|name| (name.as_bytes(), number)));
    }
    let mut seen = HashSet::new();
    for (key, is_last) in keys(location) {
        let Some(number) = numbers.get(key) else {
            if is_last && !is_open {
                let names = one_of(fields.iter().map(|field| &*field.name), "no field");
                return format!("expected {names}");
            }
            continue;
        };
        let is_new = seen.insert(*number);
        if let (true, false, Some(field)) = (is_last, is_new, fields.get(*number)) {
            return format!("field {:?} comes twice", field.name);
        }
    }
    let mut left = fields.iter().enumerate().filter(|(number, _)| !seen.contains(number));
    match left.find(|(_, field)| !field.is_optional) {
        Some((_, field)) => format!("missing field {:?}", field.name),
        None => UNEXPECTED.to_owned(),
    }
}

fn one_of(names: impl Iterator<Item = impl std::fmt::Debug>, otherwise: &str) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    match names.as_slice() {
        [] => otherwise.to_owned(),
        [name] => name.clone(),
        // A text for a peer may not be as long as it likes.
        names if names.len() <= NAMES_MAX => format!("one of {}", names.join(", ")),
        names => {
            let (told, left) = names.split_at_checked(NAMES_MAX).unwrap_or((names, &[]));
            format!("one of {} and {} more", told.join(", "), left.len())
        }
    }
}

fn words(primitive: Primitive) -> String {
    let range: (i128, u64) = match primitive {
        Primitive::I8 => (i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        Primitive::I16 => (i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        Primitive::I32 => (i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        Primitive::I64 => (i64::MIN.into(), i64::MAX.unsigned_abs()),
        Primitive::U8 => (0, u8::MAX.into()),
        Primitive::U16 => (0, u16::MAX.into()),
        Primitive::U32 => (0, u32::MAX.into()),
        Primitive::U64 => (0, u64::MAX),
        Primitive::I128 => return "a whole number of 128 bits".to_owned(),
        Primitive::U128 => return "a whole number of 128 bits, not below 0".to_owned(),
        Primitive::Bool => return "true or false".to_owned(),
        Primitive::F32 | Primitive::F64 => return "a number".to_owned(),
        Primitive::Char => return "a string of one character".to_owned(),
        Primitive::String => return "a string".to_owned(),
        Primitive::Bytes => return "a list of bytes".to_owned(),
        _ => return "another value".to_owned(),
    };
    format!("a whole number from {} to {}", range.0, range.1)
}

/// All that can be said of a type that is not known, or that has a rule of its own.
pub(super) const UNEXPECTED: &str = "not the expected data";

/// Names that are told to a peer.
const NAMES_MAX: usize = 8;
