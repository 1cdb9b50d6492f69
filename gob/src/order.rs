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
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kinds::Field;

    type Sent = [(u32, TypeId)];

    #[test]
    fn ids_and_order_are_those_of_go() {
        // Slices, maps, arrays and structs of these numbers; the root is number 0.
        enum Of {
            Slice(u32),
            Map(u32),
            Array(u32),
            Struct(&'static [u32]),
            Any(&'static [u32]),
        }
        use Of::{Any, Array, Map, Slice, Struct};
        // (definitions, (number, id) in the order they are sent)
        let cases: [(&[Of], &Sent); 6] = [
            // type ListM struct { Next map[string]ListM; A [2][]ListM }
            (&[Struct(&[1, 2]), Map(0), Array(3), Slice(0)], &[(0, 65), (1, 66), (2, 68), (3, 67)]),
            // type Node struct{ Entries []Entry }; type Entry struct { Node *Node }
            (&[Struct(&[1]), Slice(2), Struct(&[0])], &[(0, 65), (1, 67), (2, 66)]),
            // type Mix struct { S []M; T M }; type M map[string][]M
            (&[Struct(&[1, 2]), Slice(2), Map(1)], &[(0, 65), (1, 67), (2, 66)]),
            // type Deep struct { X SL; Y *Deep2 }; type SL []SL
            // type Deep2 struct { Z []*Deep; W map[string]Deep; Q [1]Deep3 }
            // type Deep3 struct { A [][]*Deep2 }
            (
                &[
                    Struct(&[1, 2]),
                    Slice(1),
                    Struct(&[3, 4, 5]),
                    Slice(0),
                    Map(0),
                    Array(6),
                    Struct(&[7]),
                    Slice(8),
                    Slice(2),
                ],
                &[(0, 65), (1, 66), (2, 67), (3, 68), (4, 69), (5, 73), (6, 70), (7, 72), (8, 71)],
            ),
            // What interfaces can hold comes last, and what cannot be reached never.
            (
                &[Struct(&[1, 3]), Any(&[2, 4]), Struct(&[1]), Slice(1), Map(5), Array(4), Map(6)],
                &[(0, 65), (3, 66), (2, 67), (4, 69), (5, 68)],
            ),
            (&[Any(&[1, 1]), Slice(0), Slice(0)], &[(1, 65)]),
        ];
        for (definitions, sent) in cases {
            let name = || Box::from("");
            let fields = |numbers: &[u32]| {
                let field = |number: &u32| Field {
                    name: number.to_string().into(),
                    kind: Kind::Defined(*number),
                };
                numbers.iter().map(field).collect()
            };
            let definitions = definitions.iter().map(|definition| match *definition {
                Slice(element) => {
                    Definition::Slice { name: name(), element: Kind::Defined(element) }
                }
                Map(value) => {
                    Definition::Map { name: name(), key: Kind::String, value: Kind::Defined(value) }
                }
                Array(element) => {
                    Definition::Array { name: name(), element: Kind::Defined(element), len: 1 }
                }
                Struct(numbers) => Definition::Struct { name: name(), fields: fields(numbers) },
                Any(numbers) => Definition::Choice { variants: fields(numbers) },
            });
            let definitions: Vec<_> = definitions.collect();
            let order = Order::new(&definitions, Kind::Defined(0), &[]).unwrap();
            let ids = order.ids(|offset| 65 + offset);
            let later = order.ids(|offset| 1_000 + offset);
            let told =
                order.numbers.iter().map(|&number| (number, id(Kind::Defined(number), &ids)));
            let told: Vec<_> = told.collect();
            assert_eq!(told, sent, "{definitions:?}");
            // From another first id on, everything is the same but for the ids.
            assert!(
                sent.iter().all(|&(number, from)| id(Kind::Defined(number), &later) == from + 935)
            );
            let (mut first, mut second) = (Vec::new(), Vec::new());
            order.put_all(&definitions, FIRST_ID_WRITTEN, &ids, &mut first);
            order.put(&definitions, &ids, |_| true, &mut second);
            assert_eq!(first, second);
        }
    }

    #[test]
    fn a_chain_of_any_length_is_no_matter() {
        let len = 100_000;
        let slice = |number| Definition::Slice { name: "".into(), element: Kind::Defined(number) };
        let mut chain: Vec<_> = (1..len).map(slice).collect();
        chain.push(Definition::Slice { name: "".into(), element: Kind::Int });
        let order = Order::new(&chain, Kind::Defined(0), &[]).unwrap();
        assert_eq!(order.ids_count(), TypeId::from(len));
        let ids = order.ids(|offset| 65 + offset);
        assert_eq!(id(Kind::Defined(0), &ids), 64 + TypeId::from(len));
        let choice = |number| Definition::Choice {
            variants: [Field { name: "".into(), kind: Kind::Defined(number) }].into(),
        };
        let mut chain: Vec<_> = (1..len).map(choice).collect();
        chain.push(Definition::Slice { name: "".into(), element: Kind::Int });
        assert_eq!(Order::new(&chain, Kind::Defined(0), &[]).unwrap().ids_count(), 1);
    }

    #[test]
    fn a_type_that_is_not_defined_is_an_error() {
        let slice = Definition::Slice { name: "".into(), element: Kind::Defined(1) };
        let cases = [
            (vec![Definition::Missing], Kind::Defined(0)),
            (vec![], Kind::Defined(7)),
            (vec![slice.clone()], Kind::Defined(0)),
            (vec![slice, Definition::Missing], Kind::Defined(0)),
        ];
        for (definitions, root) in cases {
            let error = Order::new(&definitions, root, &[]).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::Unsupported));
        }
    }
}
