//! What tracing knows, where it goes next, and why a run has to stop.
//!
//! No serde here: `sampler` translates between its requests and this graph.

use std::collections::{HashMap, VecDeque};

use super::error::Error;
use super::nodes::{Check, Key, Names, Node, Part, Place, Slot, Unknown};
use crate::types::{Encoding, Form};

type Result<T, E = Error> = std::result::Result<T, E>;

/// The types that were met.
pub(crate) struct Graph {
    encoding: Encoding,
    nodes: Vec<Node>,
    numbers: HashMap<Key, usize>,
    slots: usize,
    // The samples to use within types that refused others, by the names of the types.
    rows: HashMap<&'static str, usize>,
    // First what is not known, then what is to be tried of nodes that are.
    goals: VecDeque<Goal>,
    checks: VecDeque<Goal>,
    more_rows: &'static [usize],
    runs: usize,
    steps: usize,
    exhausted: Option<String>,
    run: Run,
}

/// What a run is for.
#[derive(Clone)]
struct Goal {
    // The places to go through.
    way: Box<[Place]>,
    check: Option<(usize, Check)>,
    // Which samples answer the whole type.
    row: usize,
}

/// The state of one run.
#[derive(Default)]
struct Run {
    // What is left to go through, and how much of it was found.
    way: Box<[Place]>,
    found: usize,
    check: Option<(usize, Check)>,
    row: usize,
    // Those that the run is in.
    entered: Vec<Place>,
    stop: Option<Stop>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Something was learnt: the same again.
    Again,
    /// There is nothing more to learn on this way.
    Done,
}

/// Each run finds out one thing, so this is far more than a type has parts.
const RUNS_MAX: usize = 10_000;

/// Samples that are made, in all runs together: some seconds of work in a build without
/// optimisation.
const STEPS_MAX: usize = 1 << 21;

/// Parts of all types together, each of which is noted.
const PARTS_MAX: usize = 1 << 18;

/// Levels of types inside each other on the shortest way that was found.
const DEPTH_MAX: usize = 200;

/// Fields of a struct of which it is tried which may be missing: that takes a run for each.
const FIELDS_TRIED_MAX: usize = 1_000;

/// Samples of which more values are made: 0 and texts that are not empty, then neither.
const MORE_ROWS: [usize; 2] = [1, 2];

/// Characters of an error of a type's own that are shown.
const ERROR_CHARS_MAX: usize = 200;

impl Graph {
    /// Nothing is known but that there is a type: part 0 of node 0.
    pub(super) fn new(encoding: Encoding) -> Self {
        let (form, names) = (Form::Newtype, Names(&[]));
        let key = Key { form, visitor: "", of: "", name: "", names, len: 1 };
        Self {
            encoding,
            nodes: vec![Node::new(key)],
            numbers: HashMap::new(),
            slots: 1,
            rows: HashMap::new(),
            goals: VecDeque::from([Goal { way: Box::from([Place::ROOT]), check: None, row: 0 }]),
            checks: VecDeque::new(),
            more_rows: &[],
            runs: 0,
            steps: 0,
            exhausted: None,
            run: Run::default(),
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Prepares the next run; `false` if there is nothing more to find out.
    pub(super) fn begin(&mut self) -> bool {
        let Some(goal) = self.goals.front().or_else(|| self.checks.front()) else { return false };
        // The first place is the root, which needs no finding.
        let (way, check, row) = (goal.way.clone(), goal.check, goal.row);
        self.run = Run { way, check, row, found: 1, ..Run::default() };
        self.runs = self.runs.saturating_add(1);
        if self.runs > RUNS_MAX {
            let text = format!("more than {RUNS_MAX} values would have to be tried");
            self.exhausted.get_or_insert(text);
        }
        self.exhausted.is_none()
    }

    /// Has more values made on each way, by other samples where they are not refused.
    pub(super) fn try_more(&mut self) {
        self.more_rows = &MORE_ROWS;
        for row in MORE_ROWS {
            self.checks.push_back(Goal { way: Box::from([Place::ROOT]), check: None, row });
        }
    }

    /// Which samples answer the whole type in this run.
    pub(super) fn root_row(&self) -> usize {
        self.run.row
    }

    /// Ends the run. Unless it is to be done again, what can be found on its way is known now.
    pub(super) fn end(&mut self) {
        if self.run.stop == Some(Stop::Again) {
            return;
        }
        if self.goals.pop_front().is_none() {
            self.checks.pop_front();
        }
    }

    pub(super) fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)
    }

    pub(super) fn slot(&self, place: Place) -> Option<&Slot> {
        self.node(place.node)?.slots.get(place.part)
    }

    fn slot_mut(&mut self, place: Place) -> Option<&mut Slot> {
        self.nodes.get_mut(place.node)?.slots.get_mut(place.part)
    }

    pub(super) fn part(&self, place: Place) -> Option<Part> {
        self.slot(place)?.part
    }

    /// Why there are parts of which nothing is known, if it is a limit.
    pub(super) fn exhausted(&self) -> Option<&str> {
        self.exhausted.as_deref()
    }

