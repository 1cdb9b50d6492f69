//! Values of any type that travel with a call inside of this process.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Values of a door or a layer that travel with a call for its handler: one of each type.
///
/// They never cross the wire. A clone shares the values.
///
/// ```
/// use switchboard::service::Extensions;
///
/// #[derive(Debug, PartialEq)]
/// struct Tenant(u32);
///
/// let mut extensions = Extensions::default();
/// extensions.insert(Tenant(7));
/// assert_eq!(extensions.get(), Some(&Tenant(7)));
/// assert_eq!(extensions.get::<String>(), None);
/// ```
#[derive(Clone, Default)]
pub struct Extensions {
    // Most calls have none, and carry no more than this word for it.
    values: Option<Box<Values>>,
}

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl Extensions {
    /// Puts a value in, in place of the one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.values.get_or_insert_default().insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// Takes out the value of this type. Clones keep theirs.
    #[cfg(feature = "json")]
    pub(super) fn take<T: Send + Sync + 'static>(&mut self) -> Option<Arc<T>> {
        self.values.as_mut()?.remove(&TypeId::of::<T>())?.downcast().ok()
    }

    /// The value of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.values.as_ref()?.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.as_ref().map_or(0, |values| values.len());
        f.debug_struct("Extensions").field("values", &values).finish()
    }
}
