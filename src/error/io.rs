//! Errors of the standard library's input and output, both ways.
//!
//! Whoever reads and writes by tokio's traits speaks of [`io::Error`], so an [`Error`] goes through
//! such code inside of one, and comes out as it was. An `io::Error` of anything else says that a
//! stream of bytes has failed.

use std::io::{self, ErrorKind};

use super::{Code, Error};

impl Error {
    /// A stream of bytes has failed, whatever the error is made of: a stream may go through a call
    /// of another connection, and what was wrong with that call is nothing that this one says.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        Self::local(Code::Disconnected, error.to_string()).with_source(error)
    }

    /// This error for code that reads or writes, which calls it `cancelled` by this kind: nobody
    /// sends, or nobody takes.
    #[cfg(feature = "io")]
    pub(crate) fn into_io(self, cancelled: ErrorKind) -> io::Error {
        let kind = if self.code() == Code::Cancelled { cancelled } else { kind(self.code()) };
        io::Error::new(kind, self)
    }
}

/// What was an [`Error`] before is that error again. Any other is a lost connection; the cause is
/// kept as the source.
///
/// ```
/// use std::io;
/// use switchboard::{Code, Error};
///
/// let error = io::Error::from(Error::new(Code::NotFound, "no file of that name"));
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
/// assert_eq!(Error::from(error).text(), "no file of that name");
///
/// let error = Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
/// assert_eq!(error.code(), Code::Disconnected);
/// ```
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::of_stream)
    }
}

/// An error of the kind that is nearest to the code. The error is inside:
/// [`get_ref`](io::Error::get_ref) shows it, and [`downcast`](io::Error::downcast) or a `?` in a
/// function of [`Result`](super::Result) takes it out.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(kind(error.code()), error)
    }
}

/// The kind that is nearest to a code. None of them asks whoever meets it to try again at once.
const fn kind(code: Code) -> ErrorKind {
    match code {
        Code::UnknownCommand | Code::UnsupportedFormat => ErrorKind::Unsupported,
        Code::BadPayload | Code::Protocol => ErrorKind::InvalidData,
        Code::TooLarge => ErrorKind::FileTooLarge,
        Code::Invalid => ErrorKind::InvalidInput,
        Code::NotFound => ErrorKind::NotFound,
        Code::DeadlineExceeded => ErrorKind::TimedOut,
        Code::Cancelled | Code::ShuttingDown => ErrorKind::ConnectionAborted,
        Code::Overloaded => ErrorKind::ResourceBusy,
        Code::Unauthenticated | Code::Denied => ErrorKind::PermissionDenied,
        Code::Disconnected => ErrorKind::ConnectionReset,
        Code::Conflict | Code::Failed | Code::Panicked => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_out_of_an_io_error_as_it_was() {
        for code in Code::ALL {
            let error = Error::new(*code, "why").with_source("a cause");
            let error = io::Error::from(error);
            let asks_for_another_try = [ErrorKind::Interrupted, ErrorKind::WouldBlock];
            assert!(!asks_for_another_try.contains(&error.kind()), "{code}");
            let inside = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            assert_eq!(inside.map(Error::code), Some(*code));
            let error = Error::from(error);
            assert_eq!((error.code(), error.text()), (*code, "why"));
            assert!(std::error::Error::source(&error).is_some(), "{code}");
        }
    }

    #[test]
    fn the_error_of_a_call_that_carries_a_stream_is_no_error_of_another_connection() {
        let error = io::Error::from(Error::found(Code::Overloaded, "full"));
        assert_eq!(Error::of_stream(error).code(), Code::Disconnected);
    }
}
