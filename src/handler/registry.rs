//! The locked map from names to handlers.
//!
//! Handlers are added and removed while the endpoint serves; a call that is running keeps its
//! handler. A name is never replaced silently. The lock is held for a look-up and never while a
//! handler runs, so a handler may register another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::HashMap;

use super::AnyRaw;
use super::info::CommandInfo;
use super::route::Route;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::ledger::{Figures, Ledger, Listed};
use crate::wire::Name;

#[derive(Default)]
pub(crate) struct Registry {
    entries: RwLock<HashMap<Name, Registered>>,
    // Commands with facts in the place of limits. At 0 a look-up of facts takes no lock.
    bound: AtomicUsize,
    ledger: Arc<Ledger>,
}

/// A handler, however it is called.
#[derive(Clone)]
pub(crate) enum Entry {
    Typed(Arc<dyn Route>),
    Raw(Arc<AnyRaw>),
}

/// A handler that was looked up, and where its calls are counted.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) figures: Arc<Figures>,
}

/// A handler under its name.
struct Registered {
    found: Found,
    // Made once: a door for others asks for it with each call.
    info: Arc<CommandInfo>,
}

impl Registry {
    /// Adds a handler.
    ///
    /// # Errors
    ///
    /// If the name is taken.
    pub(crate) fn insert(&self, name: Name, entry: Entry) -> Result<()> {
        self.insert_all(vec![(name, entry)])
    }

    /// Adds handlers under names that differ, all at once.
    ///
    /// # Errors
    ///
    /// If one of the names is taken. None is added then.
    pub(crate) fn insert_all(&self, added: Vec<(Name, Entry)>) -> Result<()> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, _)) = added.iter().find(|(name, _)| entries.contains_key(name)) {
            let text = format!("a handler is registered under {name} already");
            return Err(Error::local(Code::Failed, text));
        }
        let bound = added.iter().filter(|(_, entry)| entry.is_bound()).count();
        entries.extend(added.into_iter().map(|(name, entry)| {
            let info = Arc::new(entry.info(name));
            let found = Found { entry, figures: self.ledger.open(&name) };
            (name, Registered { found, info })
        }));
        self.bound.fetch_add(bound, Ordering::Release);
        Ok(())
    }

    /// Removes a handler; whether there was one.
    pub(crate) fn remove(&self, name: &[u8]) -> bool {
        // Dropped after the lock: what a handler owns may register or remove others as it goes.
        let removed = {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            let removed = entries.remove_entry(name);
            removed.map(|(name, registered)| {
                self.ledger.close(name, Arc::clone(&registered.found.figures));
                registered
            })
        };
        if removed.as_ref().is_some_and(|registered| registered.found.entry.is_bound()) {
            self.bound.fetch_sub(1, Ordering::Release);
        }
        removed.is_some()
    }

    /// What the command of this name has in place of limits. To be asked under a lock: nothing of a
    /// handler is cloned or dropped.
    #[inline]
    pub(crate) fn facts_of(&self, name: &Name) -> Option<Facts> {
        if self.bound.load(Ordering::Acquire) == 0 { None } else { self.look_up_facts(name) }
    }

    fn look_up_facts(&self, name: &Name) -> Option<Facts> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let facts = entries.get(name).map(|registered| registered.found.entry.facts());
        facts.filter(Facts::is_bound)
    }

    /// What is called by this name.
    pub(crate) fn find(&self, name: &Name) -> Option<Found> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).map(|registered| registered.found.clone())
    }

    /// What its calls are counted in.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Where calls are counted: those of the commands of now, and of those that were.
    pub(crate) fn figures(&self) -> Listed {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let figures = |registered: &Registered| Arc::clone(&registered.found.figures);
        let commands = entries.iter().map(|(name, registered)| (*name, figures(registered)));
        // Nobody adds or removes one meanwhile.
        self.ledger.list(commands.collect())
    }

    /// All handlers, by name.
    pub(crate) fn entries(&self) -> Vec<(Name, Entry)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut entries: Vec<_> = entries
            .iter()
            .map(|(name, registered)| (*name, registered.found.entry.clone()))
            .collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        entries
    }

    /// The command of this name.
    pub(crate) fn command(&self, name: &str) -> Option<Arc<CommandInfo>> {
        let name = Name::parse(name.as_bytes()).ok()?;
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&name).map(|registered| Arc::clone(&registered.info))
    }

    /// The commands, by name.
    pub(crate) fn commands(&self) -> Vec<CommandInfo> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut commands: Vec<_> =
            entries.values().map(|registered| CommandInfo::clone(&registered.info)).collect();
        drop(entries);
        commands.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        commands
    }
}

impl Entry {
    /// What is known of it under this name.
    pub(super) fn info(&self, name: Name) -> CommandInfo {
        match self {
            Self::Typed(route) => route.info(name),
            Self::Raw(_) => CommandInfo::raw(name.to_string()),
        }
    }

    /// The same and more, as `?DESCRIBE` tells it.
    #[cfg(feature = "json")]
    pub(super) fn description(&self, name: Name) -> serde_json::Value {
        match self {
            Self::Typed(route) => route.description(name),
            Self::Raw(_) => self.info(name).to_json(&[]),
        }
    }

    fn facts(&self) -> Facts {
        match self {
            Self::Typed(route) => route.facts(),
            Self::Raw(_) => Facts::default(),
        }
    }

    fn is_bound(&self) -> bool {
        self.facts().is_bound()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(entries.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::command::Command;
    use crate::format::Line;
    use crate::handler::outcome::OfType;
    use crate::handler::{OfRequest, Typed};

    type Text = Command<String, String, Line>;

    fn add(registry: &Registry, command: Text) {
        let answer = async |text: String| Ok::<_, Error>(text);
        let route =
            Typed::<_, _, _, (OfRequest, OfType), _, _, _>::new::<Line>(command.facts(), answer)
                .unwrap();
        registry.insert(command.name(), Entry::Typed(Arc::new(route))).unwrap();
    }

    /// Whether the facts of `name` can be told while nobody gets at the entries.
    fn is_told_without_looking(registry: &Arc<Registry>, name: Name) -> bool {
        let entries = registry.entries.write().unwrap();
        let (told, telling) = mpsc::channel();
        let asked = Arc::clone(registry);
        let asking = std::thread::spawn(move || told.send(asked.facts_of(&name)));
        // Waited for in full only if the entries are looked at.
        let is_told = telling.recv_timeout(Duration::from_secs(60)) == Ok(None);
        drop(entries);
        let _ = asking.join().unwrap();
        is_told
    }

    #[test]
    fn nobody_looks_for_facts_while_there_are_none() {
        let registry = Arc::<Registry>::default();
        let bare = Text::new("BARE");
        add(&registry, bare);
        add(&registry, Text::new("TOLD").about("Does it.").idempotent());
        assert!(is_told_without_looking(&registry, bare.name()));

        let bound = Text::new("BOUND").payload_bytes_max(7);
        add(&registry, bound);
        assert_eq!(registry.facts_of(&bound.name()), Some(bound.facts()));
        assert_eq!(registry.facts_of(&bare.name()), None);
        assert_eq!(registry.facts_of(&Name::new("TOLD")), None, "these bound nothing");
        assert_eq!(registry.facts_of(&Name::new("NOBODY")), None);

        assert!(!registry.remove(b"NOBODY") && registry.remove(b"BOUND"));
        assert!(is_told_without_looking(&registry, bare.name()));
    }
}
