//! Where two shapes differ, and which formats mind.
//!
//! Both are walked in step, from the outside to the inside. A pair of types is looked at once, by
//! the shortest way to it, so shapes of recursive types come to an end like all others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::iter::successors;

use crate::types::{Content, Field, Id, Type, Types, Variant};

/// A place where two shapes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    path: String,
    here: String,
    there: String,
    is_forgiven_by_names: bool,
}

/// How a format tells the parts of a struct and the variants of an enum apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// By their order, as bincode and postcard do.
    Positional,
    /// By their names, as JSON and gob do.
    Named,
}

/// What the two shapes are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles {
    /// Each side reads what the other writes.
    Equal,
    /// The second reads what the first writes.
    WrittenAndRead,
}

/// Differences that are told.
const DIFFERENCES_MAX: usize = 100;

impl Difference {
    /// The way to it, such as `request.items[].price`. It leads through fields `.name`, variants
    /// `::Name`, elements `[]` and those of tuples `[2]`, and keys of maps `[key]`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is in the one shape.
    #[must_use]
    pub fn here(&self) -> &str {
        &self.here
    }

    /// What is in the other one.
    #[must_use]
    pub fn there(&self) -> &str {
        &self.there
    }

    /// Whether values go from each side to the other all the same, in a format with this layout.
    ///
    /// Those with positions forgive nothing. Those with names forgive another order of fields or
    /// variants, and a field that one side does not have, if it may be missing on the other and the
    /// side without it ignores fields that it does not know. A variant that one side does not have
    /// is forgiven only if that side has one for all `#[serde(other)]`.
    #[must_use]
    pub fn is_forgiven_by(&self, layout: Layout) -> bool {
        layout == Layout::Named && self.is_forgiven_by_names
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, here, there, .. } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "{here} here, {there} there")
    }
}

/// The differences in their order, up to a limit. The whole is called `name`.
pub(crate) fn compare(here: &Types, there: &Types, name: &str, roles: Roles) -> Vec<Difference> {
    let mut walk = Walk {
        here,
        there,
        roles,
        seen: HashSet::new(),
        queue: VecDeque::new(),
        ways: Vec::new(),
        differences: Vec::new(),
    };
    let root = walk.way(Way { before: None, step: Step::Name(name) });
    walk.meet(here.root(), there.root(), root);
    while let Some((one, other, way)) = walk.queue.pop_front() {
        if let (Some(one), Some(other)) = (here.of(one), there.of(other)) {
            walk.visit(one, other, way);
        }
        if walk.differences.len() >= DIFFERENCES_MAX {
            break;
        }
    }
    walk.differences
}

struct Walk<'t> {
    here: &'t Types,
    there: &'t Types,
    roles: Roles,
    seen: HashSet<(Id, Id)>,
    queue: VecDeque<(Id, Id, WayId)>,
    // Told in full where something differs, and nowhere else: a peer may have types as deep within
    // each other as it likes, and all the paths to them would take the square of that.
    ways: Vec<Way<'t>>,
    differences: Vec<Difference>,
}

/// A place in `Walk::ways`.
#[derive(Clone, Copy)]
struct WayId(usize);

/// The way to a type: the last step of it, and the way before that.
#[derive(Clone, Copy)]
struct Way<'t> {
    before: Option<WayId>,
    step: Step<'t>,
}

