//! How a schema is told: which id each of its types gets, and which definition goes first.
//!
//! Both are Go's, up to 1.21, so that the bytes are. The types are visited from the outside in,
//! each once. Definitions are sent in that order. An id is given to a struct and to a type of its
//! own bytes when it is met, to all others once what is inside them has been visited; only where
//! types contain themselves can one be asked for before, and it gets its id then. (`newTypeObject`
//! in Go's `type.go` says why.)
//!
//! What an interface can hold is told after all the rest, and before the value. Go tells it in the
//! middle of the value, where it first comes up, which not even its own decoder always understands.
//!
//! Nothing here calls itself: a schema that a peer has made can be a chain of any length.

use crate::definition::put_definition;
use crate::error::{Error, Result};
use crate::kinds::{Definition, FIRST_ID_WRITTEN, Kind, TypeId, id_of};
use crate::wire::{fill_in_len, put_int};

/// The ids of a schema's types and the order of their definitions.
pub(crate) struct Order {
    // By the number of the definition: how far its id is behind the schema's first one. Interfaces
    // and what cannot be reached have none.
    ids: Box<[Option<u32>]>,
    // Numbers of definitions, as they are sent.
    numbers: Box<[u32]>,
    // All definitions, if the first id is `FIRST_ID_WRITTEN`.
    messages: Box<[u8]>,
}

impl Order {
    /// Of a value of the type `root`, whose interfaces may hold types of the numbers
    /// `in_interfaces` beside those that they name.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a type that can be reached is not defined.
    pub(crate) fn new(
        definitions: &[Definition],
        root: Kind,
        in_interfaces: &[u32],
    ) -> Result<Self> {
        let mut visit = Visit {
            definitions,
            met: vec![false; definitions.len()],
            ids: vec![None; definitions.len()],
            ids_given: 0,
            order: Vec::new(),
            path: Vec::new(),
            interfaces: Vec::new(),
        };
        visit.all_inside(root)?;
        let mut others = in_interfaces.iter().copied();
        others.try_for_each(|number| visit.all_inside(Kind::Defined(number)))?;
        let mut next = 0_usize;
        while let Some(&number) = visit.interfaces.get(next) {
            next = next.saturating_add(1);
            if let Some(Definition::Choice { variants }) = definitions.get(number as usize) {
                variants.iter().try_for_each(|variant| visit.all_inside(variant.kind))?;
            }
        }
        let (ids, numbers) = (visit.ids.into(), visit.order.into());
        let mut order = Self { ids, numbers, messages: Box::default() };
        let mut messages = Vec::new();
        let ids = order.ids(|offset| FIRST_ID_WRITTEN.saturating_add(offset));
        order.put(definitions, &ids, |_| true, &mut messages);
        order.messages = messages.into();
        Ok(order)
    }

    /// How many ids it takes.
    pub(crate) fn ids_count(&self) -> TypeId {
        TypeId::try_from(self.numbers.len()).unwrap_or(TypeId::MAX)
    }

    /// The ids of all types by their numbers, made of how far each is behind the first one.
    pub(crate) fn ids(&self, id: impl Fn(TypeId) -> TypeId) -> Box<[TypeId]> {
        let offset = |offset: &Option<u32>| offset.map_or(0, |offset| id(offset.into()));
        self.ids.iter().map(offset).collect()
    }

    /// The numbers of the definitions, in the order of their ids.
    pub(crate) fn numbers_by_id(&self) -> Vec<u32> {
        let mut numbers = self.numbers.to_vec();
        numbers.sort_by_key(|number| self.ids.get(*number as usize).copied().flatten());
        numbers
    }

    /// Appends all definitions, each a message of its own; `first` is the first of these ids.
    pub(crate) fn put_all(
        &self,
        definitions: &[Definition],
        first: TypeId,
        ids: &[TypeId],
        out: &mut Vec<u8>,
    ) {
        if first == FIRST_ID_WRITTEN {
            out.extend_from_slice(&self.messages);
        } else {
            self.put(definitions, ids, |_| true, out);
        }
    }

