//! One number for a shape, the same wherever a shape cannot be told apart from this one.
//!
//! What is hashed is a text in which each type has a number and refers to others by theirs. Two
//! programs may share types in different ways, such as one `Point` in two places or two types that
//! look alike, and so types that cannot be told apart must have one number. They are found by
//! refinement of a partition (Moore's algorithm for finite automata): types that differ by
//! themselves are in different classes, and classes are split while types in them lead to different
//! ones. That no class is split any more is the end, also for types that contain themselves.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::types::{Content, Id, Type, Types};

/// What the text begins with. It changes whenever the text does.
const VERSION: &str = "switchboard-shape 1\n";

pub(crate) fn fingerprint(types: &Types) -> u64 {
    fnv1a(text(types).as_bytes())
}

/// FNV-1a with 64 bits, by G. Fowler, L. C. Noll, K.-P. Vo and D. Eastlake: draft-eastlake-fnv.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(OFFSET_BASIS, mix)
}

/// A line for each class, in the order in which they are met from the outside.
fn text(types: &Types) -> String {
    let classes = classes(types);
    let class = |id: Id| classes.get(types.content(id).0 as usize).copied().unwrap_or(0);
    let mut numbers = HashMap::from([(class(types.root()), 0_usize)]);
    let mut queue = vec![types.content(types.root())];
    let mut text = VERSION.to_owned();
    let mut at = 0_usize;
    while let Some(id) = queue.get(at).copied() {
        at = at.saturating_add(1);
        let Some(of) = types.of(id) else { continue };
        text.push_str(&label(of));
        for part in of.parts() {
            let next = numbers.len();
            let number = *numbers.entry(class(part)).or_insert(next);
            if number == next {
                queue.push(types.content(part));
            }
            // Writing into a `String` does not fail.
            let _ = write!(text, " {number}");
        }
        text.push('\n');
    }
    text
}

/// For each type the number of its class.
fn classes(types: &Types) -> Vec<usize> {
    let mut classes: Vec<usize> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for id in types.ids() {
        let label = types.of(types.content(id)).map(label).unwrap_or_default();
        let next = known.len();
        classes.push(*known.entry(label).or_insert(next));
    }
    let mut count = known.len();
    loop {
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut finer = Vec::new();
        for id in types.ids() {
            let content = types.content(id);
            let class = |id: Id| classes.get(id.0 as usize).copied().unwrap_or(0);
            let parts = types.of(content).map(Type::parts).unwrap_or_default();
            let key = std::iter::once(content).chain(parts).map(class).collect();
            let next = known.len();
            finer.push(*known.entry(key).or_insert(next));
        }
        classes = finer;
        if known.len() == count {
            return classes;
        }
        count = known.len();
    }
}

/// What a type is by itself. Names of types, newtypes and aliases are not on any wire.
fn label(of: &Type) -> String {
    match of {
        Type::Primitive(primitive) => primitive.name().to_owned(),
        Type::Unit { .. } => "unit".to_owned(),
        Type::Newtype { .. } => "newtype".to_owned(),
        Type::Option { .. } => "option".to_owned(),
        Type::Sequence { .. } => "sequence".to_owned(),
        Type::Map { .. } => "map".to_owned(),
        Type::Tuple { elements, .. } => format!("tuple {}", elements.len()),
        Type::Struct { fields, .. } => {
            let mut label = "struct".to_owned();
            for field in fields {
                let mark = if field.is_optional { "?" } else { "" };
                let _ = write!(label, " {:?}{mark}", field.name);
            }
            label
        }
        Type::Enum { variants, .. } => {
            let mut label = "enum".to_owned();
            for variant in variants {
                let mark = if variant.content == Content::Unit { "" } else { "=" };
                let _ = write!(label, " {}:{:?}{mark}", variant.index, variant.name);
            }
            label
        }
        Type::Unknown { .. } => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // From the appendix of draft-eastlake-fnv.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
