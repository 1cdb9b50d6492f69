//! What the peer has said of the whole connection: that it takes no more calls, and that it has
//! answered all that it took.
//!
//! The last notice counts: a peer that drains and then meets a violation has ended calls that ran,
//! and `shutting_down` would say that they did not. After the farewell a call without an answer did
//! not run, and the notice is its answer. A peer that was killed while it drained ends the same way
//! but for the farewell.

use std::time::Duration;

use bytes::Bytes;

use crate::error::{Code, CodeWord, Error, TEXT_BYTES_MAX};
use crate::wire::Options;

#[derive(Debug, Default)]
pub(super) struct Parting {
    // Boxed: most connections never have one.
    notice: Option<Box<Notice>>,
    has_farewell: bool,
}

/// It has no format in which details could be read.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    word: CodeWord,
    retry_after: Option<Duration>,
    text: Bytes,
}

impl Parting {
    pub(super) fn handle_notice(&mut self, word: CodeWord, options: &Options, body: &Bytes) {
        let text = body.get(..options.text_bytes(body.len()).min(TEXT_BYTES_MAX));
        let text = Bytes::copy_from_slice(text.unwrap_or_default());
        self.notice = Some(Box::new(Notice { word, retry_after: options.retry_after(), text }));
    }

    /// The peer says that it has answered every call that it took.
    pub(super) fn handle_farewell(&mut self) {
        self.has_farewell = true;
    }

    /// Whether the peer has answered every call that it took, and takes no more.
    pub(super) const fn has_farewell(&self) -> bool {
        self.has_farewell
    }

    /// Whether the peer has said that no call can be made.
    pub(super) const fn is_refused(&self) -> bool {
        self.notice.is_some()
    }

    /// Why no call can be made, if the peer said so.
    pub(super) fn refusal(&self) -> Option<Error> {
        Some(self.notice.as_deref()?.error().before_sending())
    }

    /// What answers each call that has no reply, if the peer has said it.
    pub(super) fn answer(&self) -> Option<Notice> {
        let is_refusal = |code| matches!(code, Code::ShuttingDown | Code::Overloaded);
        let notice = self.notice.as_deref();
        let is_answer = |notice: &&Notice| self.has_farewell || !is_refusal(notice.word.code());
        notice.filter(is_answer).cloned()
    }
}

impl Notice {
    pub(super) fn error(&self) -> Error {
        let error = Error::from_peer(self.word, &self.text);
        match self.retry_after {
            Some(time) => error.with_retry_after(time),
            None => error,
        }
    }
}
