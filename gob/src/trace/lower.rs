//! From what was asked for to definitions, in Go's order and with Go's names.
//!
//! Go has types that have names, and types that have none and are the same wherever their text is
//! the same, such as `[]int`. Structs and enums have names. Options and newtypes are what is inside
//! them. All others have none, and so a `Vec<i64>`, a `BTreeSet<i64>` and a `Vec<Option<i64>>` are
//! one type. Its definition has the name that the first place calls for, in the order in which Go
//! comes to them (`newTypeObject` in its `type.go`): the whole text for a field of a struct, and
//! none for the others.

use std::collections::{HashMap, VecDeque};

use switchboard_shape::{Content, Field as ShapeField, Id, Primitive, Shape, Type, Variant};

use super::unknown::WAY_OUT;
use crate::error::{Error, Result};
use crate::kinds::{Definition, Definitions, Field, Kind, Marshaler};
use crate::special;

/// The definitions of a shape in which all is known, and the kind that it begins with.
///
/// # Errors
///
/// `Unsupported` if a type in it has no form in gob.
pub(super) fn lower(shape: &Shape) -> Result<(Definitions, Kind)> {
    let mut lowering = Lowering {
        shape,
        definitions: Definitions::default(),
        kinds: HashMap::new(),
        choices: VecDeque::new(),
    };
    let root = lowering.kind(shape.root(), false)?;
    // What an interface can hold is no part of its type, so it comes last.
    while let Some((choice, variants)) = lowering.choices.pop_front() {
        lowering.define_choice(choice, variants)?;
    }
    Ok((lowering.definitions, root))
}

