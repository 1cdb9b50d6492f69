//! What goes wrong while a type is asked. No user sees it: the graph knows why a run has stopped.

use std::fmt;

/// Why a type made no value of a sample.
#[derive(Debug)]
pub(crate) enum Error {
    /// The run is to be stopped.
    Stopped,
    Missing(&'static str),
    Duplicate(&'static str),
    /// Whatever else the type says.
    Custom(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("tracing has stopped"),
            Self::Missing(name) => write!(f, "missing field `{name}`"),
            Self::Duplicate(name) => write!(f, "duplicate field `{name}`"),
            Self::Custom(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Custom(text.to_string())
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::Duplicate(name)
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Custom(text.to_string())
    }
}
