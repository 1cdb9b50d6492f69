//! Both sides of a type: what it reads, and what it writes.

use serde::{Deserialize, Serialize};

use crate::compare::{Difference, Roles, compare};
use crate::shape::Shape;
use crate::trace::trace_and_watch;
use crate::types::Encoding;
use crate::watch::Watch;

/// What a type reads and what it writes, which its author means to be the same.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use switchboard_shape::{Encoding, Layout, Sides};
///
/// #[derive(Serialize, Deserialize)]
/// enum State {
///     Open,
///     #[serde(skip_deserializing)]
///     Broken,
///     Closed {
///         #[serde(skip_serializing_if = "String::is_empty")]
///         reason: String,
///     },
/// }
///
/// let differences = Sides::of::<State>(Encoding::Text).differences("state");
/// let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
/// assert_eq!(told, [
///     // bincode reads a number that it has not written.
///     "state::Closed: variant 2 here, variant 1 there",
///     // And `#[serde(default)]` was forgotten.
///     "state::Closed.reason: may be missing here, has to be there",
/// ]);
/// assert!(!differences[1].is_forgiven_by(Layout::Named));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sides {
    /// What is read: [`Shape::of`].
    pub read: Shape,
    /// What is written, as far as samples show it.
    pub written: Shape,
}

impl Sides {
    /// Reads `T` from samples and writes them again. A sample cannot be had of a type in which
    /// something unknown has to be; then what is written is unknown, too. So is what does not come
    /// to an end within two million parts, in all samples together.
    #[must_use]
    pub fn of<'de, T: Deserialize<'de> + Serialize>(encoding: Encoding) -> Self {
        let mut watch = Watch::new::<T>(encoding);
        let read = trace_and_watch::<T>(encoding, |sample| watch.look(sample));
        Self { read: Shape::new(read), written: Shape::new(watch.finish()) }
    }

    /// Where what is written (here) is not what is read (there), 100 places at most. `name` is what
    /// the paths begin with. Fields and variants that are read and never written are told, and
    /// forgiven by formats with names if reading goes without them.
    #[must_use]
    pub fn differences(&self, name: &str) -> Vec<Difference> {
        compare(self.written.types(), self.read.types(), name, Roles::WrittenAndRead)
    }
}
