//! The locked map from names to handlers.
//!
//! Handlers are added and removed while the endpoint serves; a call that is running keeps its
//! handler. A name is never replaced silently. The lock is held for a look-up and never while a
//! handler runs, so a handler may register another.

use std::collections::hash_map;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::HashMap;

use super::RawHandler;
use super::route::Route;
use crate::error::{Code, Error, Result};
use crate::wire::Name;

#[derive(Default)]
pub(crate) struct Registry {
    entries: RwLock<HashMap<Name, Entry>>,
}

/// A handler, however it is called.
#[derive(Clone)]
pub(crate) enum Entry {
    Typed(Arc<dyn Route>),
    Raw(Arc<dyn for<'a> RawHandler<'a>>),
}

impl Registry {
    /// Adds a handler.
    ///
    /// # Errors
    ///
    /// If the name is taken.
    pub(crate) fn insert(&self, name: Name, entry: Entry) -> Result<()> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match entries.entry(name) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
            hash_map::Entry::Occupied(_) => {
                let text = format!("a handler is registered under {name} already");
                Err(Error::local(Code::Failed, text))
            }
        }
    }

    /// Removes a handler; whether there was one.
    pub(crate) fn remove(&self, name: &[u8]) -> bool {
        // Dropped after the lock: what a handler owns may register or remove others as it goes.
        let entry = {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.remove(name)
        };
        entry.is_some()
    }

    pub(crate) fn find(&self, name: Name) -> Result<Entry> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&name).cloned().ok_or_else(|| {
            Error::found(Code::UnknownCommand, format!("there is no command {name}; ? lists them"))
        })
    }

    /// The commands, one a line, by name: `NAME FORMAT,.. REQUEST -> REPLY` or `NAME raw`.
    pub(crate) fn describe(&self) -> String {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let describe = |(name, entry): (&Name, &Entry)| match entry {
            Entry::Typed(route) => format!("{name} {}\n", route.describe()),
            Entry::Raw(_) => format!("{name} raw\n"),
        };
        let mut lines: Vec<_> = entries.iter().map(describe).collect();
        lines.sort_unstable();
        lines.concat()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(entries.keys()).finish()
    }
}
