//! Shapes as JSON Schema, draft 2020-12.
//!
//! The schema says what serde_json reads, in the form in which it writes: it knows nothing of
//! structs as arrays of their fields or of unit variants as `{"Name": null}`, which serde_json
//! reads as well. Which types stand under `$defs` is told in `plan`, and what becomes of each in
//! `print`.

use std::any::type_name;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::types::{Types, without_pointers};

mod check;
mod plan;
mod print;

pub use self::check::InvalidJson;

/// A JSON Schema, of draft 2020-12; `to_string` gives its text.
///
/// What is unknown may be anything, with the reason in a comment, unless a schema that was made in
/// another way is put in its place:
///
/// ```
/// use serde::Deserialize;
/// use switchboard_shape::{Encoding, Shape};
///
/// #[derive(Deserialize)]
/// #[serde(untagged)]
/// enum Amount {
///     Number(u32),
///     Text(String),
/// }
///
/// let shape = Shape::of::<Vec<Amount>>(Encoding::Text);
/// let schema = shape.json_schema().put::<Amount>(r#"{"type": ["integer", "string"]}"#)?;
/// assert_eq!(
///     schema.to_string(),
///     r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","##.to_owned()
///         + r##""type":"array","items":{"$ref":"#/$defs/Amount"},"##
///         + r##""$defs":{"Amount":{"type": ["integer", "string"]}}}"##
/// );
/// # Ok::<(), switchboard_shape::InvalidJson>(())
/// ```
#[derive(Clone)]
pub struct JsonSchema {
    types: Arc<Types>,
    put: HashMap<&'static str, String>,
}

impl JsonSchema {
    pub(crate) fn new(types: Arc<Types>) -> Self {
        Self { types, put: HashMap::new() }
    }

    /// Describes `T` by this schema wherever it stands, whether it is known or not. It is taken as
    /// it is: what its `$ref`s lead to is looked for in the whole schema, unless it has an `$id`.
    ///
    /// # Errors
    ///
    /// `InvalidJson` if the text is not one JSON object, `true` or `false`.
    pub fn put<T: ?Sized>(mut self, schema: &str) -> Result<Self, InvalidJson> {
        check::check(schema)?;
        self.put.insert(without_pointers(type_name::<T>()), schema.to_owned());
        Ok(self)
    }

    /// The same with the schema that the crate `schemars` makes of `T`.
    #[cfg(feature = "schemars")]
    #[must_use]
    pub fn put_schemars<T: schemars::JsonSchema>(mut self) -> Self {
        let mut schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>();
        // Its `$ref`s lead to its own `$defs`.
        let id = format!("urn:schemars:{}", plan::word(&T::schema_id()));
        schema.insert("$id".to_owned(), id.into());
        let text = schema.as_value().to_string();
        self.put.insert(without_pointers(type_name::<T>()), text);
        self
    }
}

impl fmt::Display for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::print(&self.types, &self.put))
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSchema").field(&self.to_string()).finish()
    }
}