    /// Whether no sample can be made of what is at `place`.
    pub(super) fn is_barren(&self, place: Place) -> bool {
        self.slot(place).is_some_and(|slot| slot.is_barren || slot.unknown.is_some())
    }

    /// Notes which type asks at `place`.
    pub(super) fn name(&mut self, place: Place, of: &'static str) {
        if let Some(slot) = self.slot_mut(place) {
            slot.of = of;
        }
    }

    /// Notes what is asked for at `place`.
    pub(super) fn note(&mut self, place: Place, part: Part) -> Result<()> {
        self.go_on()?;
        let Some(slot) = self.slot_mut(place) else { return Ok(()) };
        let before = *slot.part.get_or_insert(part);
        if before == part || slot.unknown.is_some() {
            return Ok(());
        }
        let of = self.node(place.node).map_or("", |node| node.key.of);
        let why = "does not ask for the same each time, as adjacently tagged enums do, or is one \
                   of two types of this name";
        Err(self.fail(place, format!("`{of}` {why}")))
    }

    /// Notes what a variant holds.
    pub(super) fn note_content(&mut self, place: Place, form: Form) {
        if let Some(slot) = self.slot_mut(place) {
            slot.content = Some(form);
        }
    }

    /// A struct complains that a field came twice, after the field with the number `last`. So that
    /// is an alias: those are told like fields, and all names of a field are neighbours. The struct
    /// calls the field by its first name.
    pub(super) fn note_twice(&mut self, node: usize, name: &str, last: usize) -> Error {
        let names = self.node(node).map_or(&[][..], |node| node.key.names.0);
        let Some(first) = names.iter().position(|known| *known == name) else {
            return Error::Duplicate("without a name");
        };
        let is_alias =
            |part: &usize| matches!(self.part(Place { node, part: *part }), Some(Part::Alias(_)));
        let alias =
            if first == last { (0..last).rev().find(|part| !is_alias(part)) } else { Some(last) };
        let Some(slot) = alias.and_then(|part| self.slot_mut(Place { node, part })) else {
            return Error::Duplicate("without a second name");
        };
        slot.part = Some(Part::Alias(first));
        self.stop(Stop::Again)
    }

