//! What the graph of a type is made of.

use std::hash::{Hash, Hasher};

use crate::types::{Form, Primitive};

/// A type that is made of others.
pub(super) struct Node {
    pub(super) key: Key,
    /// What it is made of, in its order.
    pub(super) slots: Box<[Slot]>,
    /// Whether it takes names that it has not announced.
    pub(super) is_open: bool,
    /// Of an enum: the variant that is known to come to an end.
    pub(super) ends: Option<usize>,
    /// The variant to be tried until there is such a one.
    pub(super) tried: usize,
    /// Whether there is none.
    pub(super) is_endless: bool,
}

/// What tells nodes apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) form: Form,
    /// The visitor's type.
    pub(super) visitor: &'static str,
    /// The type that the visitor makes.
    pub(super) of: &'static str,
    pub(super) name: &'static str,
    /// Of its fields or variants.
    pub(super) names: Names,
    /// Number of its parts.
    pub(super) len: usize,
}

/// Thousands of names are looked at each time only if they are not in the same place in memory.
#[derive(Clone, Copy)]
pub(super) struct Names(pub(super) &'static [&'static str]);

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl Eq for Names {}

impl Hash for Names {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.len().hash(state);
    }
}

/// One part of a node.
#[derive(Clone, Default)]
pub(super) struct Slot {
    /// What it asked for.
    pub(super) part: Option<Part>,
    /// The type that asked.
    pub(super) of: &'static str,
    /// Why it cannot be known, whatever it asked for.
    pub(super) unknown: Option<Unknown>,
    /// Of a field: it has to be there.
    pub(super) is_required: bool,
    /// Of a variant: what it holds.
    pub(super) content: Option<Form>,
    /// No value can be made of it, since something inside is not known.
    pub(super) is_barren: bool,
}

/// Why a part cannot be known.
#[derive(Clone)]
pub(super) struct Unknown {
    pub(super) reason: Box<str>,
    /// Whether only a format that describes what comes could show it.
    pub(super) needs_description: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Primitive(Primitive),
    Node(usize),
    /// Of a variant that has no content.
    Nothing,
    /// Of a field's second name: the number of the first.
    Alias(usize),
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: usize,
    pub(super) part: usize,
}

impl Place {
    /// Where the whole type is.
    pub(super) const ROOT: Self = Self { node: 0, part: 0 };
}

/// What is tried of a node, at the end of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Whether it takes a name that it has not announced.
    Names,
    /// Which of its fields may be missing.
    Fields,
}

impl Node {
    pub(super) fn new(key: Key) -> Self {
        let slots = vec![Slot::default(); key.len].into();
        Self { key, slots, is_open: false, ends: None, tried: 0, is_endless: false }
    }
}
