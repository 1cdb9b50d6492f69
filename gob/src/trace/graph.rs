//! What tracing knows, where it goes next, and why a run has to stop.
//!
//! No serde here: `sampler` translates between its requests and this graph.

use std::collections::{HashMap, VecDeque};

use crate::error::{Error, Result, Step as ErrorStep};
use crate::kinds::{Kind, Marshaler};

/// The types that were met.
pub(crate) struct Graph {
    nodes: Vec<Node>,
    numbers: HashMap<Key, usize>,
    // The samples to use within types that refused others, by the names of the types.
    rows: HashMap<&'static str, usize>,
    // The ways to what is not known.
    ways: VecDeque<Box<[Place]>>,
    runs: usize,
    run: Run,
}

/// A type that is made of others.
pub(super) struct Node {
    pub(super) key: Key,
    /// What it is made of, in its order.
    pub(super) parts: Box<[Option<Shape>]>,
    // Of an enum: the variant that is known to come to an end, and the one to be tried until there
    // is such a one.
    ends: Option<usize>,
    tried: usize,
}

/// What tells nodes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) form: Form,
    /// The visitor's type.
    pub(super) visitor: &'static str,
    /// The type that the visitor makes.
    pub(super) of: &'static str,
    pub(super) name: &'static str,
    /// Of its fields or variants.
    pub(super) names: &'static [&'static str],
    /// Number of its parts.
    pub(super) len: usize,
}

/// What sort of node it is, which says what its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// The content, and so in the next two.
    Newtype,
    Option,
    Sequence,
    /// Keys and values.
    Map,
    /// The elements.
    Tuple,
    /// The fields.
    Struct,
    /// The variants.
    Enum,
}

/// What one part of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One of gob's own types, with its name in Go.
    Basic(Kind, &'static str),
    Opaque(Marshaler, &'static str),
    Node(usize),
    /// Of a variant that has no content.
    Nothing,
    /// Of a field's second name.
    Alias,
}

/// One part of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: usize,
    pub(super) part: usize,
}

/// The state of one run.
#[derive(Default)]
struct Run {
    // The options, sequences, maps and enums to go through, and how many of them were found.
    way: Box<[Place]>,
    found: usize,
    // Those that the run is in.
    entered: Vec<Place>,
    stop: Option<Stop>,
}

enum Stop {
    /// Something was learnt: the same again.
    Again,
    Failed(Error),
}

/// What to do about a type that cannot be traced.
pub(super) const WAY_OUT: &str =
    "build its schema by hand (Schema::builder) and write it with Encoder::encode_as";

/// Each run finds out one thing, so this is far more than a type has parts.
const RUNS_MAX: usize = 10_000;

/// Elements of a tuple or an array, each of which is made and noted.
const PARTS_MAX: usize = 1 << 20;

/// Levels of types inside each other on the shortest way that was found.
const DEPTH_MAX: usize = 200;

impl Graph {
    /// Nothing is known but that there is a type: part 0 of node 0.
    pub(super) fn new() -> Self {
        let key = Key { form: Form::Newtype, visitor: "", of: "", name: "", names: &[], len: 1 };
        Self {
            nodes: vec![Node::new(key)],
            numbers: HashMap::new(),
            rows: HashMap::new(),
            ways: VecDeque::from([Box::from([Place { node: 0, part: 0 }])]),
            runs: 0,
            run: Run::default(),
        }
    }

    /// Prepares the next run; `false` if all is known.
    pub(super) fn begin(&mut self) -> Result<bool> {
        let Some(way) = self.ways.front() else {
            return Ok(false);
        };
        // The first place is the root, which needs no finding.
        self.run = Run { way: way.clone(), found: 1, ..Run::default() };
        self.runs = self.runs.saturating_add(1);
        if self.runs > RUNS_MAX {
            let text = format!("a type of more than {RUNS_MAX} parts: {WAY_OUT}");
            return Err(Error::unsupported(text));
        }
        Ok(true)
    }

