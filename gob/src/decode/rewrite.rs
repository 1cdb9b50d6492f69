//! A value on its way from one stream into another: all stays as it is but the ids of types.
//!
//! The only ids inside a value stand in its interfaces, each before a length that changes with
//! those inside it. So a value that can have no interfaces is copied, and any other is
//! [walked](super::walk) through once more, without recursion and without making anything of it.

use std::ops::Range;

use super::scan::Whole;
use super::types::Types;
use super::walk::{Stop, Walk};
use crate::error::Result;
use crate::kinds::{Kind, TypeId};
use crate::limits::Limits;
use crate::wire::{Reader, put_int, put_uint, replace_by_uint};

/// Appends the value with the ids that `id_of` gives to its types.
///
/// # Errors
///
/// `Limit`, if these are not the limits within which the value was read.
pub(super) fn rewrite(
    whole: Whole<'_>,
    types: &Types,
    limits: &Limits,
    id_of: impl Fn(Kind) -> TypeId,
    out: &mut Vec<u8>,
) -> Result<()> {
    if !types.has_interfaces(whole.kind) {
        out.extend_from_slice(whole.bytes);
        return Ok(());
    }
    let mut reader = Reader::new(whole.bytes, 0);
    let mut copied = reader;
    let mut walk = Walk::default();
    // Where the lengths of the interface values are that are not over.
    let mut lengths: Vec<Range<usize>> = Vec::new();
    let mut stop = walk.begin(whole.kind, &mut reader, types, limits)?;
    loop {
        let stopped = match stop {
            Some(stopped) => stopped,
            None => walk.run(&mut reader, types, limits)?,
        };
        let passed = copied.left().saturating_sub(reader.left());
        out.extend_from_slice(copied.rest().get(..passed).unwrap_or_default());
        copied = reader;
        stop = match stopped {
            Stop::Done => return Ok(()),
            Stop::InterfaceEnd => {
                if let Some(place) = lengths.pop() {
                    let len = out.len().saturating_sub(place.end);
                    replace_by_uint(out, place, u64::try_from(len).unwrap_or(u64::MAX));
                }
                None
            }
            Stop::Type => {
                let kind = types.read_known(&mut reader)?;
                put_int(out, id_of(kind));
                let len_at = out.len();
                // Right most of the time, and put right otherwise.
                put_uint(out, reader.uint()?);
                lengths.push(len_at..out.len());
                copied = reader;
                walk.enter_passed_interface(kind, &mut reader, types, limits)?
            }
        };
    }
}
