//! Whoever lends a session its input, in a test.

use std::time::Instant;

use bytes::BytesMut;
use switchboard::session::{Holds, Host};
use switchboard::wire::Name;
use switchboard::{Error, Facts};

/// Has one time, and memory as a test likes.
#[derive(Debug)]
pub struct Lender<M> {
    now: Instant,
    /// What every command has in place of limits.
    pub facts: Option<Facts>,
    /// What a command has in place of limits by its name, where not all have the same.
    pub facts_by_name: Option<fn(&Name) -> Option<Facts>>,
    /// The names for which facts were asked.
    pub names: Vec<Name>,
    /// What was left of the input when a body had been taken out.
    pub rests: Vec<usize>,
    memory: M,
}

/// All the memory that is wanted.
pub type Roomy = fn(Holds) -> Result<(), Error>;

impl Lender<Roomy> {
    pub fn roomy(now: Instant) -> Self {
        Self::new(now, |_| Ok(()))
    }
}

impl<M: FnMut(Holds) -> Result<(), Error>> Lender<M> {
    pub fn new(now: Instant, memory: M) -> Self {
        let (names, rests) = (Vec::new(), Vec::new());
        Self { now, facts: None, facts_by_name: None, names, rests, memory }
    }
}

impl<M: FnMut(Holds) -> Result<(), Error>> Host for Lender<M> {
    fn now(&mut self) -> Instant {
        self.now
    }

    fn facts_of(&mut self, name: &Name) -> Option<Facts> {
        self.names.push(*name);
        self.facts_by_name.map_or(self.facts, |facts_of| facts_of(name))
    }

    fn settle(&mut self, rest: &mut BytesMut) {
        self.rests.push(rest.len());
    }

    fn hold(&mut self, holds: Holds) -> Result<(), Error> {
        (self.memory)(holds)
    }
}
