//! A shape, and all that can be done with one.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::trace::trace;
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
/// assert_eq!(fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["name", "price"]);
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
    /// with a strict check), and whatever is over a limit. The limits are 10,000 values tried, four
    /// million samples made for them, a million parts, and 200 levels of types inside each other.
    /// Of structs with more than 1,000 fields, each field counts as optional.
    #[must_use]
    pub fn of<T: DeserializeOwned>(encoding: Encoding) -> Self {
        Self(Arc::new(trace::<T>(encoding, |_| ())))
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

    /// The name of the Rust type, as [`std::any::type_name`] prints it: not stable, for people.
    #[must_use]
    pub fn rust_name(&self, id: Id) -> &'static str {
        self.0.rust_name(id)
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
