//! A shape, and all that can be done with one.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::compare::{Difference, Roles, compare};
use crate::fingerprint::fingerprint;
use crate::json::JsonSchema;
use crate::trace::{trace, trace_and_watch};
use crate::types::{Encoding, Id, Type, Types};

/// What a Rust type looks like for serde.
///
/// ```
/// use serde::Deserialize;
/// use switchboard_shape::{Encoding, Shape, Type};
///
/// #[derive(Deserialize)]
/// struct Item {
///     name: String,
///     price: Option<f64>,
/// }
///
/// let shape = Shape::of::<Vec<Item>>(Encoding::Text);
/// let Some(Type::Sequence { element }) = shape.get(shape.root()) else { panic!() };
/// let Some(Type::Struct { name, fields, .. }) = shape.get(*element) else { panic!() };
/// assert_eq!(*name, "Item");
/// assert_eq!(fields.iter().map(|field| &*field.name).collect::<Vec<_>>(), ["name", "price"]);
/// assert!(fields[1].is_optional);
/// ```
#[derive(Clone)]
pub struct Shape(Arc<Types>);

impl Shape {
    /// What is found by reading `T` from samples: what it asks for. `T` is read some hundred times
    /// at most for everyday types, so a shape is best kept.
    ///
    /// What cannot be found this way is [`Type::Unknown`] and says why: types that look at the data
    /// first (`#[serde(untagged)]`, `tag`, `flatten`), types that refuse all samples (`try_from`
    /// with a strict check), and whatever is over a limit. The limits are 10,000 values tried, two
    /// million samples made for them, 262,144 parts, and 200 levels of types inside each other.
    /// Of structs with more than 1,000 fields, each field counts as optional.
    #[must_use]
    pub fn of<'de, T: Deserialize<'de>>(encoding: Encoding) -> Self {
        Self::new(trace::<T>(encoding))
    }

    /// The same, and `look` is shown each sample of `T` that could be made: with each variant, with
    /// something and with nothing in each option, sequence and map, with numbers and texts that are
    /// empty and that are not.
    ///
    /// ```
    /// use switchboard_shape::{Encoding, Shape};
    ///
    /// let mut seen = Vec::new();
    /// let look = |sample: &Option<bool>| seen.push(*sample);
    /// let shape = Shape::of_samples::<Option<bool>>(Encoding::Binary, look);
    /// assert!([None, Some(false), Some(true)].iter().all(|sample| seen.contains(sample)));
    /// assert_eq!(shape.fingerprint(), Shape::of::<Option<bool>>(Encoding::Binary).fingerprint());
    /// ```
    #[must_use]
    pub fn of_samples<'de, T: Deserialize<'de>>(encoding: Encoding, look: impl FnMut(&T)) -> Self {
        Self::new(trace_and_watch::<T>(encoding, look))
    }

    pub(crate) fn new(types: Types) -> Self {
        Self(Arc::new(types))
    }

    pub(crate) fn types(&self) -> &Types {
        &self.0
    }

    /// The number of the type that the shape is of.
    #[must_use]
    pub fn root(&self) -> Id {
        self.0.root()
    }

    /// The type of a number; `None` for numbers of other shapes.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&Type> {
        self.0.of(id)
    }

    /// The name of the Rust type, as [`std::any::type_name`] prints it: not stable, for people. A
    /// shape of another program has none.
    #[must_use]
    pub fn rust_name(&self, id: Id) -> &'static str {
        self.0.rust_name(id)
    }

    /// A number that is the same for all shapes between which [`differences`](Self::differences)
    /// finds none, in all programs with a version 0.1 of this crate. It is FNV-1a with 64 bits:
    /// good against mistakes, not against attacks.
    ///
    /// ```
    /// use switchboard_shape::{Encoding, Shape};
    ///
    /// let list = Shape::of::<Vec<u8>>(Encoding::Binary).fingerprint();
    /// let set = Shape::of::<std::collections::BTreeSet<u8>>(Encoding::Binary).fingerprint();
    /// assert_eq!(list, set);
    /// assert_ne!(list, Shape::of::<Vec<u16>>(Encoding::Binary).fingerprint());
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.0)
    }

    /// Where this shape and another one differ, 100 places at most. `name` is what the paths begin
    /// with.
    ///
    /// Names of types and newtypes are on no wire, and so do not count; nor do aliases. What is
    /// unknown on both sides counts as the same.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use switchboard_shape::{Encoding, Layout, Shape};
    ///
    /// mod ours {
    ///     #[derive(serde::Deserialize)]
    ///     pub struct Item { pub price: u32 }
    /// }
    /// mod theirs {
    ///     #[derive(serde::Deserialize)]
    ///     pub struct Item { pub price: f64, pub note: Option<String> }
    /// }
    ///
    /// let ours = Shape::of::<Vec<ours::Item>>(Encoding::Text);
    /// let theirs = Shape::of::<Vec<theirs::Item>>(Encoding::Text);
    /// let differences = ours.differences("items", &theirs);
    /// assert_eq!(differences[0].path(), "items[].note");
    /// assert!(differences[0].is_forgiven_by(Layout::Named));
    /// assert_eq!(differences[1].to_string(), "items[].price: u32 here, f64 there");
    /// assert!(!differences[1].is_forgiven_by(Layout::Named));
    /// ```
    #[must_use]
    pub fn differences(&self, name: &str, other: &Self) -> Vec<Difference> {
        compare(&self.0, &other.0, name, Roles::Equal)
    }

    /// A JSON Schema of what serde_json reads. The shape must be that of formats for people,
    /// [`Encoding::Text`].
    #[must_use]
    pub fn json_schema(&self) -> JsonSchema {
        JsonSchema::new(Arc::clone(&self.0))
    }

    /// All types in it, from the outside to the inside.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        self.0.ids()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.ids().map(|id| (self.rust_name(id), self.get(id)))).finish()
    }
}
