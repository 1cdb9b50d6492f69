//! The text of a schema.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::plan::plan;
use crate::types::{Content, Field, Id, Primitive, Type, Types, Variant, without_pointers};

/// The whole schema. What was put in stands in `put`, by names of Rust types.
pub(super) fn print(types: &Types, put: &HashMap<&'static str, String>) -> String {
    let printer = Printer { types, put, names: plan(types, put) };
    let root = printer.schema(types.root());
    let inside = root.strip_prefix('{').and_then(|root| root.strip_suffix('}'));
    let mut parts = vec![format!("\"$schema\":{}", quoted(DIALECT))];
    parts.extend(inside.filter(|inside| !inside.is_empty()).map(str::to_owned));
    let definitions = printer.names.iter().map(|(id, name)| {
        let of = printer.put_for(*id).unwrap_or_else(|| printer.body(*id));
        format!("{}:{of}", quoted(name))
    });
    let definitions: Vec<_> = definitions.collect();
    if !definitions.is_empty() {
        parts.push(format!("\"$defs\":{{{}}}", definitions.join(",")));
    }
    format!("{{{}}}", parts.join(","))
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

const STRING: &str = r#"{"type":"string"}"#;
const CHAR: &str = r#"{"type":"string","minLength":1,"maxLength":1}"#;

struct Printer<'t> {
    types: &'t Types,
    put: &'t HashMap<&'static str, String>,
    names: BTreeMap<Id, String>,
}

