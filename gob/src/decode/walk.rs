//! Finds the end of a value, without recursion and without making anything of it.
//!
//! Where a value ends can only be told by following it, type by type. The stack for that is our
//! own, so depth costs memory in proportion to the input and never the thread's stack. All that a
//! value could be wrong in by itself is found here, so what reads it afterwards deals with right
//! bytes only: numbers of the right size, counts that are covered by bytes, fields that there are,
//! limits that are kept.
//!
//! ```text
//!            begin          fields, elements, entries
//!   value ──────────► frames ──────────────────────────┐
//!                       ▲ ◄─────────────────────────────┘
//!                       │ enter           │ the name in an interface has been read
//!                       │                 ▼
//!                  type known ◄───── Stop::Type: the id comes, perhaps with definitions before it
//! ```

use super::types::Types;
use crate::definition::Fields;
use crate::error::{Error, Result};
use crate::kinds::{Definition, Kind};
use crate::limits::Limits;
use crate::wire::Reader;

/// How far a value has been followed.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    frames: Vec<Frame>,
    elements: usize,
}

/// Why the walk stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The value is over.
    Done,
    /// What comes next is the id of the type in an interface: [`Walk::enter_interface`].
    Type,
    /// The value in the last interface that was entered is over, and more comes behind it.
    InterfaceEnd,
}

/// Something that has more inside.
#[derive(Debug)]
enum Frame {
    Struct {
        number: u32,
        fields: Fields,
    },
    Elements {
        element: Kind,
        left: usize,
    },
    Entries {
        key: Kind,
        value: Kind,
        left: usize,
        is_value_next: bool,
    },
    /// The bytes that will be left behind the value in an interface; unknown if definitions came
    /// in between, which are not counted.
    Interface {
        left_after: Option<usize>,
    },
}

