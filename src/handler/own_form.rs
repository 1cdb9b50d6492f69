//! How the endpoint's own commands that take nothing say what they tell: in lines or in JSON.

use bytes::{Bytes, BytesMut};

use super::route::Spoken;
use crate::error::{Code, Error, Result};
use crate::service::Work;
use crate::wire::FormatWord;

/// In which form.
pub(super) enum Form {
    Lines,
    #[cfg(feature = "json")]
    Json,
}

impl Form {
    /// Lines if no format is named, or JSON.
    ///
    /// # Errors
    ///
    /// `unsupported_format` with this text.
    pub(super) fn of(format: Option<FormatWord>, text: &'static str) -> Result<Self> {
        match format.as_ref().map(FormatWord::as_bytes) {
            None => Ok(Self::Lines),
            #[cfg(feature = "json")]
            Some(b"json") => Ok(Self::Json),
            Some(_) => Err(Error::found(Code::UnsupportedFormat, text)),
        }
    }

    /// Checks that the payload of the command of this name says nothing.
    ///
    /// # Errors
    ///
    /// `bad_payload`.
    pub(super) fn check_nothing(&self, name: &str, payload: &Bytes) -> Result<()> {
        #[cfg(feature = "json")]
        if matches!(self, Self::Json) && &**payload == b"null" {
            // What a caller has to say who says nothing in JSON.
            return Ok(());
        }
        no_payload(name, payload)
    }
}

/// A text that is there, as a reply. Plainly it ends with a line.
pub(super) fn told(
    mut text: String,
    spoken: Spoken,
    hold: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Work> {
    if matches!(spoken, Spoken::Plainly(_)) && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    hold(text.len())?;
    Ok(ready(text.as_bytes()))
}

pub(super) fn ready(reply: &[u8]) -> Work {
    Box::pin(std::future::ready(Ok(BytesMut::from(reply))))
}

pub(super) fn no_payload(name: &str, payload: &Bytes) -> Result<()> {
    if payload.is_empty() {
        return Ok(());
    }
    Err(Error::found(Code::BadPayload, format!("{name} takes no payload")))
}
