//! A command is a constant.
//!
//! [`Command`] ties a name to a request type, a reply type and a format. The answering side, the
//! asking side and a gateway are given the same constant, so nothing is typed twice and a mismatch
//! is a compile error. It holds no code: what runs is registered with an
//! [`Endpoint`](crate::Endpoint).

use std::fmt;
use std::marker::PhantomData;

#[cfg(feature = "bincode")]
use crate::format::Bincode;
use crate::wire::Name;

/// A name tied to the types of its request and its reply, and to the format they travel in.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use switchboard::{Command, format::Json};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet {
///     name: String,
/// }
///
/// const GREET: Command<Greet, String> = Command::new("GREET"); // in bincode, the default
/// const SHOUT: Command<String, String, Json> = Command::new("SHOUT");
/// ```
#[cfg(feature = "bincode")]
pub struct Command<Req, Rep, F = Bincode> {
    name: Name,
    types: PhantomData<fn(Req, F) -> Rep>,
}

/// A name tied to the types of its request and its reply, and to the format they travel in.
#[cfg(not(feature = "bincode"))]
pub struct Command<Req, Rep, F> {
    name: Name,
    types: PhantomData<fn(Req, F) -> Rep>,
}

impl<Req, Rep, F> Command<Req, Rep, F> {
    /// The command of this name: 1 to 64 printable ASCII bytes without space, not beginning with
    /// `<`, `>`, `?` or a digit.
    ///
    /// # Panics
    ///
    /// If the name breaks these rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let name = Name::new(name);
        assert!(!name.is_reserved(), "command names that begin with `?` belong to the endpoint");
        Self { name, types: PhantomData }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }
}

impl<Req, Rep, F> Clone for Command<Req, Rep, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Rep, F> Copy for Command<Req, Rep, F> {}

impl<Req, Rep, F> fmt::Debug for Command<Req, Rep, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.name)
    }
}
