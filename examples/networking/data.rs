//! What both sides know: the commands, and the data that travels.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::successors;

use serde::{Deserialize, Serialize};
use switchboard::Command;

/// Raw: a line of text comes, a line of text goes back.
pub(crate) const STRING: &str = "STRING";

/// Raw, for Go programs: a gob of a [`ComplexData`] comes, nothing goes back.
#[cfg(feature = "gob")]
pub(crate) const GOB: &str = "GOB";

/// Gives the struct back.
pub(crate) const STRUCT: Command<ComplexData, ComplexData> = Command::new("STRUCT");

/// How many of this item there are.
pub(crate) const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");

/// The square of a number.
pub(crate) const SQUARE: Command<u32, u64> = Command::new("SQUARE");

/// Waits so many milliseconds before it answers.
pub(crate) const WAIT: Command<u64, ()> = Command::new("WAIT");

/// A bit of everything, itself included. The fields have the names that they have in Go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ComplexData {
    pub(crate) n: i64,
    pub(crate) s: String,
    // Ordered, so that it looks the same whenever it is printed.
    pub(crate) m: BTreeMap<String, i64>,
    pub(crate) p: Vec<u8>,
    pub(crate) c: Option<Box<Self>>,
}

impl ComplexData {
    /// One struct with another one inside.
    pub(crate) fn sample() -> Self {
        let map = |pairs: [(&str, i64); 3]| pairs.map(|(key, n)| (key.to_owned(), n)).into();
        let inner = Self {
            n: 256,
            s: "Recursive structs? Piece of cake!".to_owned(),
            m: map([("01", 1), ("10", 2), ("11", 3)]),
            ..Self::default()
        };
        Self {
            n: 23,
            s: "string data".to_owned(),
            m: map([("one", 1), ("two", 2), ("three", 3)]),
            p: b"abc".to_vec(),
            c: Some(Box::new(inner)),
        }
    }
}

/// One line for each level. Text is quoted, so that nobody can send us control characters to print.
impl fmt::Display for ComplexData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, data) in successors(Some(self), |data| data.c.as_deref()).enumerate() {
            let which = if level == 0 { "outer" } else { "\n  inner" };
            let Self { n, s, m, p, .. } = data;
            let p = p.escape_ascii();
            write!(f, "{which} struct: n = {n}, s = {s:?}, m = {m:?}, p = \"{p}\"")?;
        }
        Ok(())
    }
}