impl Walk {
    /// Begins with a value that is not inside another one, or with the one in an interface.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn begin(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<Option<Stop>> {
        check_start(kind, reader, types)?;
        self.enter(kind, reader, types, limits)
    }

    /// Forgets where it was.
    pub(crate) fn reset(&mut self) {
        self.frames.clear();
        self.elements = 0;
    }

    /// Follows the value until it is over, or a type is to be known.
    ///
    /// # Errors
    ///
    /// `Malformed`, or `Limit`.
    pub(crate) fn run(
        &mut self,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<Stop> {
        while let Some(frame) = self.frames.last_mut() {
            let next = match frame {
                Frame::Struct { number, fields } => match fields.next(reader)? {
                    Some(field) => field_kind(types, *number, field),
                    None => None,
                },
                Frame::Elements { element, left } => left.checked_sub(1).map(|fewer| {
                    *left = fewer;
                    *element
                }),
                Frame::Entries { key, value, left, is_value_next } => {
                    if *is_value_next {
                        *is_value_next = false;
                        Some(*value)
                    } else {
                        left.checked_sub(1).map(|fewer| {
                            (*left, *is_value_next) = (fewer, true);
                            *key
                        })
                    }
                }
                Frame::Interface { left_after } => {
                    if left_after.is_some_and(|left| left != reader.left()) {
                        return Err(reader.malformed("an interface value of another length"));
                    }
                    self.frames.pop();
                    return Ok(Stop::InterfaceEnd);
                }
            };
            match next {
                None => {
                    self.frames.pop();
                }
                Some(kind) => {
                    if let Some(stop) = self.enter(kind, reader, types, limits)? {
                        return Ok(stop);
                    }
                }
            }
        }
        Ok(Stop::Done)
    }

    /// Goes into an interface whose type has become known.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn enter_interface(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<Option<Stop>> {
        let before = *reader;
        let count = reader.uint()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let Some(left_after) = reader.left().checked_sub(count) else {
            return Err(before.malformed("an interface value longer than its message"));
        };
        self.push(Frame::Interface { left_after: Some(left_after) }, limits)?;
        self.begin(kind, reader, types, limits)
    }

    /// Goes into an interface behind its type and its length, of bytes that have been walked
    /// through before: what was said of lengths does not hold without the definitions in between.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn enter_passed_interface(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<Option<Stop>> {
        self.push(Frame::Interface { left_after: None }, limits)?;
        self.begin(kind, reader, types, limits)
    }

    /// A definition has come in the middle: the lengths of what is open do not hold for it.
    pub(crate) fn interrupt(&mut self) {
        for frame in &mut self.frames {
            if let Frame::Interface { left_after } = frame {
                *left_after = None;
            }
        }
    }

    /// Passes a value that has nothing inside, or opens one that has.
    fn enter(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<Option<Stop>> {
        match kind {
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Float => {
                reader.uint()?;
            }
            Kind::Complex => {
                reader.uint()?;
                reader.uint()?;
            }
            Kind::Bytes | Kind::String => {
                reader.bytes()?;
            }
            Kind::Interface => {
                let (len, max) = (reader.bytes()?.len(), limits.name_bytes_max);
                if len > max {
                    let what = format!("a type name of {len} bytes");
                    return Err(Error::limit(what, "name_bytes_max", max));
                }
                return Ok((len > 0).then_some(Stop::Type));
            }
            Kind::Defined(number) => self.enter_defined(number, reader, types, limits)?,
        }
        Ok(None)
    }

    fn enter_defined(
        &mut self,
        number: u32,
        reader: &mut Reader<'_>,
        types: &Types,
        limits: &Limits,
    ) -> Result<()> {
        let before = *reader;
        match types.definition(number) {
            Definition::Struct { fields, .. } => {
                self.push(Frame::Struct { number, fields: Fields::of(fields.len()) }, limits)
            }
            Definition::Array { element, len, .. } => {
                let count = count(reader, [*element])?;
                if count != *len {
                    let text = format!("{count} elements of an array of {len}");
                    return Err(before.malformed(text));
                }
                self.charge(count, limits)?;
                self.push(Frame::Elements { element: *element, left: count }, limits)
            }
            Definition::Slice { element, .. } => {
                let count = count(reader, [*element])?;
                self.charge(count, limits)?;
                self.push(Frame::Elements { element: *element, left: count }, limits)
            }
            Definition::Map { key, value, .. } => {
                let count = count(reader, [*key, *value])?;
                self.charge(count, limits)?;
                let (key, value) = (*key, *value);
                let frame = Frame::Entries { key, value, left: count, is_value_next: false };
                self.push(frame, limits)
            }
            Definition::Opaque { .. } => reader.bytes().map(drop),
            Definition::Choice { .. } | Definition::Missing => {
                Err(before.malformed("a value of a type that is not defined"))
            }
        }
    }

    fn push(&mut self, frame: Frame, limits: &Limits) -> Result<()> {
        let (depth, max) = (self.frames.len().saturating_add(1), limits.depth_max);
        if depth > max {
            return Err(Error::limit(format!("nesting of {depth} levels"), "depth_max", max));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn charge(&mut self, count: usize, limits: &Limits) -> Result<()> {
        self.elements = self.elements.saturating_add(count);
        let (elements, max) = (self.elements, limits.elements_max);
        if elements > max {
            return Err(Error::limit(format!("{elements} elements"), "elements_max", max));
        }
        Ok(())
    }

    /// Elements and entries seen in the value so far.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }
}

/// Passes the byte 0 that is in front of every value that is no struct, unless it is inside
/// another one.
pub(crate) fn check_start(kind: Kind, reader: &mut Reader<'_>, types: &Types) -> Result<()> {
    let before = *reader;
    if types.fields(kind).is_none() && reader.uint()? != 0 {
        return Err(before.malformed("no 0 before a value that is no struct"));
    }
    Ok(())
}

/// Passes a value of a type that is known, in bytes that have been walked through before.
pub(crate) fn skip(
    kind: Kind,
    reader: &mut Reader<'_>,
    types: &Types,
    limits: &Limits,
) -> Result<()> {
    let mut walk = Walk::default();
    let mut stop = walk.enter(kind, reader, types, limits)?;
    loop {
        stop = match stop {
            None | Some(Stop::InterfaceEnd) => Some(walk.run(reader, types, limits)?),
            Some(Stop::Done) => return Ok(()),
            Some(Stop::Type) => {
                let kind = types.read_known(reader)?;
                reader.uint()?;
                walk.enter_passed_interface(kind, reader, types, limits)?
            }
        };
    }
}

/// The number of elements or entries. Where there can be interfaces in them, they may come with
/// further messages, and only `elements_max` bounds their number.
fn count<const PARTS: usize>(reader: &mut Reader<'_>, parts: [Kind; PARTS]) -> Result<usize> {
    if parts.iter().any(|part| matches!(part, Kind::Interface | Kind::Defined(_))) {
        return Ok(usize::try_from(reader.uint()?).unwrap_or(usize::MAX));
    }
    reader.count()
}

fn field_kind(types: &Types, number: u32, field: usize) -> Option<Kind> {
    let fields = types.fields(Kind::Defined(number))?;
    fields.get(field.checked_sub(1)?).map(|field| field.kind)
}
