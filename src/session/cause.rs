//! Why a connection ended, for those whose calls it took along and those who call after it.
//!
//! | what ended it                  | a call under way              | a call made afterwards  |
//! |--------------------------------|-------------------------------|-------------------------|
//! | the peer ended its side, also  |                               |                         |
//! | in the middle of something     | `disconnected`                | `disconnected`, unsent  |
//! | the stream broke               | `disconnected`                | `disconnected`, unsent  |
//! | the peer was too slow          | `deadline_exceeded`           | `disconnected`, unsent  |
//! | the peer broke the protocol    | `protocol`, fault of the peer | `disconnected`, unsent  |
//!
//! Each text names the cause, and the source is the error of the stream or the [`Violation`]. The
//! first cause counts: what breaks afterwards broke by it. What the peer itself said of its end
//! comes before all of them (`Outbound`).

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;

use super::Violation;
use crate::error::{Code, Error};

#[derive(Debug)]
pub(super) enum Cause {
    /// The peer ended its side.
    Ended,
    /// This side ended it, by and by.
    Closed,
    /// The peer broke the protocol, or was too slow.
    Violated(Violation),
    /// The stream failed. Nothing of the stream's own is in the error: it is shown and dropped
    /// where no code of a user's may run.
    Lost(Error),
    /// A plain call of the peer was the last, or has left the stream out of step.
    OutOfStep,
    /// Nobody moves it on any more.
    Abandoned(&'static str),
}

impl Cause {
    /// The error of a call that was under way.
    pub(super) fn of_call(&self) -> Error {
        let (code, text) = (self.code(), self.text());
        let text = match self {
            Self::Ended => "the connection was closed before the reply came".to_owned(),
            Self::Lost(_) if code == Code::Disconnected => {
                format!("the connection was lost: {text}")
            }
            _ => text.into_owned(),
        };
        let error = self.with_source(Error::local(code, text));
        // Whoever breaks the protocol was to answer.
        if code == Code::Protocol { error.of_reply() } else { error.after_sending() }
    }

    /// The error of a call that was made afterwards.
    pub(super) fn of_connection(&self) -> Error {
        let text = format!("the connection is closed: {}", self.text());
        self.with_source(Error::local(Code::Disconnected, text))
    }

    fn code(&self) -> Code {
        match self {
            Self::Violated(Violation::CutShort) => Code::Disconnected,
            Self::Violated(Violation::Slow(..)) => Code::DeadlineExceeded,
            Self::Violated(_) => Code::Protocol,
            // A write that took too long has failed as well.
            Self::Lost(error) => error.code(),
            Self::Ended | Self::Closed | Self::OutOfStep | Self::Abandoned(_) => Code::Disconnected,
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Ended => "the peer ended its side".into(),
            Self::Closed => "this side closed it".into(),
            Self::Violated(violation @ (Violation::CutShort | Violation::Slow(..))) => {
                violation.to_string().into()
            }
            Self::Violated(violation) => format!("the peer broke the protocol: {violation}").into(),
            Self::Lost(error) => error.text().into(),
            Self::OutOfStep => "behind a plain call of the peer nothing can be read".into(),
            Self::Abandoned(why) => (*why).into(),
        }
    }

    fn with_source(&self, error: Error) -> Error {
        match self {
            Self::Violated(violation) => error.with_source(*violation),
            Self::Lost(lost) => match lost.source().and_then(|source| source.downcast_ref()) {
                Some(source) => error.with_source(copy(source)),
                None => error.with_source(lost.to_string()),
            },
            Self::Ended | Self::Closed | Self::OutOfStep | Self::Abandoned(_) => error,
        }
    }
}

/// The same error once more, for one caller among many.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