struct Lowering<'s> {
    shape: &'s Shape,
    definitions: Definitions,
    // By their texts, with numbers for names.
    kinds: HashMap<String, Kind>,
    choices: VecDeque<(Kind, (Id, &'s [Variant]))>,
}

impl<'s> Lowering<'s> {
    /// The kind of a type, which is that of a field of a struct or of something else.
    fn kind(&mut self, id: Id, is_field: bool) -> Result<Kind> {
        let id = self.content(id, true)?;
        let of = self.of(id)?;
        if let Some(kind) = self.kind_without_definition(id, of)? {
            return Ok(kind);
        }
        let text = self.text(id, true)?;
        if let Some(kind) = self.kinds.get(&text) {
            return Ok(*kind);
        }
        // Known before its parts, since they may contain it.
        let declared = self.definitions.add(Definition::Missing);
        self.kinds.insert(text, declared);
        if let Type::Enum { variants, .. } = of {
            self.choices.push_back((declared, (id, variants)));
            return Ok(declared);
        }
        let name = if is_field { self.text(id, false)?.into() } else { "".into() };
        let definition = match of {
            Type::Unit { name } => {
                Definition::Struct { name: short(name).into(), fields: Box::default() }
            }
            Type::Struct { name, fields, .. } => self.structure(name, fields)?,
            Type::Newtype { name, .. } => self.opaque(name)?,
            Type::Map { key, value } => {
                let key = self.kind(*key, false)?;
                let value = self.kind(*value, false)?;
                Definition::Map { name, key, value }
            }
            Type::Tuple { elements, .. } => {
                let element = self.element(id, elements)?;
                let element = self.kind(element, false)?;
                Definition::Array { name, element, len: elements.len() }
            }
            Type::Sequence { element } => {
                Definition::Slice { name, element: self.kind(*element, false)? }
            }
            _ => return Err(unknown()),
        };
        self.definitions.define(declared, definition);
        Ok(declared)
    }

    fn opaque(&self, name: &str) -> Result<Definition> {
        let (by, name) = special::opaque(name).ok_or_else(unknown)?;
        Ok(Definition::Opaque { name: name.into(), by })
    }

    fn kind_without_definition(&self, id: Id, of: &Type) -> Result<Option<Kind>> {
        match of {
            Type::Primitive(primitive) => {
                basic(*primitive).map(|(kind, _)| Some(kind)).ok_or_else(unknown)
            }
            Type::Newtype { name, .. } if name == special::COMPLEX => Ok(Some(Kind::Complex)),
            Type::Enum { name, .. } if name == special::VALUE => Ok(Some(Kind::Interface)),
            Type::Sequence { element } if self.is_byte(*element)? => Ok(Some(Kind::Bytes)),
            Type::Enum { variants, .. } if variants.is_empty() => {
                Err(self.refuse(id, "is an enum without variants", "leave it out"))
            }
            Type::Enum { variants, .. } => {
                let is_unit = |variant: &&Variant| variant.content == Content::Unit;
                match variants.iter().filter(is_unit).count() {
                    0 => Ok(None),
                    count if count == variants.len() => Ok(Some(Kind::String)),
                    _ => Err(self.refuse(id, "has variants with and without content", VARIANTS)),
                }
            }
            _ => Ok(None),
        }
    }

    fn structure(&mut self, name: &str, fields: &[ShapeField]) -> Result<Definition> {
        let mut defined = Vec::new();
        for field in fields {
            defined.push(Field { name: (*field.name).into(), kind: self.kind(field.id, true)? });
        }
        Ok(Definition::Struct { name: short(name).into(), fields: defined.into() })
    }

    fn define_choice(&mut self, declared: Kind, (of, variants): (Id, &[Variant])) -> Result<()> {
        let mut defined = Vec::new();
        for Variant { name, content, .. } in variants {
            let id = self.content(content.id().ok_or_else(unknown)?, true)?;
            if self.is_interface(id)? {
                let why = format!("has a variant {name} that holds an enum or any value itself");
                return Err(self.refuse(of, &why, "put it into a field of the variant"));
            }
            defined.push(Field { name: (**name).into(), kind: self.kind(id, false)? });
        }
        self.definitions.define(declared, Definition::Choice { variants: defined.into() });
        Ok(())
    }

    /// Whether it is an interface, which cannot be what another one holds.
    fn is_interface(&self, id: Id) -> Result<bool> {
        let of = self.of(id)?;
        let kind = self.kind_without_definition(id, of)?;
        let is_enum = matches!(of, Type::Enum { .. });
        Ok(kind == Some(Kind::Interface) || (is_enum && kind.is_none()))
    }

    /// What a tuple has as all of its elements.
    fn element(&self, tuple: Id, elements: &[Id]) -> Result<Id> {
        let Some(first) = elements.first() else {
            let why = "is a tuple or array without elements";
            return Err(self.refuse(tuple, why, "leave it out"));
        };
        let text = self.text(*first, true)?;
        for element in elements.iter().filter(|element| *element != first) {
            if self.text(*element, true)? != text {
                return Err(self.refuse(tuple, "is a tuple of more than one type", "use a struct"));
            }
        }
        Ok(*first)
    }

    /// What is inside newtypes, and inside options if wanted.
    fn content(&self, mut id: Id, options: bool) -> Result<Id> {
        let mut seen = Vec::new();
        loop {
            let inside = match self.of(id)? {
                Type::Newtype { name, .. } if is_special(name) => return Ok(id),
                Type::Newtype { content, .. } => *content,
                Type::Option { content } if options => *content,
                _ => return Ok(id),
            };
            if seen.contains(&id) {
                return Err(self.refuse(id, "contains nothing but itself", "use a struct"));
            }
            seen.push(id);
            id = inside;
        }
    }

    /// Whether a sequence of this is what Go has as `[]byte`.
    fn is_byte(&self, element: Id) -> Result<bool> {
        let element = self.of(self.content(element, false)?)?;
        Ok(*element == Type::Primitive(Primitive::U8))
    }

    /// Go's text for a type; to tell types apart, with numbers instead of names.
    fn text(&self, id: Id, numbers: bool) -> Result<String> {
        let mut text = String::new();
        self.put_text(&mut text, id, numbers, &mut Vec::new())?;
        Ok(text)
    }

    fn put_text(
        &self,
        text: &mut String,
        id: Id,
        numbers: bool,
        outer: &mut Vec<Id>,
    ) -> Result<()> {
        let id = self.content(id, true)?;
        let of = self.of(id)?;
        let name = match of {
            Type::Primitive(primitive) => basic(*primitive).map(|(_, name)| name.to_owned()),
            Type::Enum { name, .. } if name == special::VALUE => Some("interface {}".to_owned()),
            Type::Newtype { name, .. } => Some(special_text(name, numbers)),
            // One without a name that contains itself, such as `struct Tree(Vec<Tree>)`.
            _ if numbers && (has_name(of) || outer.contains(&id)) => Some(format!("#{id:?}")),
            Type::Unit { name } | Type::Struct { name, .. } | Type::Enum { name, .. } => {
                Some(short(name).to_owned())
            }
            Type::Tuple { name, .. } if outer.contains(&id) => Some(short(name).to_owned()),
            _ if outer.contains(&id) => Some(String::new()),
            _ => None,
        };
        if let Some(name) = name {
            text.push_str(&name);
            return Ok(());
        }
        outer.push(id);
        let element = match of {
            Type::Tuple { elements, .. } => {
                text.push_str(&format!("[{}]", elements.len()));
                elements.first()
            }
            Type::Map { key, value } => {
                text.push_str("map[");
                self.put_text(text, *key, numbers, outer)?;
                text.push(']');
                Some(value)
            }
            Type::Sequence { element } => {
                text.push_str("[]");
                Some(element)
            }
            _ => None,
        };
        if let Some(element) = element {
            self.put_text(text, *element, numbers, outer)?;
        }
        outer.pop();
        Ok(())
    }

    fn of(&self, id: Id) -> Result<&'s Type> {
        self.shape.get(id).ok_or_else(unknown)
    }

    #[cold]
    fn refuse(&self, id: Id, why: &str, way_out: &str) -> Error {
        Error::unsupported(format!("`{}` {why}: {way_out}", self.shape.rust_name(id)))
    }
}