    /// Appends the definitions that are wanted, each a message of its own.
    pub(crate) fn put(
        &self,
        definitions: &[Definition],
        ids: &[TypeId],
        is_wanted: impl Fn(u32) -> bool,
        out: &mut Vec<u8>,
    ) {
        for &number in self.numbers.iter().filter(|number| is_wanted(**number)) {
            let Some(definition) = definitions.get(number as usize) else {
                continue;
            };
            let id = id(Kind::Defined(number), ids);
            let len_at = out.len();
            out.push(0);
            put_int(out, id.saturating_neg());
            put_definition(out, definition, id, |kind| self::id(kind, ids));
            fill_in_len(out, len_at);
        }
    }
}

/// Whether the type has an id: it is basic, or a definition of it is sent.
pub(crate) fn has(kind: Kind, ids: &[TypeId]) -> bool {
    match kind {
        Kind::Defined(number) => ids.get(number as usize).is_some_and(|id| *id > 0),
        _ => true,
    }
}

/// The id of a type. An interface has the same everywhere, whatever it can hold.
#[inline]
pub(crate) fn id(kind: Kind, ids: &[TypeId]) -> TypeId {
    id_of(kind, |number| match ids.get(number as usize) {
        Some(id) if *id > 0 => *id,
        _ => id_of(Kind::Interface, |_| 0),
    })
}

struct Visit<'s> {
    definitions: &'s [Definition],
    // By number.
    met: Vec<bool>,
    ids: Vec<Option<u32>>,
    ids_given: u32,
    // Numbers, as they were met.
    order: Vec<u32>,
    interfaces: Vec<u32>,
    // From the outside to where the visit is: numbers, and how much inside them has been visited.
    path: Vec<(u32, usize)>,
}

impl<'s> Visit<'s> {
    fn all_inside(&mut self, root: Kind) -> Result<()> {
        self.meet(root)?;
        while let Some((number, visited)) = self.path.last_mut() {
            let number = *number;
            let inside = self.definitions.get(number as usize).and_then(|d| inside(d, *visited));
            *visited = visited.saturating_add(1);
            match inside {
                Some(kind) => self.meet(kind)?,
                None => self.leave(number),
            }
        }
        Ok(())
    }

    fn meet(&mut self, kind: Kind) -> Result<()> {
        let Kind::Defined(number) = kind else {
            return Ok(());
        };
        let (definition, met) = self.look_up(number)?;
        let before = std::mem::replace(met, true);
        match definition {
            Definition::Choice { .. } if !before => self.interfaces.push(number),
            Definition::Choice { .. } => {}
            _ if before => {
                // It may be one of those around this one. A struct needs the id for its field now.
                if let Some(&(outer, _)) = self.path.last()
                    && let Some(Definition::Struct { .. }) = self.definitions.get(outer as usize)
                {
                    self.give_id(number);
                }
            }
            _ => {
                if let Definition::Struct { .. } | Definition::Opaque { .. } = definition {
                    self.give_id(number);
                }
                self.order.push(number);
                self.path.push((number, 0));
            }
        }
        Ok(())
    }

    fn look_up(&mut self, number: u32) -> Result<(&'s Definition, &mut bool)> {
        match (self.definitions.get(number as usize), self.met.get_mut(number as usize)) {
            (None | Some(Definition::Missing), _) | (_, None) => {
                Err(Error::unsupported("a type of the schema is mentioned and not defined"))
            }
            (Some(definition), Some(met)) => Ok((definition, met)),
        }
    }

    fn leave(&mut self, number: u32) {
        self.path.pop();
        self.give_id(number);
        if let Some(Definition::Slice { element: Kind::Defined(element), .. }) =
            self.definitions.get(number as usize)
        {
            self.give_id(*element);
        }
    }

    /// Gives it the next id, if it is to have one and has none yet.
    fn give_id(&mut self, number: u32) {
        if let Some(Definition::Choice { .. }) = self.definitions.get(number as usize) {
            return;
        }
        if let Some(id @ None) = self.ids.get_mut(number as usize) {
            *id = Some(self.ids_given);
            self.ids_given = self.ids_given.saturating_add(1);
        }
    }
}

/// The type in this place, from 0 on, of those that a definition mentions; of an interface, none.
fn inside(definition: &Definition, place: usize) -> Option<Kind> {
    match (definition, place) {
        (Definition::Array { element, .. } | Definition::Slice { element, .. }, 0) => {
            Some(*element)
        }
        (Definition::Map { key, .. }, 0) => Some(*key),
        (Definition::Map { value, .. }, 1) => Some(*value),
        (Definition::Struct { fields, .. }, place) => fields.get(place).map(|field| field.kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
