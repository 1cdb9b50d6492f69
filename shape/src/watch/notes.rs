//! What was written, in all samples together.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use serde::de::value::Error;
use serde::ser::Error as _;

use crate::types::{Content, Field, Form, Id, Primitive, Type, Types, Variant};

/// The types that were written.
pub(super) struct Notes {
    nodes: Vec<Node>,
    numbers: HashMap<Key, usize>,
    steps: usize,
}

struct Node {
    key: Key,
    /// How often it was written to its end.
    times: usize,
    parts: Vec<Part>,
    numbers: HashMap<(&'static str, u32), usize>,
    /// The parts in their order, as far as samples show it.
    order: Vec<usize>,
}

/// What tells nodes apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    form: Form,
    of: &'static str,
    name: &'static str,
    len: usize,
    /// Where it is, if its type has no name of its own.
    at: Option<Place>,
}

struct Part {
    name: &'static str,
    index: u32,
    of: &'static str,
    seen: Option<Seen>,
    /// Of a variant.
    content: fn(Id) -> Content,
    times: usize,
    is_varying: bool,
}

/// What was written at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Primitive(Primitive),
    Node(usize),
    /// Of a variant without content.
    Nothing,
}

/// One part of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    node: usize,
    pub(super) part: usize,
}

impl Place {
    /// Where the whole value is.
    pub(super) const ROOT: Self = Self { node: 0, part: 0 };
}

/// The part that was written before, and where it is in the order.
#[derive(Clone, Copy)]
pub(super) struct Last {
    part: usize,
    at: usize,
}

/// Parts that are written, in all samples together.
const STEPS_MAX: usize = 1 << 21;

/// A word in the names of the types that serde's derive makes for `serialize_with`.
const NAMELESS: &str = "SerializeWith";

impl Notes {
    pub(super) fn new() -> Self {
        let key = Key { form: Form::Newtype, of: "", name: "", len: 0, at: None };
        let mut notes = Self { nodes: vec![Node::new(key)], numbers: HashMap::new(), steps: 0 };
        notes.part(0, "", 0, &mut None);
        notes
    }

    fn part_mut(&mut self, place: Place) -> Option<&mut Part> {
        self.nodes.get_mut(place.node)?.parts.get_mut(place.part)
    }

    /// Notes which type writes at `place`.
    pub(super) fn name(&mut self, place: Place, of: &'static str) {
        if let Some(part) = self.part_mut(place) {
            part.of = of;
        }
    }

    /// Notes in which way a variant holds what it does.
    pub(super) fn note_content(&mut self, place: Place, content: fn(Id) -> Content) {
        if let Some(part) = self.part_mut(place) {
            part.content = content;
        }
    }

    /// Notes what is written at `place`.
    pub(super) fn note(&mut self, place: Place, seen: Seen) -> Result<(), Error> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > STEPS_MAX {
            return Err(Error::custom("too much is written"));
        }
        if let Some(part) = self.part_mut(place) {
            let before = *part.seen.get_or_insert(seen);
            part.is_varying |= before != seen;
        }
        Ok(())
    }

    /// The node at `place`.
    pub(super) fn meet(
        &mut self,
        place: Place,
        form: Form,
        of: &'static str,
        name: &'static str,
        len: usize,
    ) -> Result<usize, Error> {
        let at = of.contains(NAMELESS).then_some(place);
        let key = Key { form, of, name, len, at };
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.nodes.push(Node::new(key));
            self.nodes.len().saturating_sub(1)
        });
        self.note(place, Seen::Node(number))?;
        Ok(number)
    }

    /// A node with any number of parts was written to its end.
    pub(super) fn end(&mut self, number: usize) {
        if let Some(node) = self.nodes.get_mut(number) {
            node.times = node.times.saturating_add(1);
        }
    }

    /// The part of a node under a name or a number, which is written now, after `last`.
    pub(super) fn part(
        &mut self,
        node: usize,
        name: &'static str,
        index: u32,
        last: &mut Option<Last>,
    ) -> Place {
        let Some(of) = self.nodes.get_mut(node) else { return Place::ROOT };
        let next = of.parts.len();
        let part = *of.numbers.entry((name, index)).or_insert(next);
        if part == next {
            of.parts.push(Part::new(name, index));
        }
        *last = Some(of.put_after(part, *last));
        if let Some(part) = of.parts.get_mut(part) {
            part.times = part.times.saturating_add(1);
        }
        Place { node, part }
    }

    /// All types, from the outside to the inside.
    pub(super) fn lift(&self) -> Types {
        let mut lifting = Lifting {
            notes: self,
            types: Types::default(),
            numbers: HashMap::new(),
            queue: VecDeque::new(),
        };
        if let Some(part) = self.nodes.first().and_then(|node| node.parts.first()) {
            lifting.id(part);
        }
        while let Some((node, id)) = lifting.queue.pop_front() {
            let of = lifting.of(node);
            lifting.types.define(id, of);
        }
        lifting.types
    }
}