/// One of gob's own types, with its name in Go.
fn basic(primitive: Primitive) -> Option<(Kind, &'static str)> {
    Some(match primitive {
        Primitive::Bool => (Kind::Bool, "bool"),
        Primitive::I8 => (Kind::Int, "int8"),
        Primitive::I16 => (Kind::Int, "int16"),
        Primitive::I32 | Primitive::Char => (Kind::Int, "int32"),
        Primitive::I64 => (Kind::Int, "int"),
        Primitive::U8 => (Kind::Uint, "uint8"),
        Primitive::U16 => (Kind::Uint, "uint16"),
        Primitive::U32 => (Kind::Uint, "uint32"),
        Primitive::U64 => (Kind::Uint, "uint"),
        Primitive::F32 => (Kind::Float, "float32"),
        Primitive::F64 => (Kind::Float, "float64"),
        Primitive::String => (Kind::String, "string"),
        Primitive::Bytes => (Kind::Bytes, "[]uint8"),
        _ => return None,
    })
}

fn has_name(of: &Type) -> bool {
    matches!(of, Type::Unit { .. } | Type::Struct { .. } | Type::Enum { .. })
}

/// Whether a newtype is one of this crate's own.
fn is_special(name: &str) -> bool {
    name == special::COMPLEX || special::opaque(name).is_some()
}

fn special_text(name: &str, numbers: bool) -> String {
    match special::opaque(name) {
        Some((by, name)) if numbers => opaque_text(by, name),
        Some((_, name)) => short(name).to_owned(),
        None => "complex128".to_owned(),
    }
}

fn opaque_text(by: Marshaler, name: &str) -> String {
    format!("{by:?}:{name}")
}

/// What to do about an enum that cannot be.
const VARIANTS: &str = "give all its variants none, or all of them, such as a struct of their own";

/// Not of what `unknown` has let pass.
#[cold]
fn unknown() -> Error {
    Error::unsupported(format!("a type of which a part is not known: {WAY_OUT}"))
}

/// A name without the package in front of it.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
