//! Which types stand under `$defs`, and under which names.
//!
//! Structs, enums and newtypes do, since people know them by name; so does whatever a schema was
//! put in for. Others stand where they are used, but for those that contain themselves, and those
//! that are large and used in several places: types of types may double with each level, and the
//! schema must not.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::types::{Content, Id, Type, Types, without_pointers};

/// Types inside one that is used in several places, up to which it is written each time.
const REPEATED_TYPES_MAX: usize = 50;

/// The definitions, with their names.
pub(super) fn plan(types: &Types, put: &HashMap<&'static str, String>) -> BTreeMap<Id, String> {
    let mut plan =
        Plan { types, defined: HashSet::new(), uses: HashMap::new(), sizes: HashMap::new() };
    let mut held = HashSet::new();
    for of in types.ids().filter_map(|id| types.of(id)) {
        for part in of.parts() {
            let uses = plan.uses.entry(part).or_insert(0_usize);
            *uses = uses.saturating_add(1);
        }
        if let Type::Enum { variants, .. } = of {
            held.extend(variants.iter().filter_map(|variant| match variant.content {
                Content::Tuple(id) | Content::Struct(id) => Some(id),
                Content::Unit | Content::Newtype(_) => None,
            }));
        }
    }
    for id in types.ids() {
        let is_named = match types.of(id) {
            Some(Type::Newtype { .. }) => true,
            Some(Type::Struct { .. } | Type::Enum { .. }) => !held.contains(&id),
            _ => false,
        };
        if is_named || put.contains_key(without_pointers(types.rust_name(id))) {
            plan.defined.insert(id);
        }
    }
    for id in types.ids() {
        plan.measure(id);
    }
    let mut taken = HashSet::new();
    let defined = types.ids().filter(|id| plan.defined.contains(id));
    defined.map(|id| (id, free(&name(types, id), &mut taken))).collect()
}

/// What a name may be made of in a reference, without escapes.
pub(super) fn word(name: &str) -> String {
    let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || "_-.".contains(symbol);
    name.chars().map(|symbol| if is_plain(symbol) { symbol } else { '_' }).collect()
}

struct Plan<'t> {
    types: &'t Types,
    defined: HashSet<Id>,
    uses: HashMap<Id, usize>,
    // How many types are written for one; none yet for those that it is inside of.
    sizes: HashMap<Id, Option<usize>>,
}

impl Plan<'_> {
    /// How many types are written where this one stands.
    fn measure(&mut self, id: Id) -> usize {
        match self.sizes.get(&id) {
            Some(Some(_)) if self.defined.contains(&id) => return 1,
            Some(Some(size)) => return *size,
            Some(None) => {
                // It contains itself.
                self.defined.insert(id);
                return 1;
            }
            None => {}
        }
        self.sizes.insert(id, None);
        let mut size = 1_usize;
        for part in self.types.of(id).map(Type::parts).unwrap_or_default() {
            // Definitions have their turn by themselves.
            let is_apart = self.defined.contains(&part);
            size = size.saturating_add(if is_apart { 1 } else { self.measure(part) });
        }
        self.sizes.insert(id, Some(size));
        let is_repeated = self.uses.get(&id).is_some_and(|uses| *uses > 1);
        if is_repeated && size > REPEATED_TYPES_MAX {
            self.defined.insert(id);
        }
        if self.defined.contains(&id) { 1 } else { size }
    }
}

/// What a type calls itself, or the last part of its name in Rust.
fn name(types: &Types, id: Id) -> String {
    let own = match types.of(id) {
        Some(
            Type::Newtype { name, .. }
            | Type::Struct { name, .. }
            | Type::Enum { name, .. }
            | Type::Unit { name },
        ) => &**name,
        _ => "",
    };
    if !own.is_empty() {
        return word(own);
    }
    let name = without_pointers(types.rust_name(id));
    let name = name.split_once('<').map_or(name, |(name, _)| name);
    word(name.rsplit("::").next().unwrap_or(name))
}

fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2_usize..).map(|number| format!("{name}{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| taken.insert(name.clone()));
    free.unwrap_or_else(|| name.to_owned())
}
