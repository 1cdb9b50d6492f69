//! From what was asked for to the types that everybody sees.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::graph::Graph;
use super::nodes::{Node, Part, Place, Slot, Unknown};
use crate::types::{Content, Field, Form, Id, Primitive, Type, Types, Variant};

/// All types of the graph, from the outside to the inside.
pub(super) fn lift(graph: &Graph) -> Types {
    let mut lifting = Lifting {
        graph,
        types: Types::default(),
        leaves: HashMap::new(),
        nodes: HashMap::new(),
        queue: VecDeque::new(),
    };
    lifting.id(Place::ROOT);
    while let Some((number, node, id)) = lifting.queue.pop_front() {
        let of = lifting.of(number, node);
        lifting.types.define(id, of);
    }
    lifting.types
}

struct Lifting<'g> {
    graph: &'g Graph,
    types: Types,
    leaves: HashMap<(Primitive, &'static str), Id>,
    nodes: HashMap<usize, Id>,
    queue: VecDeque<(usize, &'g Node, Id)>,
}

impl Lifting<'_> {
    /// The number of what is at `place`.
    fn id(&mut self, place: Place) -> Id {
        let Some(slot) = self.graph.slot(place) else { return self.types.root() };
        let of = match (&slot.unknown, slot.part) {
            (Some(Unknown { reason, needs_description }), _) => {
                let (reason, needs_description) = (String::from(&**reason), *needs_description);
                Type::Unknown { reason, needs_description }
            }
            (None, Some(Part::Primitive(primitive))) => {
                let (types, of) = (&mut self.types, slot.of);
                return *self.leaves.entry((primitive, of)).or_insert_with(|| {
                    let id = types.declare(of);
                    types.define(id, Type::Primitive(primitive));
                    id
                });
            }
            (None, Some(Part::Node(number))) => return self.node(number),
            (None, Some(Part::Nothing | Part::Alias(_)) | None) => {
                Type::unknown(self.reason(place))
            }
        };
        let id = self.types.declare(slot.of);
        self.types.define(id, of);
        id
    }

    fn node(&mut self, number: usize) -> Id {
        if let Some(id) = self.nodes.get(&number) {
            return *id;
        }
        let Some(node) = self.graph.node(number) else { return self.types.root() };
        let id = self.types.declare(node.key.of);
        self.nodes.insert(number, id);
        self.queue.push_back((number, node, id));
        id
    }

    /// Why nothing is known of what is at `place`.
    fn reason(&self, place: Place) -> String {
        let of = self.graph.node(place.node).map_or("", |node| node.key.of);
        match self.graph.exhausted() {
            Some(limit) => format!("`{of}` is a part of a type that is too large: {limit}"),
            None => format!("no sample of `{of}` shows this part of it"),
        }
    }

    fn of(&mut self, number: usize, node: &Node) -> Type {
        let name = Cow::Borrowed(node.key.name);
        let mut part = |part| self.id(Place { node: number, part });
        match node.key.form {
            Form::Unit => Type::Unit { name },
            Form::Newtype => Type::Newtype { name, content: part(0) },
            Form::Option => Type::Option { content: part(0) },
            Form::Sequence => Type::Sequence { element: part(0) },
            Form::Map => Type::Map { key: part(0), value: part(1) },
            Form::Tuple => Type::Tuple { name, elements: (0..node.key.len).map(part).collect() },
            Form::Struct => {
                Type::Struct { name, fields: self.fields(number, node), is_open: node.is_open }
            }
            Form::Enum => {
                Type::Enum { name, variants: self.variants(number, node), is_open: node.is_open }
            }
        }
    }

    fn fields(&mut self, number: usize, node: &Node) -> Vec<Field> {
        let mut fields = Vec::new();
        let is_alias = |slot: &Slot| matches!(slot.part, Some(Part::Alias(_)));
        let has_aliases = node.slots.iter().any(is_alias);
        let is_tagged = self.is_tagged(node);
        for (part, (name, slot)) in node.key.names.0.iter().zip(&node.slots).enumerate() {
            if is_alias(slot) {
                continue;
            }
            let names = if has_aliases { node.key.names.0 } else { &[] };
            let aliases = names.iter().zip(&node.slots);
            let aliases = aliases.filter(|(_, slot)| slot.part == Some(Part::Alias(part)));
            let aliases = aliases.map(|(name, _)| Cow::Borrowed(*name)).collect();
            let id = self.id(Place { node: number, part });
            let is_optional = !slot.is_required || (is_tagged && slot.unknown.is_some());
            let name = Cow::Borrowed(*name);
            fields.push(Field { name, aliases, id, is_optional });
        }
        fields
    }

    /// Whether it is an adjacently tagged enum, which is for serde a struct of the tag, an enum of
    /// the same name, and of the content. Which content must be there depends on the tag.
    fn is_tagged(&self, node: &Node) -> bool {
        let is_tag = |slot: &Slot| {
            let Some(Part::Node(number)) = slot.part else { return false };
            let tag = self.graph.node(number).map(|node| node.key);
            tag.is_some_and(|tag| tag.form == Form::Enum && tag.name == node.key.name)
        };
        node.slots.len() == 2 && node.slots.iter().any(is_tag)
    }

    fn variants(&mut self, number: usize, node: &Node) -> Vec<Variant> {
        let mut variants = Vec::new();
        for (part, (name, slot)) in node.key.names.0.iter().zip(&node.slots).enumerate() {
            let index = u32::try_from(part).unwrap_or(u32::MAX);
            let content = if slot.part == Some(Part::Nothing) && slot.unknown.is_none() {
                Content::Unit
            } else {
                let id = self.id(Place { node: number, part });
                match slot.content {
                    Some(Form::Tuple) => Content::Tuple(id),
                    Some(Form::Struct) => Content::Struct(id),
                    _ => Content::Newtype(id),
                }
            };
            variants.push(Variant { name: Cow::Borrowed(*name), index, content });
        }
        variants
    }
}
