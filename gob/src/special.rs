//! Go's types that serde has no word for.
//!
//! serde knows neither complex numbers nor bytes that a type makes itself. They travel through it
//! as newtypes with names that nobody else has; this crate's serializers know these, and in any
//! other format the types are what is inside them.

use crate::schema::Marshaler;

/// The name of a newtype whose content is a pair of floating-point numbers.
pub(crate) const COMPLEX: &str = "$gob:complex";

/// The name of the enum that [`Value`](crate::Value) is for serde.
pub(crate) const VALUE: &str = "$gob:value";

/// The name of a newtype whose content are bytes that a type made itself: who makes them, and the
/// name of the type.
pub(crate) fn opaque(name: &'static str) -> Option<(Marshaler, &'static str)> {
    let name = name.strip_prefix("$gob:")?;
    let (by, name) = name.split_once(':')?;
    let by = match by {
        "gob" => Marshaler::Gob,
        "binary" => Marshaler::Binary,
        "text" => Marshaler::Text,
        _ => return None,
    };
    Some((by, name))
}

/// TEMPORARY
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Complex {
    pub re: f64,
    pub im: f64,
}
