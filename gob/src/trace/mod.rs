//! The definitions of a Rust type, found by watching how the type is read.
//!
//! A type's `Deserialize` tells everything that a schema is made of: it asks for an integer, for a
//! struct with these fields, for each field in turn. So it is run on a deserializer that notes each
//! request and answers it with a sample (`sampler`). What was noted is a graph whose nodes are
//! structs, enums, sequences and so on (`graph`); from it the definitions are made (`lower`). That
//! this is done once for each type is seen to by the schema that is made of them.
//!
//! The theory is how a graph that may be cyclic is walked by values that may not. A run goes to one
//! unknown thing: what a certain option, sequence or map contains, or what a certain variant of an
//! enum does. The way to it is known, since it was met on that way; everything else is answered
//! with nothing, if it can be nothing, or with a variant that is known to come to an end. What is
//! met for the first time is put in a queue, and so the ways are short. A run is started over if it
//! shows that a sample is refused, that a field's name is an alias, or that a variant does not come
//! to an end. All nodes being known, the queue is empty.
//!
//! A node is recognised by the type of its visitor, as `type_name` prints it, with the name, the
//! fields or variants it announces. This tells instances of generic types and types of one name
//! apart. Names may clash all the same (two versions of a crate, two blocks of one function). Then
//! the two differ in what they announce, or ask for, which is an error; or there is only nothing to
//! be seen of it, and a value that does not fit the schema is refused when it is written.

use std::any::type_name;

use serde::de::DeserializeOwned;

use self::graph::Graph;
use self::lower::lower;
use crate::error::Result;
use crate::kinds::{Definitions, Kind};

mod graph;
mod lower;
mod sampler;

/// A function that runs a type once: [`sample`] for some type.
pub(crate) type Sample = fn(&mut Graph);

/// Runs a type once; what it asked for is noted.
pub(crate) fn sample<T: DeserializeOwned>(graph: &mut Graph) {
    sampler::sample::<T>(graph, type_name::<T>());
}

/// The definitions and the kind of the type that `sample` runs.
///
/// # Errors
///
/// `Unsupported` if the type has no form in gob, or none that can be found out this way.
pub(crate) fn trace(sample: Sample) -> Result<(Definitions, Kind)> {
    let mut graph = Graph::new();
    while graph.begin()? {
        sample(&mut graph);
        graph.end()?;
    }
    lower(&graph)
}

#[cfg(test)]
mod tests;