#[derive(Clone, Copy)]
enum Step<'t> {
    /// To the whole, which is called so.
    Name(&'t str),
    Field(&'t str),
    Variant(&'t str),
    Element,
    Place(usize),
    Key,
}

impl<'t> Walk<'t> {
    fn meet(&mut self, one: Id, other: Id, way: WayId) {
        let pair = (self.here.content(one), self.there.content(other));
        if self.seen.insert(pair) {
            self.queue.push_back((pair.0, pair.1, way));
        }
    }

    fn step(&mut self, before: WayId, step: Step<'t>) -> WayId {
        self.way(Way { before: Some(before), step })
    }

    fn way(&mut self, way: Way<'t>) -> WayId {
        self.ways.push(way);
        WayId(self.ways.len().saturating_sub(1))
    }

    fn differ(&mut self, way: WayId, here: String, there: String, is_forgiven_by_names: bool) {
        if self.differences.len() < DIFFERENCES_MAX {
            let path = self.path(way);
            self.differences.push(Difference { path, here, there, is_forgiven_by_names });
        }
    }

    fn path(&self, way: WayId) -> String {
        let before = |way: &&Way<'t>| self.ways.get(way.before?.0);
        let back = successors(self.ways.get(way.0), before).collect::<Vec<_>>();
        let mut path = String::new();
        for way in back.into_iter().rev() {
            match way.step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Variant(name) => path.extend(["::", name]),
                Step::Element => path.push_str("[]"),
                Step::Place(index) => path.extend(["[", &index.to_string(), "]"]),
                Step::Key => path.push_str("[key]"),
            }
        }
        path
    }

    fn visit(&mut self, one: &'t Type, other: &'t Type, way: WayId) {
        match (one, other) {
            (Type::Primitive(one), Type::Primitive(other)) if one == other => {}
            (Type::Unit { .. }, Type::Unit { .. }) => {}
            (Type::Unknown { .. }, Type::Unknown { .. }) => {}
            (Type::Option { content: one }, Type::Option { content: other }) => {
                self.meet(*one, *other, way);
            }
            (Type::Sequence { element: one }, Type::Sequence { element: other }) => {
                let way = self.step(way, Step::Element);
                self.meet(*one, *other, way);
            }
            (Type::Map { key, value }, Type::Map { key: other_key, value: other_value }) => {
                let (to_key, to_value) = (self.step(way, Step::Key), self.step(way, Step::Element));
                self.meet(*key, *other_key, to_key);
                self.meet(*value, *other_value, to_value);
            }
            (Type::Tuple { elements: ones, .. }, Type::Tuple { elements: others, .. })
                if ones.len() == others.len() =>
            {
                for (index, (one, other)) in ones.iter().zip(others).enumerate() {
                    let way = self.step(way, Step::Place(index));
                    self.meet(*one, *other, way);
                }
            }
            (
                Type::Struct { fields: ones, is_open: is_one_open, .. },
                Type::Struct { fields: others, is_open, .. },
            ) => self.visit_fields((ones, *is_one_open), (others, *is_open), way),
            (
                Type::Enum { variants: ones, is_open: is_one_open, .. },
                Type::Enum { variants: others, is_open, .. },
            ) => self.visit_variants((ones, *is_one_open), (others, *is_open), way),
            _ => {
                let (here, there) = (told(self.here, one), told(self.there, other));
                self.differ(way, here, there, false);
            }
        }
    }

    fn visit_fields(
        &mut self,
        (ones, is_here_open): (&'t [Field], bool),
        (others, is_there_open): (&'t [Field], bool),
        way: WayId,
    ) {
        let is_equal = self.roles == Roles::Equal;
        let (known, others_by_name) = (names(ones), with_aliases(others, self.roles));
        let mut common = Vec::new();
        for one in ones {
            let way = self.step(way, Step::Field(&one.name));
            let Some((index, other)) = others_by_name.get(&*one.name) else {
                let is_forgiven = is_there_open && (one.is_optional || !is_equal);
                let here = self.here.of(self.here.content(one.id));
                let here = here.map(|of| told(self.here, of)).unwrap_or_default();
                self.differ(way, here, NO_FIELD.to_owned(), is_forgiven);
                continue;
            };
            common.push((index, &*one.name));
            let is_minded = match self.roles {
                Roles::Equal => one.is_optional != other.is_optional,
                Roles::WrittenAndRead => one.is_optional && !other.is_optional,
            };
            if is_minded {
                let (here, there) = (presence(one), presence(other));
                self.differ(way, here.to_owned(), there.to_owned(), false);
            }
            self.meet(one.id, other.id, way);
        }
        self.check_order(&common, way);
        let are_common: HashSet<_> = common.iter().map(|(index, _)| **index).collect();
        for (index, other) in others.iter().enumerate() {
            if !are_common.contains(&index) && !known.contains_key(&*other.name) {
                let way = self.step(way, Step::Field(&other.name));
                let there = self.there.of(self.there.content(other.id));
                let there = there.map(|of| told(self.there, of)).unwrap_or_default();
                let is_forgiven = other.is_optional && (is_here_open || !is_equal);
                self.differ(way, NO_FIELD.to_owned(), there, is_forgiven);
            }
        }
    }

    /// The first two fields that both have, in another order.
    fn check_order(&mut self, common: &[(&usize, &str)], way: WayId) {
        let mut pairs = common.iter().zip(common.iter().skip(1));
        if let Some(((_, one), (_, other))) = pairs.find(|((one, _), (other, _))| one > other) {
            let here = format!("`{one}` before `{other}`");
            let there = format!("`{other}` before `{one}`");
            self.differ(way, here, there, true);
        }
    }

    fn visit_variants(
        &mut self,
        (ones, is_here_open): (&'t [Variant], bool),
        (others, is_there_open): (&'t [Variant], bool),
        way: WayId,
    ) {
        let by_name = |variants: &'t [Variant]| -> HashMap<&'t str, &'t Variant> {
            variants.iter().map(|variant| (&*variant.name, variant)).collect()
        };
        let (known, others_by_name) = (by_name(ones), by_name(others));
        for one in ones {
            let way = self.step(way, Step::Variant(&one.name));
            let Some(other) = others_by_name.get(&*one.name) else {
                self.differ(way, A_VARIANT.to_owned(), NO_VARIANT.to_owned(), is_there_open);
                continue;
            };
            if one.index != other.index {
                let told = |variant: &Variant| format!("variant {}", variant.index);
                self.differ(way, told(one), told(other), true);
            }
            match (one.content.id(), other.content.id()) {
                (Some(one), Some(other)) => self.meet(one, other, way),
                (None, None) => {}
                _ => {
                    let (here, there) = (held(one.content), held(other.content));
                    self.differ(way, here.to_owned(), there.to_owned(), false);
                }
            }
        }
        let is_forgiven = is_here_open || self.roles == Roles::WrittenAndRead;
        for other in others.iter().filter(|other| !known.contains_key(&*other.name)) {
            let way = self.step(way, Step::Variant(&other.name));
            self.differ(way, NO_VARIANT.to_owned(), A_VARIANT.to_owned(), is_forgiven);
        }
    }
}

const NO_FIELD: &str = "no field";
const NO_VARIANT: &str = "no variant";
const A_VARIANT: &str = "a variant";

fn names(fields: &[Field]) -> HashMap<&str, (usize, &Field)> {
    fields.iter().enumerate().map(|field| (&*field.1.name, field)).collect()
}

/// What is read, by all names under which it is read from the other side.
fn with_aliases(fields: &[Field], roles: Roles) -> HashMap<&str, (usize, &Field)> {
    let mut by_name = names(fields);
    if roles == Roles::WrittenAndRead {
        for (index, field) in fields.iter().enumerate() {
            by_name.extend(field.aliases.iter().map(|alias| (&**alias, (index, field))));
        }
    }
    by_name
}

fn presence(field: &Field) -> &'static str {
    if field.is_optional { "may be missing" } else { "has to be" }
}

fn held(content: Content) -> &'static str {
    if content == Content::Unit { "without content" } else { "with content" }
}

/// A type in a few words.
fn told(types: &Types, of: &Type) -> String {
    match of {
        Type::Primitive(primitive) => primitive.name().to_owned(),
        Type::Unit { .. } => "unit".to_owned(),
        Type::Newtype { name, .. } => name.to_string(),
        Type::Option { content } => match types.of(types.content(*content)) {
            Some(Type::Primitive(primitive)) => format!("optional {primitive}"),
            _ => "optional".to_owned(),
        },
        Type::Sequence { .. } => "sequence".to_owned(),
        Type::Map { .. } => "map".to_owned(),
        Type::Tuple { elements, .. } => format!("tuple of {}", elements.len()),
        Type::Struct { name, .. } => format!("struct {name}"),
        Type::Enum { name, .. } => format!("enum {name}"),
        Type::Unknown { .. } => "unknown".to_owned(),
    }
}
