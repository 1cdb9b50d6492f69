//! The key of a map's entry as a step in the path of an error.
//!
//! Both sides have only its bytes when something is wrong with the entry. This makes text of them,
//! and no value.

use crate::error::Step;
use crate::kinds::Kind;
use crate::wire::Reader;

/// To the value of a map's key, which is of a basic type and has these bytes on the wire.
#[cold]
pub(crate) fn step_to(key: Kind, bytes: &[u8]) -> Step {
    let mut reader = Reader::new(bytes, 0);
    let text = match key {
        Kind::Bool => reader.bool().map(|key| key.to_string()),
        Kind::Int => reader.int().map(|key| key.to_string()),
        Kind::Uint => reader.uint().map(|key| key.to_string()),
        Kind::Float => reader.float().map(|key| key.to_string()),
        Kind::String => reader.bytes().map(|key| quoted(&String::from_utf8_lossy(key))),
        _ => return Step::Element,
    };
    text.map_or(Step::Element, |text| Step::Key(text.into()))
}

/// Its first characters, as in the path of an error.
fn quoted(key: &str) -> String {
    match key.char_indices().nth(32) {
        Some((end, _)) => format!("{:?}...", key.get(..end).unwrap_or_default()),
        None => format!("{key:?}"),
    }
}
