//! From what was asked for to definitions, in Go's order and with Go's names.
//!
//! Go has types that have names, and types that have none and are the same wherever their text is
//! the same, such as `[]int`. Structs and enums have names. Options and newtypes are what is inside
//! them. All others have none, and so a `Vec<i64>`, a `BTreeSet<i64>` and a `Vec<Option<i64>>` are
//! one type. Its definition has the name that the first place calls for, in the order in which Go
//! comes to them (`newTypeObject` in its `type.go`): the whole text for a field of a struct, and
//! none for the others.

use std::collections::{HashMap, VecDeque};

use super::graph::{Form, Graph, Node, Place, Shape, WAY_OUT};
use crate::error::{Error, Result};
use crate::kinds::{Definition, Definitions, Field, Kind, Marshaler};

/// The definitions of a graph in which all is known, and the kind that it begins with.
///
/// # Errors
///
/// `Unsupported` if a type in it has no form in gob.
pub(super) fn lower(graph: &Graph) -> Result<(Definitions, Kind)> {
    let mut lowering = Lowering {
        graph,
        definitions: Definitions::default(),
        kinds: HashMap::new(),
        choices: VecDeque::new(),
    };
    let root = lowering.kind(Shape::Node(0), false)?;
    // What an interface can hold is no part of its type, so it comes last.
    while let Some((choice, node)) = lowering.choices.pop_front() {
        lowering.define_choice(choice, node)?;
    }
    Ok((lowering.definitions, root))
}

struct Lowering<'g> {
    graph: &'g Graph,
    definitions: Definitions,
    // By their texts, with numbers for names.
    kinds: HashMap<String, Kind>,
    choices: VecDeque<(Kind, &'g Node)>,
}

impl<'g> Lowering<'g> {
    /// The kind of what has this shape, which is a field of a struct or something else.
    fn kind(&mut self, shape: Shape, is_field: bool) -> Result<Kind> {
        let shape = self.content(shape, true)?;
        let (number, node) = match shape {
            Shape::Basic(kind, _) => return Ok(kind),
            Shape::Node(number) => (number, self.node(number)?),
            Shape::Opaque(by, name) => return self.opaque(shape, by, name),
            Shape::Nothing | Shape::Alias => return Err(unknown()),
        };
        if let Some(kind) = self.kind_without_definition(number, node)? {
            return Ok(kind);
        }
        let text = self.text(shape, true)?;
        if let Some(kind) = self.kinds.get(&text) {
            return Ok(*kind);
        }
        // Known before its parts, since they may contain it.
        let declared = self.definitions.add(Definition::Missing);
        self.kinds.insert(text, declared);
        if node.key.form == Form::Enum {
            self.choices.push_back((declared, node));
            return Ok(declared);
        }
        let name = if is_field { self.text(shape, false)?.into() } else { "".into() };
        let definition = match node.key.form {
            Form::Struct => self.structure(number, node)?,
            Form::Map => {
                let key = self.kind(self.part(number, 0)?, false)?;
                let value = self.kind(self.part(number, 1)?, false)?;
                Definition::Map { name, key, value }
            }
            Form::Tuple => {
                self.check_tuple(number, node)?;
                let element = self.kind(self.part(number, 0)?, false)?;
                Definition::Array { name, element, len: node.key.len }
            }
            Form::Sequence | Form::Newtype | Form::Option | Form::Enum => {
                Definition::Slice { name, element: self.kind(self.part(number, 0)?, false)? }
            }
        };
        self.definitions.define(declared, definition);
        Ok(declared)
    }

    fn opaque(&mut self, shape: Shape, by: Marshaler, name: &str) -> Result<Kind> {
        let text = self.text(shape, true)?;
        let definition = Definition::Opaque { name: name.into(), by };
        Ok(*self.kinds.entry(text).or_insert_with(|| self.definitions.add(definition)))
    }

    fn kind_without_definition(&self, number: usize, node: &Node) -> Result<Option<Kind>> {
        match node.key.form {
            Form::Sequence if self.is_bytes(number)? => Ok(Some(Kind::Bytes)),
            Form::Enum => {
                let is_nothing = |part: &&Option<Shape>| **part == Some(Shape::Nothing);
                match node.parts.iter().filter(is_nothing).count() {
                    0 => Ok(None),
                    count if count == node.parts.len() => Ok(Some(Kind::String)),
                    _ => Err(refuse(node, "has variants with and without content", VARIANTS)),
                }
            }
            _ => Ok(None),
        }
    }

    fn structure(&mut self, number: usize, node: &Node) -> Result<Definition> {
        let mut fields = Vec::new();
        for (part, name) in node.key.names.iter().enumerate() {
            let shape = self.part(number, part)?;
            if shape != Shape::Alias {
                fields.push(Field { name: (*name).into(), kind: self.kind(shape, true)? });
            }
        }
        Ok(Definition::Struct { name: short(node.key.name).into(), fields: fields.into() })
    }

