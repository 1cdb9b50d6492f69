//! Refuses what tracing could not find out, and what gob has no form for wherever it stands.

use std::collections::{HashMap, HashSet, VecDeque};

use switchboard_shape::{Content, Id, Primitive, Shape, Type};

use crate::error::{Error, Result, Step};

/// What to do about a type that cannot be traced.
pub(super) const WAY_OUT: &str =
    "build its schema by hand (Schema::builder) and write it with Encoder::encode_as";

/// How the reason ends if there is no value that could be written.
const ENDLESS: &str = "has no value that comes to an end";

/// # Errors
///
/// `Unsupported` with the way to the first type that is unknown or has no form.
pub(super) fn refuse_unknown(shape: &Shape) -> Result<()> {
    let mut queue = VecDeque::from([shape.root()]);
    let (mut ways, mut seen) = (Ways::new(), HashSet::new());
    while let Some(id) = queue.pop_front() {
        let Some(of) = shape.get(id).filter(|_| seen.insert(id)) else { continue };
        if let Some(text) = refusal(shape, id, of) {
            return Err(on_way(Error::unsupported(text), &ways, id));
        }
        for (part, step) in parts(of) {
            // The last of the shortest ways: of two types of one name, the second does not fit.
            if !seen.contains(&part) {
                queue.push_back(part);
                ways.insert(part, (id, step));
            }
        }
    }
    Ok(())
}

/// For each type one around it, and the step from there.
type Ways = HashMap<Id, (Id, Option<Step>)>;

fn refusal(shape: &Shape, id: Id, of: &Type) -> Option<String> {
    match of {
        Type::Unknown { reason, .. } if reason.ends_with(ENDLESS) => Some(reason.clone()),
        Type::Unknown { reason, .. } => Some(format!("{reason}: {WAY_OUT}")),
        Type::Primitive(Primitive::I128 | Primitive::U128) => {
            let of = shape.rust_name(id);
            let why = "has no form in gob, whose integers have 64 bits: use text or bytes";
            Some(format!("`{of}` {why}"))
        }
        _ => None,
    }
}

#[cold]
fn on_way(mut error: Error, ways: &Ways, mut id: Id) -> Error {
    while let Some((around, step)) = ways.get(&id) {
        if let Some(step) = step {
            error = error.inside(step.clone());
        }
        id = *around;
    }
    error
}

fn parts(of: &Type) -> Vec<(Id, Option<Step>)> {
    match of {
        Type::Newtype { content, .. } | Type::Option { content } => vec![(*content, None)],
        Type::Sequence { element } => vec![(*element, Some(Step::Element))],
        Type::Map { key, value } => vec![(*key, None), (*value, Some(Step::Element))],
        Type::Tuple { elements, .. } => {
            elements.iter().map(|element| (*element, Some(Step::Element))).collect()
        }
        Type::Struct { fields, .. } => {
            let field = |field: &switchboard_shape::Field| {
                (field.id, Some(Step::Field((*field.name).into())))
            };
            fields.iter().map(field).collect()
        }
        Type::Enum { variants, .. } => {
            let contents = variants.iter().map(|variant| variant.content);
            contents.filter_map(Content::id).map(|id| (id, None)).collect()
        }
        _ => Vec::new(),
    }
}
