//! Whether the other side means the same by a command as this one.
//!
//! It is asked by `?DESCRIBE`, which tells the shapes of a command's types, and the answer is
//! compared with this side's own. A fingerprint alone would say that they differ, and not where.

use serde::Deserialize;
use serde_json::Value;
use switchboard_shape::Shape;

use crate::command::Signature;
use crate::error::{Code, Error, Result, TEXT_BYTES_MAX};
use crate::format::{Budget, Format, Json, Outline};
use crate::limits::Limits;
use crate::service::{Request, Service};

/// Compares each of them; what differs is in the error, a line for each command.
pub(super) async fn check_all(
    service: &dyn Service,
    limits: &Limits,
    signatures: impl IntoIterator<Item = Signature>,
) -> Result<()> {
    let mut texts = Vec::new();
    for signature in signatures {
        let text = match describe(service, limits, &signature).await {
            Ok(description) => difference(&signature, &description),
            Err(error) if error.code() == Code::NotFound => Some(MISSING.to_owned()),
            Err(error) => return Err(error.in_command(signature.name.as_str())),
        };
        texts.extend(text.map(|text| format!("{}: {text}", signature.name)));
    }
    if texts.is_empty() {
        return Ok(());
    }
    Err(Error::local(Code::Conflict, texts.join("\n")))
}

async fn describe(service: &dyn Service, limits: &Limits, signature: &Signature) -> Result<Value> {
    let name = Value::from(signature.name.as_str()).to_string();
    let request = Request::new("?DESCRIBE", name)?.with_format("json")?;
    let reply = service.call(request).await?;
    let payload = reply.into_payload();
    let budget = Budget::new(limits, payload.len());
    Json::decode(payload, &budget).map_err(Error::of_reply)
}

/// In what the other side's command is not this one's, if it is so.
fn difference(signature: &Signature, theirs: &Value) -> Option<String> {
    if theirs.get("raw") == Some(&Value::Bool(true)) {
        return Some("it is a raw command there".to_owned());
    }
    let format = signature.format;
    let spoken: Vec<_> =
        theirs.get("formats").and_then(Value::as_array).into_iter().flatten().collect();
    if !spoken.iter().any(|spoken| *spoken == format) {
        let theirs = spoken.first().and_then(|first| first.as_str()).unwrap_or("unknown");
        return Some(format!("the format is {format} here, and {theirs} there"));
    }
    let request = (&signature.request, signature.request_items.as_ref());
    let reply = (&signature.reply, signature.reply_items.as_ref());
    let mut texts = Vec::new();
    for (part, (ours, our_items)) in [("request", request), ("reply", reply)] {
        let theirs = theirs.get(part).unwrap_or(&Value::Null);
        texts.extend(differences(part, ours.as_ref(), theirs, format));
        let their_items = theirs.get("items").filter(|items| !items.is_null());
        match (our_items, their_items) {
            (Some(ours), Some(theirs)) => {
                let name = format!("item of the {part}");
                texts.extend(differences(&name, ours.as_ref(), theirs, format));
            }
            (Some(_), None) => {
                texts.push(format!("the {part} comes in items here, and as one value there"));
            }
            (None, Some(_)) => {
                texts.push(format!("the {part} comes as one value here, and in items there"));
            }
            (None, None) => {}
        }
    }
    (!texts.is_empty()).then(|| readable(texts.join("; ")))
}

/// Where their part of a command looks different in this format.
fn differences(name: &str, ours: Option<&Outline>, theirs: &Value, format: &str) -> Vec<String> {
    let shape = theirs.get("shapes").and_then(|shapes| shapes.get(format));
    let shape = shape.and_then(|shape| Shape::deserialize(shape).ok());
    let compare = |(ours, theirs): (&Outline, Shape)| ours.differences(name, &theirs);
    let differences = ours.zip(shape).map(compare).unwrap_or_default();
    differences.iter().map(ToString::to_string).collect()
}

/// A text with names of the peer's in it, as [`Error::text`] has what a peer says: no longer than
/// that, and without control characters.
fn readable(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text }
}

/// What differs if the other side knows nothing of a command.
const MISSING: &str = "there is no such command there";