    /// The node at `place`, which is as deep as `depth`.
    pub(super) fn meet(&mut self, place: Place, key: Key, depth: usize) -> Result<usize> {
        self.go_on()?;
        if depth > DEPTH_MAX {
            let why = format!("has more than {DEPTH_MAX} levels of types inside each other");
            return Err(self.fail(place, format!("`{}` {why}", key.of)));
        }
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None if key.len > PARTS_MAX.saturating_sub(self.slots) => {
                let why = format!("has {} parts, and all types together may have", key.len);
                return Err(self.fail(place, format!("`{}` {why} {PARTS_MAX}", key.of)));
            }
            None => self.add(key),
        };
        self.note(place, Part::Node(number))?;
        Ok(number)
    }

    fn add(&mut self, key: Key) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node::new(key));
        self.numbers.insert(key, number);
        self.slots = self.slots.saturating_add(key.len).saturating_add(1);
        let way_here: Box<[Place]> = self.run.entered.clone().into();
        let parts = match key.form {
            Form::Option | Form::Sequence | Form::Map => 1,
            Form::Enum => key.len,
            Form::Unit | Form::Newtype | Form::Tuple | Form::Struct => 0,
        };
        for part in 0..parts {
            let here = [Place { node: number, part }];
            let way: Box<[Place]> = way_here.iter().copied().chain(here).collect();
            for row in self.more_rows {
                self.checks.push_back(Goal { way: way.clone(), check: None, row: *row });
            }
            self.goals.push_back(Goal { way, check: None, row: 0 });
        }
        let are_tried = key.form == Form::Struct && key.len <= FIELDS_TRIED_MAX && key.len > 0;
        let has_names = matches!(key.form, Form::Struct | Form::Enum);
        for (check, is_due) in [(Check::Names, has_names), (Check::Fields, are_tried)] {
            if is_due {
                let goal = Goal { way: way_here.clone(), check: Some((number, check)), row: 0 };
                self.checks.push_back(goal);
            }
        }
        number
    }

    /// The part of this node that the way goes through, if it does.
    pub(super) fn follow(&mut self, node: usize) -> Option<usize> {
        let place = self.run.way.get(self.run.found).filter(|place| place.node == node)?;
        self.run.found = self.run.found.saturating_add(1);
        Some(place.part)
    }

    /// What is to be tried of this node, if this is the end of the way to it.
    pub(super) fn check(&self, node: usize) -> Option<Check> {
        let is_there = self.run.found >= self.run.way.len();
        let (_, check) = self.run.check.filter(|(number, _)| is_there && *number == node)?;
        Some(check)
    }

    /// The node takes a name that it has not announced, or does not.
    pub(super) fn note_open(&mut self, number: usize, is_open: bool) {
        if let Some(node) = self.nodes.get_mut(number) {
            node.is_open = is_open;
        }
    }

    /// There is nothing more to learn in this run.
    pub(super) fn finish(&mut self) -> Error {
        self.stop(Stop::Done)
    }

    /// A struct complains that a field is missing, or of something else, or not at all.
    pub(super) fn note_missing(&mut self, number: usize, name: Option<&str>) -> Error {
        let node = self.nodes.get_mut(number);
        let slot = node.and_then(|node| {
            let part = node.key.names.0.iter().position(|known| Some(*known) == name)?;
            node.slots.get_mut(part)
        });
        match slot {
            Some(slot) if !slot.is_required => {
                slot.is_required = true;
                self.stop(Stop::Again)
            }
            _ => self.stop(Stop::Done),
        }
    }

    /// The variant to answer an enum at `place` with.
    pub(super) fn choose(&mut self, number: usize, place: Place) -> Result<usize> {
        if let Some(followed) = self.follow(number) {
            return Ok(followed);
        }
        let Some(node) = self.nodes.get(number) else { return Ok(0) };
        let is_fertile = |part: &usize| !self.is_barren(Place { node: number, part: *part });
        if let Some(ends) = node.ends.filter(is_fertile) {
            return Ok(ends);
        }
        let mut untried = (node.tried..node.key.len).chain(0..node.tried);
        let chosen = untried.find(is_fertile).filter(|_| !node.is_endless);
        match chosen {
            None => Err(self.fail_within(place)),
            Some(_) if self.is_inside(number) => Err(self.try_others(number, place)),
            Some(chosen) => Ok(chosen),
        }
    }

    /// An enum contains itself, by a way through enums none of which is known to come to an end:
    /// tries the next combination of their variants, the innermost first.
    fn try_others(&mut self, number: usize, place: Place) -> Error {
        for inner in self.run.entered.iter().rev() {
            let Some(node) = self.nodes.get_mut(inner.node) else { continue };
            if node.key.form == Form::Enum && node.ends.is_none() {
                node.tried = node.tried.saturating_add(1);
                if node.tried < node.slots.len() {
                    return self.stop(Stop::Again);
                }
                node.tried = 0;
            }
            if inner.node == number {
                break;
            }
        }
        if let Some(node) = self.nodes.get_mut(number) {
            node.is_endless = true;
        }
        let of = self.node(number).map_or("", |node| node.key.of);
        self.fail(place, format!("`{of}` has no value that comes to an end"))
    }

    /// Whether the run is inside of this node.
    pub(super) fn is_inside(&self, node: usize) -> bool {
        self.run.entered.iter().any(|place| place.node == node)
    }

    pub(super) fn enter(&mut self, place: Place) -> Result<()> {
        self.go_on()?;
        self.steps = self.steps.saturating_add(1);
        if self.steps > STEPS_MAX {
            let text = format!("more than {STEPS_MAX} samples would have to be made");
            self.exhausted.get_or_insert(text);
            return Err(self.stop(Stop::Done));
        }
        self.run.entered.push(place);
        Ok(())
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
        place: Place,
        of: &'static str,
        (row, rows_max): (usize, usize),
        error: &Error,
    ) -> Error {
        let next = row.saturating_add(1);
        if next < rows_max {
            self.rows.insert(of, next);
            return self.stop(Stop::Again);
        }
        if self.run.row > 0 {
            // It has taken another one.
            return self.stop(Stop::Done);
        }
        let error: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
        self.fail(place, format!("`{of}` refuses every sample value ({error})"))
    }

    /// Whether the run is to be stopped; types may have caught the error that said so.
    pub(super) fn is_stopped(&self) -> bool {
        self.run.stop.is_some()
    }

    fn go_on(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// What is at `place` cannot be known.
    pub(super) fn fail(&mut self, place: Place, reason: String) -> Error {
        self.note_unknown(place, reason, false)
    }

    /// The same, and only a format that describes what comes could show it.
    pub(super) fn fail_undescribed(&mut self, place: Place, reason: String) -> Error {
        self.note_unknown(place, reason, true)
    }

    fn note_unknown(&mut self, place: Place, reason: String, needs_description: bool) -> Error {
        let stop = match self.slot_mut(place) {
            Some(slot) if slot.unknown.is_none() => {
                slot.unknown = Some(Unknown { reason: reason.into(), needs_description });
                Stop::Again
            }
            _ => Stop::Done,
        };
        self.stop(stop)
    }

    /// The type that the run is inside of cannot be known.
    pub(super) fn fail_around(&mut self, reason: String) -> Error {
        let around = self.run.entered.iter().rev().nth(1).copied();
        self.fail_undescribed(around.unwrap_or(Place::ROOT), reason)
    }

    /// No value can be made at `place`, since something within it is not known.
    pub(super) fn fail_within(&mut self, place: Place) -> Error {
        let stop = match self.slot_mut(place) {
            Some(slot) if !slot.is_barren => {
                slot.is_barren = true;
                Stop::Again
            }
            _ => Stop::Done,
        };
        self.stop(stop)
    }

    fn stop(&mut self, stop: Stop) -> Error {
        self.run.stop.get_or_insert(stop);
        Error::Stopped
    }
}
