//! How an error becomes a line and a body, and what is said of a call a line.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::event::Whose;
use crate::error::{Code, Error, Told};
use crate::wire::{Line, Metadata, Options, Outbox, Part, Tag};

pub(super) fn no_more_calls() -> Error {
    Error::found(Code::ShuttingDown, "no more calls are taken")
}

/// The error of a call without an end of its own, when no more calls are taken.
pub(crate) fn endless() -> Error {
    drained(true, "the call would not end by itself, and the endpoint drains".to_owned())
}

/// The error of a call that a drain ends, which is this side's doing. `ran` says that it may have
/// run. If it is a stream, whoever comes after may well take it up again.
pub(super) fn drained(is_streamed: bool, text: String) -> Error {
    let error = Error::found(Code::ShuttingDown, text);
    if is_streamed { error.with_retry_after(RETRY_AFTER) } else { error }
}

/// When it is worth asking whether somebody is there again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The error of whoever sends or takes items of a call that is over.
pub(crate) fn takes_no_items() -> Error {
    Error::found(Code::Cancelled, "the call is over, and takes no more items")
}

/// What the end of a call keeps until it is written: a reply, or an error with its details.
pub(crate) fn reply_bytes(reply: &Result<BytesMut, Error>) -> usize {
    reply.as_ref().map_or_else(|error| error.told().bytes(), BytesMut::len)
}

/// Writes an error, as far as it is for the peer: with tag 0 about the whole connection.
pub(super) fn push_error(
    tag: Tag,
    error: &Error,
    metadata: Option<&Metadata>,
    outbox: &mut Outbox,
) {
    let Told { word, text, retry_after, details } = error.told();
    let bytes = |len| u64::try_from(len).unwrap_or(u64::MAX);
    let text = if tag == 0 { as_line(text) } else { Bytes::copy_from_slice(text.as_bytes()) };
    let (len, details_len) = (text.len().saturating_add(details.len()), bytes(details.len()));
    let options = Options::of_error(details_len, retry_after, error.has_run());
    let (len, options) = (bytes(len), options.with_some_metadata(metadata));
    outbox.push_line(&Line::Reply(tag, Part::Err(len, word), options));
    outbox.push_body(text);
    outbox.push_body(Bytes::copy_from_slice(details));
}

/// Writes a line about a call, to whoever made it or takes it.
pub(super) fn push_part(
    (whose, tag): (Whose, Tag),
    part: Part,
    options: Options,
    outbox: &mut Outbox,
) {
    outbox.push_line(&match whose {
        Whose::Ours => Line::Request(tag, part, options),
        Whose::Theirs => Line::Reply(tag, part, options),
    });
}

/// For a person who speaks to the endpoint by hand: what comes next begins on a line of its own.
fn as_line(text: &str) -> Bytes {
    let mut line = BytesMut::from(text);
    if !text.is_empty() {
        line.extend_from_slice(b"\n");
    }
    line.freeze()
}
