//! The shape of a Rust type, found by watching how the type is read.
//!
//! A type's `Deserialize` tells nearly everything that a shape is made of: it asks for an integer,
//! for a struct with these fields, for each field in turn. So it is run on a deserializer that
//! notes each request and answers it with a sample (`sampler`). What was noted is a graph whose
//! nodes are structs, enums, sequences and so on (`graph`), and becomes a list of types (`lift`).
//!
//! The theory is how a graph that may be cyclic is walked by values that may not. A run goes to one
//! unknown thing: what a certain option, sequence or map contains, or what a certain variant of an
//! enum does. The way to it is known, since it was met on that way; everything else is answered
//! with nothing, if it can be nothing, or with a variant that is known to come to an end. What is
//! met for the first time is put in a queue, and so the ways are short. A run is started over if it
//! shows that a sample is refused, that a field's name is an alias, or that a variant does not come
//! to an end. All nodes being known, the queue is empty. Then each struct is run with fields left
//! out, until it misses none, and structs and enums with a name that they have not announced.
//!
//! What cannot be known is noted as such at its place, and all the rest goes on without it: its
//! field is left out, or its variant. If that cannot be (a tuple needs all its elements), then the
//! type around it is *barren*: it has a shape and no sample, and is left out in turn. A way may go
//! through a barren type all the same, since a type asks before it complains.
//!
//! A node is recognised by the type of its visitor, as `type_name` prints it, with the name, the
//! fields or variants it announces. This tells instances of generic types and types of one name
//! apart. Names may clash all the same (two versions of a crate, two blocks of one function). Then
//! the two differ in what they announce, or ask for, and are unknown; or they are alike.
//!
//! Each run learns something or is the last on its way, and there are limits for the number of runs
//! and of samples, so tracing ends.

use serde::Deserialize;

use self::graph::Graph;
use self::lift::lift;
use self::sampler::sample;
use crate::types::{Encoding, Types};

mod error;
mod graph;
mod lift;
mod nodes;
mod sampler;
mod samples;
mod strange;

/// The types that are met while `T` is read.
pub(crate) fn trace<'de, T: Deserialize<'de>>(encoding: Encoding) -> Types {
    run::<T>(Graph::new(encoding), |_| ())
}

/// The same, and `watch` gets each sample of `T` that could be made. There are more of them: texts
/// and numbers that are not empty, in case that what is empty is not written.
pub(crate) fn trace_and_watch<'de, T: Deserialize<'de>>(
    encoding: Encoding,
    watch: impl FnMut(&T),
) -> Types {
    let mut graph = Graph::new(encoding);
    graph.try_more();
    run(graph, watch)
}

fn run<'de, T: Deserialize<'de>>(mut graph: Graph, mut watch: impl FnMut(&T)) -> Types {
    while graph.begin() {
        if let Some(value) = sample::<T>(&mut graph) {
            watch(&value);
        }
        graph.end();
    }
    lift(&graph)
}

#[cfg(test)]
mod tests;