    /// Ends the run. Unless it is to be done again, what it went to is known now.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.run.stop.take() {
            Some(Stop::Again) => return Ok(()),
            Some(Stop::Failed(error)) => return Err(error),
            None => {}
        }
        match self.ways.pop_front().and_then(|way| way.last().copied()) {
            Some(target) if self.part(target).is_none() => {
                let of = self.node(target.node).map_or("", |node| node.key.of);
                let text = format!("`{of}` does not ask for the same each time: {WAY_OUT}");
                Err(Error::unsupported(text))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)
    }

    pub(super) fn part(&self, place: Place) -> Option<Shape> {
        self.node(place.node)?.parts.get(place.part).copied().flatten()
    }

    /// Notes what is at `place`.
    pub(super) fn note(&mut self, place: Place, shape: Shape) -> Result<()> {
        self.go_on()?;
        let Some(node) = self.nodes.get_mut(place.node) else { return Ok(()) };
        let Some(part) = node.parts.get_mut(place.part) else { return Ok(()) };
        match part.replace(shape) {
            Some(before) if before != shape => {
                let of = node.key.of;
                let why = "does not ask for the same each time, as adjacently tagged enums do, or \
                           is one of two types of this name";
                Err(self.fail(format!("`{of}` {why}: {WAY_OUT}")))
            }
            _ => Ok(()),
        }
    }

    /// Takes back what was noted of a field whose name is an alias of another's.
    pub(super) fn note_alias(&mut self, place: Place) -> Error {
        let node = self.nodes.get_mut(place.node);
        if let Some(part) = node.and_then(|node| node.parts.get_mut(place.part)) {
            *part = Some(Shape::Alias);
        }
        self.again()
    }

    /// The node at `place`, which is as deep as `depth`.
    pub(super) fn meet(&mut self, place: Place, key: Key, depth: usize) -> Result<usize> {
        self.go_on()?;
        if depth > DEPTH_MAX {
            let why = format!("has more than {DEPTH_MAX} levels of types inside each other");
            return Err(self.fail(format!("`{}` {why}: {WAY_OUT}", key.of)));
        }
        if key.len > PARTS_MAX {
            let why = format!("has {} elements or fields, over {PARTS_MAX}", key.len);
            return Err(self.fail(format!("`{}` {why}: {WAY_OUT}", key.of)));
        }
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None => self.add(key),
        };
        self.note(place, Shape::Node(number))?;
        Ok(number)
    }

    fn add(&mut self, key: Key) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node::new(key));
        self.numbers.insert(key, number);
        let parts = match key.form {
            Form::Option | Form::Sequence | Form::Map => 1,
            Form::Enum => key.len,
            Form::Newtype | Form::Tuple | Form::Struct => 0,
        };
        let way_here = self.run.entered.iter().copied();
        for part in 0..parts {
            let here = Place { node: number, part };
            let root = Place { node: 0, part: 0 };
            let way = std::iter::once(root).chain(way_here.clone()).chain([here]);
            self.ways.push_back(way.collect());
        }
        number
    }

    /// Whether the way goes through a part of this node; it goes through each once.
    pub(super) fn follow(&mut self, node: usize) -> Option<usize> {
        let place = self.run.way.get(self.run.found).filter(|place| place.node == node)?;
        self.run.found = self.run.found.saturating_add(1);
        Some(place.part)
    }

    /// The variant to answer an enum with.
    pub(super) fn choose(&mut self, number: usize) -> Result<usize> {
        let followed = self.follow(number);
        let Some(node) = self.nodes.get(number) else { return Ok(0) };
        match followed.or(node.ends) {
            Some(variant) => Ok(variant),
            None if self.run.entered.iter().any(|place| place.node == number) => {
                Err(self.try_others(number))
            }
            None => Ok(node.tried),
        }
    }

    /// An enum contains itself, by a way through enums none of which is known to come to an end:
    /// tries the next combination of their variants, the innermost first.
    fn try_others(&mut self, number: usize) -> Error {
        for place in self.run.entered.iter().rev() {
            let Some(node) = self.nodes.get_mut(place.node) else { continue };
            if node.key.form == Form::Enum && node.ends.is_none() {
                node.tried = node.tried.saturating_add(1);
                if node.tried < node.parts.len() {
                    return self.again();
                }
                node.tried = 0;
            }
            if place.node == number {
                break;
            }
        }
        let of = self.node(number).map_or("", |node| node.key.of);
        self.fail(format!("`{of}` has no value that comes to an end"))
    }

    pub(super) fn enter(&mut self, place: Place) {
        self.run.entered.push(place);
    }

    /// Leaves what was entered last, from which a value came or none.
    pub(super) fn leave(&mut self, has_ended: bool) {
        if let Some(place) = self.run.entered.pop()
            && let Some(node) = self.nodes.get_mut(place.node)
            && has_ended
            && self.run.stop.is_none()
        {
            node.ends.get_or_insert(place.part);
        }
    }

    /// Which of the samples to use within a type; `outer` are those used around it.
    pub(super) fn row(&self, of: &'static str, outer: usize) -> usize {
        self.rows.get(of).copied().unwrap_or(outer)
    }

    /// A type has refused a sample: uses the next one of `rows_max`.
    pub(super) fn refuse(
        &mut self,
        of: &'static str,
        row: usize,
        rows_max: usize,
        error: &Error,
    ) -> Error {
        let next = row.saturating_add(1);
        if next < rows_max {
            self.rows.insert(of, next);
            return self.again();
        }
        self.fail(format!("`{of}` refuses every sample value ({error}): {WAY_OUT}"))
    }

    /// Whether the run is to be stopped; types may have caught the error that said so.
    pub(super) fn is_stopped(&self) -> bool {
        self.run.stop.is_some()
    }

    fn go_on(&self) -> Result<()> {
        if self.is_stopped() { Err(stopped()) } else { Ok(()) }
    }

    fn again(&mut self) -> Error {
        self.run.stop.get_or_insert(Stop::Again);
        stopped()
    }

    /// Ends the tracing with an error.
    pub(super) fn fail(&mut self, text: String) -> Error {
        self.run.stop.get_or_insert_with(|| Stop::Failed(Error::unsupported(text)));
        stopped()
    }

    /// Adds to the way that the error tells.
    pub(super) fn inside(&mut self, step: ErrorStep) {
        self.run.stop = match self.run.stop.take() {
            Some(Stop::Failed(error)) => Some(Stop::Failed(error.inside(step))),
            stop => stop,
        };
    }
}

impl Node {
    fn new(key: Key) -> Self {
        let parts = vec![None; key.len].into();
        Self { key, parts, ends: None, tried: 0 }
    }

    /// The first part that is not known.
    pub(super) fn unknown(&self) -> Option<usize> {
        self.parts.iter().position(Option::is_none)
    }
}

/// What a run is stopped with; why, the graph knows.
fn stopped() -> Error {
    Error::unsupported("tracing has stopped")
}
