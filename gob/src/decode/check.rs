//! Whether a receiver's types can take what a sender's types announce.
//!
//! Go looks at the types before it looks at a value, so that a field of the wrong type is found
//! even while it is zero and left out. Each pair of types is looked at once, which ends recursion;
//! the way to each is kept, to say where it does not fit.

use std::collections::HashSet;

use super::types::Types;
use crate::error::{Error, ErrorKind, Result, Shown, Step};
use crate::kinds::{Definition, Field, Kind, UPPER_CASE, described};
use crate::schema::Schema;

/// Two types that are to fit, and how they were come by.
struct Pair {
    sent: Kind,
    wanted: Kind,
    // The pair that led here, and the step from it.
    parent: Option<(usize, Step)>,
}

struct Check<'a> {
    types: &'a Types,
    wanted: &'a [Definition],
    pairs: Vec<Pair>,
    seen: HashSet<(Kind, Kind)>,
}

/// Checks that a value of the type `sent` fits the schema.
///
/// # Errors
///
/// `Mismatch`, with the way to what does not fit.
pub(super) fn check(types: &Types, sent: Kind, wanted: &Schema) -> Result<()> {
    let definitions = wanted.definitions();
    let mut check = Check { types, wanted: definitions, pairs: Vec::new(), seen: HashSet::new() };
    check.add(sent, wanted.root().0, None);
    check_common_field(types, sent, definitions, wanted.root().0)?;
    let mut next = 0;
    while let Some(Pair { sent, wanted, .. }) = check.pairs.get(next) {
        let (sent, wanted) = (*sent, *wanted);
        if !check.fits(next, sent, wanted) {
            return Err(check.error(next));
        }
        next = next.saturating_add(1);
    }
    Ok(())
}

/// Of two structs that both have fields, one at least must be common to them.
fn check_common_field(
    types: &Types,
    sent: Kind,
    definitions: &[Definition],
    wanted: Kind,
) -> Result<()> {
    let (Some(sent), Kind::Defined(number)) = (types.fields(sent), wanted) else {
        return Ok(());
    };
    let Some(Definition::Struct { fields, name }) = definitions.get(number as usize) else {
        return Ok(());
    };
    let is_common = fields.iter().any(|field| find(sent, &field.name).is_some());
    if is_common || fields.is_empty() || sent.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
    Err(no_common_field(name, &names, sent))
}

/// The struct `wanted` has the fields `names`, and the sender's has others.
#[cold]
pub(super) fn no_common_field(wanted: &str, names: &[&str], sent: &[Field]) -> Error {
    let wanted =
        if wanted.is_empty() { "a struct" } else { &format!("the struct {}", Shown(wanted)) };
    let sent: Vec<&str> = sent.iter().map(|field| &*field.name).collect();
    let mut text = format!(
        "the sender's type has no field of {wanted}: it has {}; wanted {}",
        listed(&sent),
        listed(names)
    );
    let plain = |name: &&str| name.replace('_', "").to_lowercase();
    let plain_names: HashSet<String> = names.iter().map(plain).collect();
    if sent.iter().map(plain).any(|name| plain_names.contains(&name)) {
        text.push_str("; ");
        text.push_str(UPPER_CASE);
    }
    Error::new(ErrorKind::Mismatch, text)
}

/// The first of these names.
fn listed(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(8).map(|name| Shown(name).to_string()).collect();
    let end = if names.len() > first.len() { ", .." } else { "" };
    format!("{}{end}", first.join(", "))
}

impl Check<'_> {
    /// Whether two types fit by themselves; what is inside them is added to the pairs.
    fn fits(&mut self, index: usize, sent: Kind, wanted: Kind) -> bool {
        let number = match (sent, wanted) {
            (_, Kind::Interface) | (Kind::String, Kind::Bytes) => return true,
            (_, Kind::Defined(number)) => number as usize,
            (sent, wanted) => return sent == wanted,
        };
        let sent = match sent {
            Kind::Defined(number) => Some(self.types.definition(number)),
            Kind::Interface => None,
            _ => return false,
        };
        match (sent, self.wanted.get(number)) {
            (None, Some(Definition::Choice { .. })) => true,
            // It is `()`, which nil becomes as well.
            (None, Some(Definition::Struct { name, fields })) => {
                name.is_empty() && fields.is_empty()
            }
            (
                Some(Definition::Array { element: sent, len: sent_len, .. }),
                Some(Definition::Array { element: wanted, len, .. }),
            ) => {
                self.add(*sent, *wanted, Some((index, Step::Element)));
                sent_len == len
            }
            (
                Some(Definition::Slice { element: sent, .. }),
                Some(Definition::Slice { element: wanted, .. }),
            ) => {
                self.add(*sent, *wanted, Some((index, Step::Element)));
                true
            }
            (
                Some(Definition::Map { key: sent_key, value: sent, .. }),
                Some(Definition::Map { key, value: wanted, .. }),
            ) => {
                self.add(*sent_key, *key, Some((index, Step::Key("key".into()))));
                self.add(*sent, *wanted, Some((index, Step::Element)));
                true
            }
            (
                Some(Definition::Struct { fields: sent, .. }),
                Some(Definition::Struct { fields, .. }),
            ) => {
                for Field { name, kind } in fields {
                    if let Some(sent) = find(sent, name) {
                        self.add(sent, *kind, Some((index, Step::Field(name.clone()))));
                    }
                }
                true
            }
            (
                Some(Definition::Opaque { by: sent, .. }),
                Some(Definition::Opaque { by: wanted, .. }),
            ) => sent == wanted,
            _ => false,
        }
    }

    fn add(&mut self, sent: Kind, wanted: Kind, parent: Option<(usize, Step)>) {
        if self.seen.insert((sent, wanted)) {
            self.pairs.push(Pair { sent, wanted, parent });
        }
    }

    #[cold]
    fn error(&self, index: usize) -> Error {
        let mut place = self.pairs.get(index);
        let (sent, wanted) =
            place.map_or((Kind::Interface, Kind::Interface), |pair| (pair.sent, pair.wanted));
        let sent = described(self.types.definitions(), sent);
        let mut error = Error::mismatch(described(self.wanted, wanted), sent);
        while let Some(Pair { parent: Some((parent, step)), .. }) = place {
            error = error.inside(step.clone());
            place = self.pairs.get(*parent);
        }
        error
    }
}

fn find(fields: &[Field], name: &str) -> Option<Kind> {
    fields.iter().find(|field| *field.name == *name).map(|field| field.kind)
}
