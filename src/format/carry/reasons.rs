//! Why a format does not carry a type: where in the type, and what is to be done.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use switchboard_shape::{
    Content, Difference, Encoding, Id, Layout, Primitive, Shape, Sides, Type, Variant,
};

/// Why no value of a type can be written or read in a format, if that shows in its shape.
pub(super) fn missing(shape: &Shape, layout: Layout) -> Option<String> {
    match layout {
        Layout::Positional => undescribed(shape),
        _ => keys_without_text(shape),
    }
}

/// Where a type asks for what only formats with names and kinds in them have.
fn undescribed(shape: &Shape) -> Option<String> {
    let (path, reason) = first(shape, |of| match of {
        Type::Unknown { reason, needs_description: true } => Some(reason.clone()),
        _ => None,
    })?;
    Some(format!("{}{reason}: use `Json` for this command", at(&path)))
}

/// Where a map has keys that are no text in JSON.
fn keys_without_text(shape: &Shape) -> Option<String> {
    let (path, ()) = first(shape, |of| match of {
        Type::Map { key, .. } if !may_be_text(shape, *key) => Some(()),
        _ => None,
    })?;
    let at = at(&format!("{path}[key]"));
    Some(format!("{at}the keys of a map are text in JSON: use a list of pairs"))
}

/// Whether a key may be written as text: numbers are, and an option is as what is in it.
fn may_be_text(shape: &Shape, key: Id) -> bool {
    let mut key = key;
    for _ in shape.ids() {
        match shape.get(key) {
            Some(Type::Newtype { content, .. } | Type::Option { content }) => key = *content,
            Some(Type::Primitive(primitive)) => {
                return *primitive != Primitive::Bytes;
            }
            Some(Type::Enum { variants, .. }) => {
                return variants.iter().any(|variant| variant.content == Content::Unit);
            }
            Some(Type::Unknown { .. }) | None => return true,
            Some(_) => return false,
        }
    }
    true
}

/// Whether there are parts of which there are no samples.
pub(super) fn has_unknown(shape: &Shape) -> bool {
    shape.ids().any(|id| matches!(shape.get(id), Some(Type::Unknown { .. })))
}

/// What a type writes and does not read, as far as that shows.
pub(super) fn difference<'de, T>(encoding: Encoding, layout: Layout) -> Option<String>
where
    T: Deserialize<'de> + Serialize,
{
    let differences = Sides::of::<T>(encoding).differences("");
    let is_minded = |difference: &&Difference| {
        !difference.is_forgiven_by(layout) && difference.here() != "unknown"
    };
    let minded = differences.iter().find(is_minded)?;
    let way_out = match layout {
        Layout::Positional => ": use `Json` for this command, or remove the attribute",
        _ => ": remove the attribute, or write another type",
    };
    Some(format!("{}{}{way_out}", at(minded.path()), told(minded)))
}

fn told(difference: &Difference) -> String {
    match (difference.here(), difference.there()) {
        ("no field" | "no variant", read) => format!("it is not written, and read as {read}"),
        (written, "no field" | "no variant") => format!("it is written as {written}, and not read"),
        ("may be missing", _) => "it is left out at times, and has to be there when it is read \
             (#[serde(default)] is missing)"
            .to_owned(),
        (written, read) => format!("it is written as {written}, and read as {read}"),
    }
}

fn at(path: &str) -> String {
    let path = path.trim_start_matches('.');
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// The first type of which `look` says something, and the way to it: fields `.name`, variants
/// `::Name`, elements `[]` and those of tuples `[2]`, keys of maps `[key]`.
fn first<R>(shape: &Shape, look: impl Fn(&Type) -> Option<R>) -> Option<(String, R)> {
    let mut seen = HashSet::from([shape.root()]);
    let mut queue = VecDeque::from([(shape.root(), String::new())]);
    while let Some((id, path)) = queue.pop_front() {
        let Some(of) = shape.get(id) else { continue };
        if let Some(found) = look(of) {
            return Some((path, found));
        }
        for (part, id) in parts(of) {
            if seen.insert(id) {
                queue.push_back((id, format!("{path}{part}")));
            }
        }
    }
    None
}

/// The types within a type, and the ways to them.
fn parts(of: &Type) -> Vec<(String, Id)> {
    match of {
        Type::Newtype { content, .. } | Type::Option { content } => {
            vec![(String::new(), *content)]
        }
        Type::Sequence { element } => vec![("[]".to_owned(), *element)],
        Type::Map { key, value } => vec![("[key]".to_owned(), *key), ("[]".to_owned(), *value)],
        Type::Tuple { elements, .. } => {
            let element = |(index, id): (usize, &Id)| (format!("[{index}]"), *id);
            elements.iter().enumerate().map(element).collect()
        }
        Type::Struct { fields, .. } => {
            fields.iter().map(|field| (format!(".{}", field.name), field.id)).collect()
        }
        Type::Enum { variants, .. } => {
            let content = |variant: &Variant| {
                variant.content.id().map(|id| (format!("::{}", variant.name), id))
            };
            variants.iter().filter_map(content).collect()
        }
        _ => Vec::new(),
    }
}
