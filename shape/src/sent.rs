//! A shape on its way to another program: as lists of words, in any format of serde.
//!
//! One list for each type, in the order of their numbers. Its first word is the kind; what follows
//! are numbers of types, names and marks, always as many as the kind says:
//!
//! ```text
//! u32 .. bytes                                    primitives, by their names
//! unit NAME
//! newtype NAME ID         option ID       sequence ID       map ID ID
//! tuple NAME ID ..
//! struct NAME open|closed then for each field     NAME ID must|may
//! enum NAME open|closed   then for each variant   NAME INDEX unit|newtype|tuple|struct ID
//! unknown text|any REASON
//! ```
//!
//! Aliases stay behind, as they are nobody's business but the reader's, and so do the names of Rust
//! types. What comes in is not trusted: a number leads to a type, and whoever compares walks over
//! each pair of types once.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shape::Shape;
use crate::types::{Content, Field, Id, Primitive, Type, Types, Variant};

/// As lists of words; see the file's head for which.
impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.ids().filter_map(|id| self.get(id)).map(words))
    }
}

/// A shape of another program. It has the same [`fingerprint`](Shape::fingerprint) as there, and
/// the same [`differences`](Shape::differences) but for aliases.
impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lists = Vec::<Vec<String>>::deserialize(deserializer)?;
        if lists.is_empty() {
            return Err(D::Error::custom("a shape has at least one type"));
        }
        let mut types = Types::default();
        for list in lists {
            let of = of_words(list).ok_or_else(|| D::Error::custom("not the words of a type"))?;
            let id = types.declare("");
            types.define(id, of);
        }
        let is_known = |id: &Id| types.of(*id).is_some();
        let parts = types.ids().filter_map(|id| types.of(id)).flat_map(Type::parts);
        if !parts.collect::<Vec<_>>().iter().all(is_known) {
            return Err(D::Error::custom("a number of no type"));
        }
        Ok(Self::new(types))
    }
}

fn words(of: &Type) -> Vec<String> {
    let mut words = Words(Vec::new());
    match of {
        Type::Primitive(primitive) => words.say(primitive.name()),
        Type::Unit { name } => words.say("unit").say(name),
        Type::Newtype { name, content } => words.say("newtype").say(name).number(content.0),
        Type::Option { content } => words.say("option").number(content.0),
        Type::Sequence { element } => words.say("sequence").number(element.0),
        Type::Map { key, value } => words.say("map").number(key.0).number(value.0),
        Type::Tuple { name, elements } => {
            words.say("tuple").say(name);
            elements.iter().fold(&mut words, |words, id| words.number(id.0))
        }
        Type::Struct { name, fields, is_open } => {
            words.say("struct").say(name).say(if *is_open { "open" } else { "closed" });
            fields.iter().fold(&mut words, |words, field| {
                let presence = if field.is_optional { "may" } else { "must" };
                words.say(&field.name).number(field.id.0).say(presence)
            })
        }
        Type::Enum { name, variants, is_open } => {
            words.say("enum").say(name).say(if *is_open { "open" } else { "closed" });
            variants.iter().fold(&mut words, |words, variant| {
                let (kind, id) = match variant.content {
                    Content::Unit => ("unit", Id(0)),
                    Content::Newtype(id) => ("newtype", id),
                    Content::Tuple(id) => ("tuple", id),
                    Content::Struct(id) => ("struct", id),
                };
                words.say(&variant.name).number(variant.index).say(kind).number(id.0)
            })
        }
        Type::Unknown { reason, needs_description } => {
            words.say("unknown").say(if *needs_description { "text" } else { "any" }).say(reason)
        }
    };
    words.0
}

struct Words(Vec<String>);

impl Words {
    fn say(&mut self, word: &str) -> &mut Self {
        self.0.push(word.to_owned());
        self
    }

    fn number(&mut self, number: u32) -> &mut Self {
        self.0.push(number.to_string());
        self
    }
}

/// The type that these words are of.
fn of_words(words: Vec<String>) -> Option<Type> {
    let mut words = words.into_iter();
    let kind = words.next()?;
    let of = match &*kind {
        "unit" => Type::Unit { name: words.next()?.into() },
        "newtype" => Type::Newtype { name: words.next()?.into(), content: id(&words.next()?)? },
        "option" => Type::Option { content: id(&words.next()?)? },
        "sequence" => Type::Sequence { element: id(&words.next()?)? },
        "map" => Type::Map { key: id(&words.next()?)?, value: id(&words.next()?)? },
        "tuple" => {
            let name = words.next()?.into();
            let elements = words.by_ref().map(|word| id(&word)).collect::<Option<_>>()?;
            Type::Tuple { name, elements }
        }
        "struct" => {
            let (name, is_open) = (words.next()?.into(), is_open(&words.next()?)?);
            let mut fields = Vec::new();
            while let Some(name) = words.next() {
                let (id, presence) = (id(&words.next()?)?, words.next()?);
                let is_optional = either(&presence, "may", "must")?;
                fields.push(Field { name: name.into(), aliases: Vec::new(), id, is_optional });
            }
            Type::Struct { name, fields, is_open }
        }
        "enum" => {
            let (name, is_open) = (words.next()?.into(), is_open(&words.next()?)?);
            let mut variants = Vec::new();
            while let Some(name) = words.next() {
                let (index, kind) = (words.next()?.parse().ok()?, words.next()?);
                let content = content(&kind, id(&words.next()?)?)?;
                variants.push(Variant { name: name.into(), index, content });
            }
            Type::Enum { name, variants, is_open }
        }
        "unknown" => {
            let needs_description = either(&words.next()?, "text", "any")?;
            Type::Unknown { reason: words.next()?, needs_description }
        }
        name => Type::Primitive(Primitive::of_name(name)?),
    };
    words.next().is_none().then_some(of)
}

fn id(word: &str) -> Option<Id> {
    word.parse().ok().map(Id)
}

fn is_open(word: &str) -> Option<bool> {
    either(word, "open", "closed")
}

fn either(word: &str, yes: &str, no: &str) -> Option<bool> {
    (word == yes || word == no).then(|| word == yes)
}

fn content(kind: &str, id: Id) -> Option<Content> {
    Some(match kind {
        "unit" => Content::Unit,
        "newtype" => Content::Newtype(id),
        "tuple" => Content::Tuple(id),
        "struct" => Content::Struct(id),
        _ => return None,
    })
}
