//! What a handler returns, and how its error becomes one of ours.
//!
//! It decides nothing: what of an error the caller learns is decided where the handler is called.
//! A type says here what it is for. One that becomes an [`Error`] by `From` is the program's word;
//! one whose type says nothing is a matter for the log. A type that is neither is refused at
//! compile time, so that nobody writes a `From` that is never asked.
//!
//! The second sort is known by what it derefs to, since the library knows neither `anyhow` nor its
//! kin. No type is of two sorts unless somebody makes it so: an [`Error`] derefs to nothing.

use std::error::Error as StdError;
use std::ops::Deref;

use crate::error::{Error, Result};

/// The output of a handler's future: a `Result` of the command's reply. `Kind` is that of
/// [`IntoError`], and inferred.
#[diagnostic::on_unimplemented(
    message = "a handler of this command returns `Result<{Rep}, E>`, and this one `{Self}`",
    label = "does not return `Result<{Rep}, E>`"
)]
pub trait Outcome<Rep, Kind> {
    /// The reply, or the error as one of ours.
    ///
    /// # Errors
    ///
    /// The error that the handler returned.
    fn outcome(self) -> Result<Rep>;
}

impl<Rep, E: IntoError<Kind>, Kind> Outcome<Rep, Kind> for Result<Rep, E> {
    fn outcome(self) -> Result<Rep> {
        self.map_err(E::into_error)
    }
}

/// The errors that a handler may return:
///
/// - an [`Error`], or **a type of your own that becomes one** by `From`, with the code, text and
///   details that the caller gets. An `io::Error` is such a type too, and tells the caller nothing;
/// - **an error without a type of its own**: `anyhow::Error`, `Box<dyn Error + Send + Sync>`, or
///   any type that derefs to `dyn Error + Send + Sync` and goes into such a box. The caller gets
///   `failed`, and the log has the rest;
/// - **a text**, which is treated in the same way.
///
/// Most errors of other crates are not among them. Inside a handler, [`Error::internal`] keeps such
/// an error for the log, and [`Error::new`] makes one for the caller.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Code, Command, Endpoint, Error};
///
/// const OPEN: Command<u32, String> = Command::new("OPEN");
///
/// enum JobError {
///     Missing(u32),
///     Unreadable(std::num::ParseIntError),
/// }
///
/// impl From<JobError> for Error {
///     fn from(error: JobError) -> Self {
///         match error {
///             JobError::Missing(id) => Self::new(Code::NotFound, format!("there is no job {id}")),
///             JobError::Unreadable(error) => Self::internal(error),
///         }
///     }
/// }
///
/// async fn open(id: u32) -> Result<String, JobError> {
///     "7".parse::<u32>().map_err(JobError::Unreadable)?;
///     Err(JobError::Missing(id))
/// }
///
/// let endpoint = Endpoint::new().on(OPEN, open);
/// # }
/// ```
///
/// `Kind` tells the sorts apart. It is inferred.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` of this handler cannot be told to a caller",
    label = "a handler cannot fail with `{Self}`",
    note = "`impl From<{Self}> for switchboard::Error` says what the caller gets",
    note = "for an error of another crate return `switchboard::Result`, with \
            `.map_err(Error::internal)?` where it comes from, or return it in a \
            `Box<dyn Error + Send + Sync>`: the caller gets `failed`, and the log the rest"
)]
pub trait IntoError<Kind> {
    /// This error as one of ours.
    fn into_error(self) -> Error;
}

/// Of errors that become an [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OfType;

/// Of errors without a type of their own.
#[derive(Debug)]
#[non_exhaustive]
pub struct OfAnyType;

/// Of errors that are a text.
#[derive(Debug)]
#[non_exhaustive]
pub struct OfText;

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> IntoError<OfType> for E {
    fn into_error(self) -> Error {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<E> IntoError<OfAnyType> for E
where
    E: Deref<Target = dyn StdError + Send + Sync> + Into<Box<dyn StdError + Send + Sync>>,
{
    fn into_error(self) -> Error {
        // An `Error` that went into a box by `?` is what its author made.
        self.into().downcast::<Error>().map_or_else(Error::internal, |error| *error)
    }
}

#[diagnostic::do_not_recommend]
impl IntoError<OfText> for String {
    fn into_error(self) -> Error {
        Error::internal(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoError<OfText> for &str {
    fn into_error(self) -> Error {
        Error::internal(self)
    }
}