impl Printer<'_> {
    /// A type where it is used.
    fn schema(&self, id: Id) -> String {
        match self.names.get(&id) {
            Some(name) => format!("{{\"$ref\":{}}}", quoted(&format!("#/$defs/{name}"))),
            None => self.body(id),
        }
    }

    fn put_for(&self, id: Id) -> Option<String> {
        self.put.get(without_pointers(self.types.rust_name(id))).cloned()
    }

    /// A type where it is defined.
    fn body(&self, id: Id) -> String {
        match self.types.of(id) {
            Some(Type::Primitive(primitive)) => self::primitive(*primitive),
            Some(Type::Unit { .. }) => r#"{"type":"null"}"#.to_owned(),
            Some(Type::Newtype { content, .. }) => self.schema(*content),
            Some(Type::Option { content }) => {
                format!(r#"{{"anyOf":[{},{{"type":"null"}}]}}"#, self.schema(*content))
            }
            Some(Type::Sequence { element }) => {
                format!(r#"{{"type":"array","items":{}}}"#, self.schema(*element))
            }
            Some(Type::Map { key, value }) => {
                let names = self.key(*key).map(|key| format!(r#""propertyNames":{key},"#));
                let (names, value) = (names.unwrap_or_default(), self.schema(*value));
                format!(r#"{{"type":"object",{names}"additionalProperties":{value}}}"#)
            }
            Some(Type::Tuple { elements, .. }) => self.tuple(elements),
            Some(Type::Struct { fields, is_open, .. }) => self.structure(fields, *is_open),
            Some(Type::Enum { variants, is_open, .. }) => self.choice(variants, *is_open),
            Some(Type::Unknown { reason, .. }) => format!("{{\"$comment\":{}}}", quoted(reason)),
            None => "{}".to_owned(),
        }
    }

    fn tuple(&self, elements: &[Id]) -> String {
        let len = elements.len();
        match elements {
            [] => r#"{"type":"array","maxItems":0}"#.to_owned(),
            [first, rest @ ..] if rest.iter().all(|element| element == first) => {
                let items = self.schema(*first);
                format!(r#"{{"type":"array","items":{items},"minItems":{len},"maxItems":{len}}}"#)
            }
            _ => {
                let items: Vec<_> = elements.iter().map(|element| self.schema(*element)).collect();
                let items = items.join(",");
                format!(
                    r#"{{"type":"array","prefixItems":[{items}],"items":false,"minItems":{len}}}"#
                )
            }
        }
    }

    fn structure(&self, fields: &[Field], is_open: bool) -> String {
        let mut properties = Vec::new();
        let (mut required, mut conditions) = (Vec::new(), Vec::new());
        for field in fields {
            let schema = self.schema(field.id);
            let names =
                std::iter::once(&*field.name).chain(field.aliases.iter().map(|alias| &**alias));
            properties.extend(names.clone().map(|name| format!("{}:{schema}", quoted(name))));
            let is_there = |name| format!(r#"{{"required":[{}]}}"#, quoted(name));
            let mut cases: Vec<_> = names.map(is_there).collect();
            match (field.aliases.is_empty(), field.is_optional) {
                (true, true) => continue,
                (true, false) => {
                    required.push(quoted(&field.name));
                    continue;
                }
                (false, true) => {
                    cases.push(format!(r#"{{"not":{{"anyOf":[{}]}}}}"#, cases.join(",")))
                }
                (false, false) => {}
            }
            conditions.push(format!(r#"{{"oneOf":[{}]}}"#, cases.join(",")));
        }
        let mut text = r#"{"type":"object""#.to_owned();
        let lists = [
            ("properties", '{', properties, '}'),
            ("required", '[', required, ']'),
            ("allOf", '[', conditions, ']'),
        ];
        for (key, start, list, end) in lists.into_iter().filter(|(_, _, list, _)| !list.is_empty())
        {
            let _ = write!(text, ",\"{key}\":{start}{}{end}", list.join(","));
        }
        if !is_open {
            text.push_str(r#","additionalProperties":false"#);
        }
        text + "}"
    }

    fn choice(&self, variants: &[Variant], is_open: bool) -> String {
        let mut cases = Vec::new();
        if is_open {
            cases.push(STRING.to_owned());
        } else {
            cases.extend(units(variants));
        }
        for variant in variants {
            if let Some(id) = variant.content.id() {
                let (name, schema) = (quoted(&variant.name), self.schema(id));
                let properties = format!(r#""properties":{{{name}:{schema}}},"required":[{name}]"#);
                cases.push(format!(
                    r#"{{"type":"object",{properties},"additionalProperties":false}}"#
                ));
            }
        }
        match &*cases {
            [] => r#"{"not":{}}"#.to_owned(),
            [case] => case.clone(),
            _ => format!(r#"{{"oneOf":[{}]}}"#, cases.join(",")),
        }
    }

    /// What the names of an object's properties are, if not all texts; whatever a key is, its name
    /// is a text.
    fn key(&self, id: Id) -> Option<String> {
        if self.put_for(id).is_some() {
            return Some(self.schema(id));
        }
        let pattern = |pattern: &str| Some(format!("{{\"pattern\":{}}}", quoted(pattern)));
        match self.types.of(self.types.content(id))? {
            Type::Primitive(primitive) => match primitive {
                Primitive::String | Primitive::Bytes => None,
                Primitive::Bool => Some(r#"{"enum":["true","false"]}"#.to_owned()),
                Primitive::Char => Some(CHAR.to_owned()),
                Primitive::F32 | Primitive::F64 => {
                    pattern(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$")
                }
                _ if range(*primitive).is_some_and(|(least, _)| least == "0") => {
                    pattern("^(0|[1-9][0-9]*)$")
                }
                _ => pattern("^-?(0|[1-9][0-9]*)$"),
            },
            Type::Option { content } => self.key(*content),
            Type::Enum { is_open: true, .. } | Type::Unknown { .. } => None,
            Type::Enum { variants, .. } => {
                Some(units(variants).unwrap_or_else(|| NOTHING.to_owned()))
            }
            _ => Some(NOTHING.to_owned()),
        }
    }
}

const NOTHING: &str = "false";

/// The names of variants without content, if there are any.
fn units(variants: &[Variant]) -> Option<String> {
    let units = variants.iter().filter(|variant| variant.content == Content::Unit);
    let names: Vec<_> = units.map(|variant| quoted(&variant.name)).collect();
    let names = names.join(",");
    (!names.is_empty()).then(|| format!(r#"{{"type":"string","enum":[{names}]}}"#))
}

fn primitive(primitive: Primitive) -> String {
    if let Some((least, most)) = range(primitive) {
        return format!(r#"{{"type":"integer","minimum":{least},"maximum":{most}}}"#);
    }
    match primitive {
        Primitive::Bool => r#"{"type":"boolean"}"#.to_owned(),
        Primitive::Char => CHAR.to_owned(),
        Primitive::String => STRING.to_owned(),
        Primitive::Bytes => {
            let bytes = self::primitive(Primitive::U8);
            format!(r#"{{"anyOf":[{{"type":"array","items":{bytes}}},{STRING}]}}"#)
        }
        _ => r#"{"type":"number"}"#.to_owned(),
    }
}

/// The least and the greatest of an integer type.
fn range(primitive: Primitive) -> Option<(String, String)> {
    macro_rules! range {
        ($($variant:ident $integer:ident,)*) => {
            match primitive {
                $(Primitive::$variant => {
                    Some(($integer::MIN.to_string(), $integer::MAX.to_string()))
                })*
                _ => None,
            }
        };
    }
    range! {
        I8 i8, I16 i16, I32 i32, I64 i64, I128 i128, U8 u8, U16 u16, U32 u32, U64 u64, U128 u128,
    }
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for symbol in text.chars() {
        match symbol {
            '"' | '\\' => quoted.extend(['\\', symbol]),
            '\0'..='\x1f' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(symbol));
            }
            _ => quoted.push(symbol),
        }
    }
    quoted + "\""
}