    fn define_choice(&mut self, declared: Kind, node: &Node) -> Result<()> {
        let mut variants = Vec::new();
        for (name, part) in node.key.names.iter().zip(&node.parts) {
            let shape = self.content(part.unwrap_or(Shape::Nothing), true)?;
            if self.is_interface(shape)? {
                let why = format!("has a variant {name} that holds an enum or any value itself");
                return Err(refuse(node, &why, "put it into a field of the variant"));
            }
            let kind = self.kind(shape, false)?;
            variants.push(Field { name: (*name).into(), kind });
        }
        self.definitions.define(declared, Definition::Choice { variants: variants.into() });
        Ok(())
    }

    /// Whether it is an interface, which cannot be what another one holds.
    fn is_interface(&self, shape: Shape) -> Result<bool> {
        Ok(match shape {
            Shape::Node(number) => {
                let node = self.node(number)?;
                node.key.form == Form::Enum && self.kind_without_definition(number, node)?.is_none()
            }
            Shape::Basic(kind, _) => kind == Kind::Interface,
            Shape::Opaque(..) | Shape::Nothing | Shape::Alias => false,
        })
    }

    fn check_tuple(&self, number: usize, node: &Node) -> Result<()> {
        let Some(first) = self.graph.part(Place { node: number, part: 0 }) else {
            return Err(refuse(node, "is a tuple or array without elements", "leave it out"));
        };
        let text = self.text(first, true)?;
        for shape in node.parts.iter().flatten().filter(|shape| **shape != first) {
            if self.text(*shape, true)? != text {
                return Err(refuse(node, "is a tuple of more than one type", "use a struct"));
            }
        }
        Ok(())
    }

    /// What is inside newtypes, and inside options if wanted.
    fn content(&self, mut shape: Shape, options: bool) -> Result<Shape> {
        let mut seen = Vec::new();
        while let Shape::Node(number) = shape {
            let node = self.node(number)?;
            match node.key.form {
                Form::Newtype => {}
                Form::Option if options => {}
                _ => return Ok(shape),
            }
            if seen.contains(&number) {
                return Err(refuse(node, "contains nothing but itself", "use a struct"));
            }
            seen.push(number);
            shape = self.part(number, 0)?;
        }
        Ok(shape)
    }

    /// Whether this sequence is what Go has as `[]byte`.
    fn is_bytes(&self, number: usize) -> Result<bool> {
        let element = self.content(self.part(number, 0)?, false)?;
        Ok(element == Shape::Basic(Kind::Uint, "uint8"))
    }

    /// Go's text for a type; to tell types apart, with numbers instead of names.
    fn text(&self, shape: Shape, numbers: bool) -> Result<String> {
        let mut text = String::new();
        self.put_text(&mut text, shape, numbers, &mut Vec::new())?;
        Ok(text)
    }

    fn put_text(
        &self,
        text: &mut String,
        shape: Shape,
        numbers: bool,
        outer: &mut Vec<usize>,
    ) -> Result<()> {
        let (number, node) = match self.content(shape, true)? {
            Shape::Basic(_, name) => {
                text.push_str(name);
                return Ok(());
            }
            Shape::Opaque(by, name) if numbers => {
                text.push_str(&format!("{by:?}:{name}"));
                return Ok(());
            }
            Shape::Opaque(_, name) => {
                text.push_str(short(name));
                return Ok(());
            }
            Shape::Node(number) => (number, self.node(number)?),
            Shape::Nothing | Shape::Alias => return Ok(()),
        };
        let has_name = matches!(node.key.form, Form::Struct | Form::Enum);
        // One without a name that contains itself, such as `struct Tree(Vec<Tree>)`.
        if has_name || outer.contains(&number) {
            match numbers {
                true => text.push_str(&format!("#{number}")),
                false => text.push_str(short(node.key.name)),
            }
            return Ok(());
        }
        outer.push(number);
        match node.key.form {
            Form::Tuple => text.push_str(&format!("[{}]", node.key.len)),
            Form::Map => {
                text.push_str("map[");
                self.put_text(text, self.part(number, 0)?, numbers, outer)?;
                text.push(']');
            }
            _ => text.push_str("[]"),
        }
        let last = if node.key.form == Form::Map { 1 } else { 0 };
        if let Some(element) = self.graph.part(Place { node: number, part: last }) {
            self.put_text(text, element, numbers, outer)?;
        }
        outer.pop();
        Ok(())
    }

    fn node(&self, number: usize) -> Result<&'g Node> {
        self.graph.node(number).ok_or_else(unknown)
    }

    fn part(&self, node: usize, part: usize) -> Result<Shape> {
        self.graph.part(Place { node, part }).ok_or_else(unknown)
    }
}

/// What to do about an enum that cannot be.
const VARIANTS: &str = "give all its variants none, or all of them, such as a struct of their own";

#[cold]
fn refuse(node: &Node, why: &str, way_out: &str) -> Error {
    Error::unsupported(format!("`{}` {why}: {way_out}", node.key.of))
}

/// Not before tracing has ended.
#[cold]
fn unknown() -> Error {
    Error::unsupported(format!("a type of which a part is not known: {WAY_OUT}"))
}

/// A name without the package in front of it.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
