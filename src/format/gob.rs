//! Go's gob, by our own `switchboard-gob`, which knows nothing of payloads and budgets.
//!
//! A payload is a stream of its own: the definitions of the types, then the value. What a plain
//! stream may leave out, because it was said before, is put back where it is read.

use std::any::type_name;
use std::panic::catch_unwind;

use ::bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_gob::{Decoder, Encoder, ErrorKind, Limits as GobLimits, Progress, Schema};
use switchboard_shape::{Encoding, Layout};

#[cfg(doc)]
use super::Json;
use super::budget::Budget;
use super::carry::{self, Carrier, Verdicts};
use super::encoding::{self, Careful, Refusal, Written};
use super::stack::{with_room_for_buffers, with_type_room};
use super::{Codec, Format, Framing, Outline, Tongues};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// The format of everything that is `Serialize + DeserializeOwned`, as Go's `encoding/gob`.
///
/// Go takes notice only of fields whose names begin with an upper-case letter, so a struct needs
/// `#[serde(rename_all = "PascalCase")]`. A command of another format is spoken in this one too if
/// Go takes notice of all fields of its types. The definitions of the types are found out by what
/// the type asks of its deserializer; for a few types that cannot be, and encoding them is an
/// error: see [`Schema`]. A type that does not read what it writes has no form in it, as in
/// [`Json`]. As in Go, `-0.0` in a field is not sent, and read as `0.0`.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::Limits;
/// use switchboard::format::{Budget, Format, Gob};
///
/// let mut out = BytesMut::new();
/// Gob::encode(&vec!["a".to_owned(), "b".to_owned()], &Limits::default(), &mut out)?;
/// // As Go writes []string{"a", "b"}.
/// let go = b"\x0c\xff\x81\x02\x01\x02\xff\x82\x00\x01\x0c\x00\x00\x08\xff\x82\x00\x02\x01a\x01b";
/// assert_eq!(out, go[..]);
///
/// let budget = Budget::new(&Limits::default(), out.len());
/// let value: Vec<String> = Gob::decode(out.freeze(), &budget)?;
/// assert_eq!(value, ["a", "b"]);
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Gob {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Format<T> for Gob {
    const NAME: &'static str = NAME;
    const FRAMING: Framing = Framing::Gob;

    fn encode(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<()> {
        carry::encode::<Self, T>(value, limits, out)
    }

    fn decode(payload: Bytes, budget: &Budget) -> Result<T> {
        with_room_for_buffers(budget, || {
            let refused = |cause| refused(budget, cause);
            let mut decoder = Decoder::with_limits(bounds(&payload, budget));
            let Progress { used_bytes, is_complete, .. } =
                decoder.push(&payload).map_err(refused)?;
            if !is_complete {
                let text = "the payload is not valid gob: it ends in the middle of a value";
                return Err(Error::found(Code::BadPayload, text));
            }
            budget.check_all_used(NAME, payload.len().saturating_sub(used_bytes))?;
            with_type_room::<T, _>(|| decoder.check::<T>()).map_err(refused)?;
            let mut value = decoder.deserializer().map_err(refused)?;
            budget.deserialize(&mut value).map_err(refused)
        })
    }

    fn check() -> Result<()> {
        // The type's own code runs, which is not trusted where others are served.
        let Ok(schema) = catch_unwind(|| with_type_room::<T, _>(Schema::of::<T>)) else {
            let text = format!("`{}` panics when it is asked for its form", type_name::<T>());
            return Err(Error::local(Code::Failed, text));
        };
        schema.map(drop).map_err(|cause| {
            let text = format!("`{}` has no form in gob: {}", type_name::<T>(), cause.text());
            Error::local(Code::Failed, text).with_source(cause)
        })?;
        carry::check::<Self, T>()
    }

    fn outline() -> Option<Outline> {
        carry::outline::<Self, T>()
    }

    fn alternatives() -> Vec<Codec<T>> {
        T::tongues()
    }
}

impl<T: Serialize + DeserializeOwned> Carrier<T> for Gob {
    const ENCODING: Encoding = Encoding::Binary;
    const LAYOUT: Layout = Layout::Named;

    fn verdicts() -> &'static Verdicts {
        &VERDICTS
    }

    fn write(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<Written<()>, Refusal> {
        let written = encoding::encode::<Careful, _, _, _>(NAME, limits, value, |value| {
            let schema = with_type_room::<T, _>(Schema::of::<T>)?;
            let mut payload = Vec::new();
            Encoder::with_limits(unlimited()).encode_as(&schema, value, &mut payload)?;
            Ok::<_, switchboard_gob::Error>(payload)
        })?;
        let Written { made, is_doubtful } = written;
        out.extend_from_slice(&made);
        Ok(Written { made: (), is_doubtful })
    }
}

/// Whether values of this type have a form in gob in which Go takes notice of all their fields.
pub(super) fn is_for_go<T: Serialize + DeserializeOwned>() -> bool {
    // Its schema has been found by then, and is kept.
    let is_seen = || Schema::of::<T>().is_ok_and(|schema| schema.check_names_for_go().is_ok());
    <Gob as Format<T>>::check().is_ok() && with_type_room::<T, _>(is_seen)
}

/// What the budget does not see: how deep a value is before it is decoded. Elements are no more
/// than the payload has bytes, and the budget counts what they become.
fn bounds(payload: &Bytes, budget: &Budget) -> GobLimits {
    let mut bounds = unlimited();
    bounds.definition_bytes_max = payload.len();
    bounds.depth_max = budget.depth_max();
    bounds
}

/// What our own guards bound.
fn unlimited() -> GobLimits {
    let mut bounds = GobLimits::default();
    bounds.value_bytes_max = usize::MAX;
    bounds.depth_max = usize::MAX;
    bounds.elements_max = usize::MAX;
    bounds
}

/// The texts of `switchboard-gob` are made for the sender: they say where and which type, and of
/// the payload no more than a key on the way there and the name of a type.
fn refused(budget: &Budget, cause: switchboard_gob::Error) -> Error {
    match cause.kind() {
        ErrorKind::Limit => Error::found(Code::TooLarge, cause.to_string()).with_source(cause),
        ErrorKind::Custom => budget.error(NAME, cause),
        _ => budget.error_with_detail(NAME, cause.to_string(), cause),
    }
}

const NAME: &str = "gob";

static VERDICTS: Verdicts = Verdicts::new();

/// How many times its bytes a definition takes in memory: a field of a struct 56 bytes with its
/// name, of which 5 are sent.
#[cfg(feature = "io")]
pub(crate) const DEFINITION_TIMES: usize = 12;