impl Node {
    fn new(key: Key) -> Self {
        Self { key, times: 0, parts: Vec::new(), numbers: HashMap::new(), order: Vec::new() }
    }

    /// The order is that of the last sample that had both: those with more fields come last.
    fn put_after(&mut self, part: usize, last: Option<Last>) -> Last {
        let behind = last.and_then(|Last { part, at }| {
            // The sample itself may have others of this node in it.
            let is_there = self.order.get(at) == Some(&part);
            let at = if is_there { Some(at) } else { self.order.iter().position(|of| *of == part) };
            at?.checked_add(1)
        });
        let mut at = behind.unwrap_or(0);
        let found = self.order.iter().skip(at).position(|known| *known == part);
        if let Some(distance) = found {
            return Last { part, at: at.saturating_add(distance) };
        }
        if let Some(before) = self.order.iter().position(|known| *known == part) {
            self.order.remove(before);
            at = at.saturating_sub(1);
        }
        self.order.insert(at, part);
        Last { part, at }
    }

    fn in_order(&self) -> impl Iterator<Item = &Part> {
        self.order.iter().filter_map(|part| self.parts.get(*part))
    }

    fn numbered(&self, index: u32) -> Option<&Part> {
        self.numbers.get(&("", index)).and_then(|part| self.parts.get(*part))
    }
}

impl Part {
    fn new(name: &'static str, index: u32) -> Self {
        let content = Content::Newtype;
        Self { name, index, of: "", seen: None, content, times: 0, is_varying: false }
    }
}

struct Lifting<'n> {
    notes: &'n Notes,
    types: Types,
    numbers: HashMap<usize, Id>,
    queue: VecDeque<(&'n Node, Id)>,
}

impl<'n> Lifting<'n> {
    fn id(&mut self, part: &'n Part) -> Id {
        let reason = match part.seen {
            _ if part.is_varying => "is not written in the same way each time",
            Some(Seen::Primitive(primitive)) => {
                let id = self.types.declare(part.of);
                self.types.define(id, Type::Primitive(primitive));
                return id;
            }
            Some(Seen::Node(number)) => {
                let Some(node) = self.notes.nodes.get(number) else { return self.types.root() };
                if let Some(id) = self.numbers.get(&number) {
                    return *id;
                }
                let id = self.types.declare(node.key.of);
                self.numbers.insert(number, id);
                self.queue.push_back((node, id));
                return id;
            }
            Some(Seen::Nothing) | None => "has no sample that could be written",
        };
        let id = self.types.declare(part.of);
        self.types.define(id, Type::unknown(format!("`{}` {reason}", part.of)));
        id
    }

    /// What is inside of a node, of which there may have been no sample.
    fn inside(&mut self, node: &'n Node, index: u32) -> Id {
        if let Some(part) = node.numbered(index) {
            return self.id(part);
        }
        let of = node.key.of;
        let id = self.types.declare(of);
        let reason = format!("no sample of `{of}` had anything in it");
        self.types.define(id, Type::unknown(reason));
        id
    }

    fn of(&mut self, node: &'n Node) -> Type {
        let Key { form, name, of, .. } = node.key;
        let name = Cow::Borrowed(name);
        match form {
            Form::Sequence | Form::Map | Form::Tuple | Form::Struct if node.times == 0 => {
                Type::unknown(format!("`{of}` was never written to its end"))
            }
            Form::Unit => Type::Unit { name },
            Form::Newtype => Type::Newtype { name, content: self.inside(node, 0) },
            Form::Option => Type::Option { content: self.inside(node, 0) },
            Form::Sequence => Type::Sequence { element: self.inside(node, 0) },
            Form::Map => Type::Map { key: self.inside(node, 0), value: self.inside(node, 1) },
            Form::Tuple => {
                let elements = node.parts.iter().map(|part| self.id(part)).collect();
                Type::Tuple { name, elements }
            }
            Form::Struct => {
                let field = |part: &'n Part| {
                    let is_optional = part.times < node.times;
                    let (name, aliases, id) = (part.name.into(), Vec::new(), self.id(part));
                    Field { name, aliases, id, is_optional }
                };
                Type::Struct { name, fields: node.in_order().map(field).collect(), is_open: true }
            }
            Form::Enum => {
                let variant = |part: &'n Part| {
                    let is_unit = part.seen == Some(Seen::Nothing) && !part.is_varying;
                    let content =
                        if is_unit { Content::Unit } else { (part.content)(self.id(part)) };
                    Variant { name: part.name.into(), index: part.index, content }
                };
                let mut variants: Vec<_> = node.parts.iter().map(variant).collect();
                variants.sort_by_key(|variant| variant.index);
                Type::Enum { name, variants, is_open: false }
            }
        }
    }
}
