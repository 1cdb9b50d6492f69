//! What containers and boxes take of the allocator, for the accounts of a `Budget`.
//!
//! The guard sees a container only as the type that a visitor makes, and its elements as they come.
//! How much memory it takes for them is nowhere in serde, so it is computed here from what the
//! containers of the standard library do, which the name of the type tells apart. A name decides
//! what is charged and nothing else. An unknown type is charged the worst of them all.
//!
//! | container               | takes                                                             |
//! |-------------------------|-------------------------------------------------------------------|
//! | `Vec` and its like      | what it reserves by the hint, then twice as much each time        |
//! | `HashMap`, `HashSet`    | a power of two of buckets, an eighth of which stay empty          |
//! | `BTreeMap`, `BTreeSet`  | nodes of 11 entries, of which 5 may be used                       |
//! | `LinkedList`            | a node for each element                                           |
//! | another                 | 11 places at first, and two and a half for each element           |
//!
//! A growing container holds the old memory and the new for a moment. Both have to fit, and only
//! the new is kept charged.
//!
//! It does not measure: `tests/charges.rs` does, for each of these.

use std::any::type_name;
use std::mem::{align_of, needs_drop};

use super::budget::{Budget, Passed};

/// A container that is being filled with elements or entries.
#[derive(Default)]
pub(super) struct Filling {
    // Places, nodes or buckets that are paid for, and elements that still fit into them and have
    // been counted in advance.
    places: usize,
    room: usize,
}

/// How a container takes memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// Not at all.
    Never,
    /// In one piece, as large as the hint says at first, and twice as large each time.
    Vector,
    /// As a vector that is told no hint.
    VectorUnhinted,
    Hash,
    Tree,
    List,
    Unknown,
}

impl Filling {
    /// Whether nothing has been paid for yet.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        self.places == 0
    }

    /// No more elements come: those that were counted in advance are not made.
    #[inline]
    pub(super) fn finish(&mut self, budget: &Budget) {
        budget.refund_elements(std::mem::take(&mut self.room));
    }

    /// Pays for what the container reserves before its first element comes.
    #[inline]
    pub(super) fn reserve<C, const IS_MAP: bool>(
        &mut self,
        hint: Option<usize>,
        place_bytes: usize,
        budget: &Budget,
    ) -> Result<(), Passed> {
        match hint {
            Some(hint) if hint > 0 => {
                self.reserve_hinted(Growth::of::<C>(IS_MAP, place_bytes), hint, place_bytes, budget)
            }
            _ => Ok(()),
        }
    }

    /// Elements that may be announced to whoever makes a `C`: what is known of no type is what it
    /// reserves for them.
    #[inline]
    pub(super) fn hint_max<C>() -> usize {
        if matches!(Growth::of::<C>(true, 1), Growth::Unknown) {
            UNKNOWN_HINT_MAX
        } else {
            usize::MAX
        }
    }

    /// Pays for the place of one more element, which is there, and of those that `left` says will
    /// come.
    #[inline]
    pub(super) fn take<C, const IS_MAP: bool>(
        &mut self,
        place_bytes: usize,
        left: impl FnOnce() -> Option<usize>,
        budget: &Budget,
    ) -> Result<(), Passed> {
        if self.room == 0 {
            self.grow(Growth::of::<C>(IS_MAP, place_bytes), place_bytes, budget)?;
            // Elements that will not come are not counted.
            if let Some(left) = left()
                && left < self.room
            {
                budget.refund_elements(self.room.saturating_sub(left.saturating_add(1)));
                self.room = left.saturating_add(1).min(self.room);
            }
        }
        self.room = self.room.saturating_sub(1);
        Ok(())
    }

    #[inline(never)]
    fn reserve_hinted(
        &mut self,
        growth: Growth,
        hint: usize,
        place_bytes: usize,
        budget: &Budget,
    ) -> Result<(), Passed> {
        // What serde reserves at most, whatever it is told.
        let cautious = RESERVED_BYTES_MAX.checked_div(place_bytes).unwrap_or(0);
        let places = match growth {
            Growth::Vector => hint.min(cautious),
            Growth::Hash => buckets(hint.min(cautious), place_bytes),
            Growth::Unknown => hint.max(PLACES_FIRST),
            Growth::Never | Growth::VectorUnhinted | Growth::Tree | Growth::List => return Ok(()),
        };
        if places == 0 { Ok(()) } else { self.grow_to(growth, places, place_bytes, budget) }
    }

    #[inline(never)]
    fn grow(&mut self, growth: Growth, place_bytes: usize, budget: &Budget) -> Result<(), Passed> {
        let twice = self.places.saturating_mul(2);
        match growth {
            Growth::Never => self.grow_to(growth, twice.max(4), place_bytes, budget),
            Growth::Vector | Growth::VectorUnhinted => {
                // Eight where they are bytes, which the allocator makes the same.
                let first = if place_bytes <= 1024 { 4 } else { 1 };
                self.grow_to(growth, twice.max(first), place_bytes, budget)
            }
            Growth::Hash => {
                self.grow_to(growth, twice.max(buckets(1, place_bytes)), place_bytes, budget)
            }
            Growth::Unknown => self.grow_to(growth, twice.max(PLACES_FIRST), place_bytes, budget),
            Growth::List => {
                budget.charge_memory(allocated(place_bytes.saturating_add(LINKS_BYTES)))?;
                self.make_room(1, budget)
            }
            Growth::Tree => {
                let leaf = allocated(place_bytes.saturating_mul(11).saturating_add(24));
                let inner = leaf.saturating_add(12 * 8);
                let (bytes, room) = match self.places {
                    0 => (leaf, 11),
                    // The first leaf is split, below a root.
                    1 => (leaf.saturating_add(inner), 6),
                    _ => (leaf.saturating_add(inner / 5), 6),
                };
                self.places = self.places.saturating_add(1);
                budget.charge_memory(bytes)?;
                self.make_room(room, budget)
            }
        }
    }

    /// Pays for so many places in one piece, in place of what was paid for before.
    fn grow_to(
        &mut self,
        growth: Growth,
        places: usize,
        place_bytes: usize,
        budget: &Budget,
    ) -> Result<(), Passed> {
        let bytes = |places| growth.piece_bytes(places, place_bytes);
        budget.charge_memory(bytes(places))?;
        budget.refund_memory(bytes(self.places));
        let room = growth.room(places).saturating_sub(growth.room(self.places));
        self.places = places;
        self.make_room(room.max(1), budget)
    }

    /// Counts so many elements in advance, or as many as may still be made.
    fn make_room(&mut self, elements: usize, budget: &Budget) -> Result<(), Passed> {
        self.room = budget.charge_elements(elements)?;
        Ok(())
    }
}

impl Growth {
    /// That of a `C` whose elements or entries take so many bytes each.
    fn of<C>(is_map: bool, place_bytes: usize) -> Self {
        let name = type_name::<C>();
        if name.starts_with("serde_json::") {
            // With its feature `preserve_order` it has other maps, and they are larger.
            return match name {
                "serde_json::value::Value" if !is_map => Self::VectorUnhinted,
                "serde_json::value::Value" if size_of::<C>() <= 32 => Self::Tree,
                _ if is_map && size_of::<C>() <= 24 => Self::Tree,
                _ => Self::Unknown,
            };
        }
        for (begin, growth) in KNOWN {
            if name.starts_with(begin) {
                return *growth;
            }
        }
        if place_bytes == 0 && !needs_drop::<C>() { Self::Never } else { Self::Unknown }
    }

    /// Memory for so many places in one piece.
    fn piece_bytes(self, places: usize, place_bytes: usize) -> usize {
        let more_bytes = match self {
            _ if places == 0 || self == Self::Never => return 0,
            Self::Hash => 1,
            Self::Unknown => LINKS_BYTES,
            _ => 0,
        };
        let bytes = places.saturating_mul(place_bytes.saturating_add(more_bytes));
        allocated(if self == Self::Hash { bytes.saturating_add(32) } else { bytes })
    }

    /// Elements that go into so many places.
    fn room(self, places: usize) -> usize {
        match self {
            Self::Hash if places < 8 => places.saturating_sub(1),
            Self::Hash => (places / 8).saturating_mul(7),
            Self::Unknown => (places / 5).saturating_mul(2),
            _ => places,
        }
    }
}

/// Places for so many elements in a hash table.
fn buckets(elements: usize, place_bytes: usize) -> usize {
    let at_least = match place_bytes {
        _ if elements == 0 => return 0,
        0..=1 => 16,
        2..=3 => 8,
        _ => 4,
    };
    let wanted = if elements < 4 { 4 } else { elements.saturating_mul(8).div_ceil(7) };
    wanted.checked_next_power_of_two().unwrap_or(usize::MAX).max(at_least)
}

/// Bytes of a key and a value side by side.
#[inline]
pub(super) fn entry_bytes<V>(key_bytes: usize) -> usize {
    // The size of a type is a multiple of its alignment.
    let key_align = if key_bytes == 0 { 1 } else { 1_usize << key_bytes.trailing_zeros().min(4) };
    let align = key_align.max(align_of::<V>());
    key_bytes.saturating_add(size_of::<V>()).next_multiple_of(align)
}

/// Bytes that a `T` takes beside the place that was paid for a `Paid`: none if it lies in that
/// place, and those of its own piece of memory if it lies behind a box, or may.
#[inline]
pub(super) fn bytes_behind<Paid, T>() -> usize {
    if size_of::<T>() > size_of::<Paid>() {
        return boxed_bytes::<Paid, T>();
    }
    // A box needs dropping, and is of the size of a pointer.
    let is_in_place = size_of::<T>() == size_of::<Paid>() && size_of::<T>() != size_of::<usize>();
    if is_in_place || !needs_drop::<Paid>() || size_of::<T>() == 0 {
        return 0;
    }
    let (mut around, inner) = (type_name::<Paid>(), type_name::<T>());
    for _ in 0..4 {
        if around.starts_with(inner) {
            return 0;
        }
        match around.strip_prefix(OPTION) {
            Some(rest) => around = rest,
            None => break,
        }
    }
    boxed_bytes::<Paid, T>()
}

/// As [`bytes_behind`] if it does not lie in the place of the `Paid`.
fn boxed_bytes<Paid, T>() -> usize {
    let name = type_name::<Paid>();
    let mut inner = name.strip_prefix(OPTION).unwrap_or(name);
    let mut boxes = 0_usize;
    while let Some(rest) = inner.strip_prefix(BOX) {
        (inner, boxes) = (rest, boxes.saturating_add(1));
    }
    match boxes.checked_sub(1) {
        // Each but the inmost has a pointer in it.
        Some(outer) => allocated(size_of::<T>()).saturating_add(allocated(1).saturating_mul(outer)),
        None => allocated(size_of::<T>().saturating_add(LINKS_BYTES)),
    }
}

/// What the allocator takes for a piece of so many bytes: a word of its own, in steps of two.
#[inline]
pub(super) const fn allocated(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let taken = bytes.saturating_add(8 + 15) & !15;
    if taken < 32 { 32 } else { taken }
}

/// Types of which more is known than that they may be anything, by how their names begin.
const KNOWN: &[(&str, Growth)] = &[
    ("alloc::vec::Vec<", Growth::Vector),
    ("alloc::collections::btree::", Growth::Tree),
    ("std::collections::hash::", Growth::Hash),
    ("alloc::collections::vec_deque::VecDeque<", Growth::Vector),
    ("alloc::collections::binary_heap::BinaryHeap<", Growth::Vector),
    ("alloc::collections::linked_list::LinkedList<", Growth::List),
    ("serde_bytes::bytebuf::ByteBuf", Growth::Vector),
    ("bytes::bytes", Growth::Vector),
];

const OPTION: &str = "core::option::Option<";
const BOX: &str = "alloc::boxed::Box<";

/// Two counters or two links beside a value.
const LINKS_BYTES: usize = 16;

/// A leaf of a tree has so many.
const PLACES_FIRST: usize = 11;

/// Elements that are announced to an unknown type at most.
const UNKNOWN_HINT_MAX: usize = 1024;

/// What serde reserves at most for elements that were merely announced.
const RESERVED_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};

    use super::*;
    use crate::limits::Limits;

    struct Strange;

    const HUGE: usize = 1 << 40;

    /// A container of so many elements, of `place` bytes each, that was told a hint is charged
    /// these bytes; and all its elements are counted, no more.
    #[track_caller]
    fn check<C, const IS_MAP: bool>(place: usize, hint: Option<usize>, bytes: &[(usize, usize)]) {
        for (elements, bytes) in bytes {
            let limits = Limits::default().with(|limits| {
                (limits.decode_bytes_max, limits.spare_elements_max) = (HUGE, 1 << 20);
            });
            let budget = Budget::new(&limits, 0);
            let mut filling = Filling::default();
            filling.reserve::<C, IS_MAP>(hint, place, &budget).unwrap();
            for number in 1..=*elements {
                let left = || hint.map(|hint| hint.saturating_sub(number));
                filling.take::<C, IS_MAP>(place, left, &budget).unwrap();
            }
            filling.finish(&budget);
            assert_eq!(budget.memory_used(), *bytes, "{elements} elements");
            assert_eq!((1_usize << 20).checked_sub(budget.elements_left()), Some(*elements));
        }
    }

    /// By how std's containers grow, with 8 bytes and steps of 16 for each piece.
    #[test]
    fn containers_are_charged_as_they_grow() {
        check::<Vec<u64>, false>(8, None, &[(0, 0), (1, 48), (4, 48), (5, 80), (9, 144)]);
        check::<Vec<u8>, false>(1, None, &[(1, 32), (16, 32), (17, 48), (33, 80)]);
        check::<Vec<[u8; 1024]>, false>(1024, None, &[(1, 4112)]);
        check::<Vec<[u8; 1025]>, false>(1025, None, &[(1, 1040), (2, 2064), (3, 4112)]);
        check::<VecDeque<u64>, false>(8, Some(10), &[(0, 96), (10, 96), (11, 176)]);
        check::<Vec<u64>, false>(8, Some(0), &[(0, 0), (1, 48)]);
        // No more than serde reserves, whatever is announced.
        check::<Vec<u64>, false>(8, Some(HUGE), &[(0, (1 << 20) + 16)]);
        check::<Vec<[u64; 1 << 18]>, false>(1 << 21, Some(HUGE), &[(0, 0), (1, (1 << 21) + 16)]);
        check::<Vec<()>, false>(0, Some(HUGE), &[(0, 0), (100, 0)]);

        let set = &[(1, 80), (3, 80), (4, 112), (7, 112), (8, 192), (14, 192), (15, 336)];
        check::<HashSet<u64>, false>(8, None, set);
        check::<HashSet<u64>, false>(8, Some(3), &[(0, 80), (3, 80)]);
        check::<HashSet<u64>, false>(8, Some(4), &[(0, 112)]);
        check::<HashSet<u64>, false>(8, Some(7), &[(0, 112), (7, 112)]);
        check::<HashSet<u64>, false>(8, Some(8), &[(0, 192)]);
        check::<HashSet<[u8; 1 << 21]>, false>(1 << 21, Some(HUGE), &[(0, 0)]);
        check::<HashSet<u8>, false>(1, None, &[(1, 80), (14, 80), (15, 112)]);
        check::<HashMap<u8, u8>, true>(2, None, &[(1, 64), (7, 64), (8, 96)]);
        check::<HashMap<u8, [u8; 2]>, true>(3, None, &[(1, 80)]);
        check::<HashMap<u8, [u8; 3]>, true>(4, None, &[(1, 64)]);

        check::<BTreeSet<u64>, false>(8, None, &[(1, 128), (11, 128), (12, 480), (17, 480)]);
        check::<BTreeMap<u32, u32>, true>(8, Some(100), &[(0, 0), (1, 128), (18, 652), (24, 824)]);
        check::<LinkedList<u64>, false>(8, Some(100), &[(0, 0), (1, 32), (3, 96)]);
    }

    #[cfg(feature = "json")]
    #[test]
    fn values_of_json_are_told_no_hint() {
        use serde_json::{Map, Value};

        check::<Value, false>(32, Some(100), &[(0, 0), (1, 144), (4, 144), (5, 272)]);
        check::<Value, true>(56, Some(100), &[(0, 0), (1, 656), (11, 656)]);
        check::<Map<String, Value>, true>(56, Some(100), &[(0, 0), (1, 656), (11, 656)]);
    }

    #[test]
    fn an_unknown_container_is_charged_the_worst() {
        let worst = &[(0, 0), (1, 272), (4, 272), (5, 544), (8, 544), (9, 1072)];
        check::<Strange, false>(8, None, worst);
        check::<Strange, true>(8, Some(0), &[(0, 0)]);
        check::<Strange, true>(8, Some(3), &[(0, 272), (3, 272)]);
        check::<Strange, true>(8, Some(20), &[(0, 496), (8, 496)]);
        check::<Vec<u64>, true>(0, None, &[(1, 0)]);
        // Without size and without anything to drop it takes nothing.
        check::<Strange, false>(0, Some(9), &[(0, 0), (9, 0)]);
        check::<Option<Strange>, false>(0, Some(9), &[(0, 0), (9, 0)]);
    }

    #[test]
    fn no_more_is_announced_than_may_be_reserved() {
        assert_eq!(Filling::hint_max::<Strange>(), 1024);
        assert_eq!(Filling::hint_max::<Vec<u8>>(), usize::MAX);
    }

    #[test]
    fn what_lies_behind_a_box_is_paid_for_by_itself() {
        // In its place, in that of an option, or smaller.
        assert_eq!(bytes_behind::<[u64; 4], [u64; 4]>(), 0);
        assert_eq!(bytes_behind::<Option<String>, String>(), 0);
        assert_eq!(bytes_behind::<[u64; 4], u8>(), 0);
        assert_eq!(bytes_behind::<String, ()>(), 0);
        // Behind a box, in an option or not; each box but the inmost has a pointer in it.
        assert_eq!(bytes_behind::<Box<[u64; 4]>, [u64; 4]>(), 48);
        assert_eq!(bytes_behind::<Option<Box<[u64; 4]>>, [u64; 4]>(), 48);
        assert_eq!(bytes_behind::<Box<Box<[u64; 4]>>, [u64; 4]>(), 48 + 32);
        // Of an unknown pointer: with two counters.
        assert_eq!(bytes_behind::<std::sync::Arc<[u64; 4]>, [u64; 4]>(), 64);
        assert_eq!(bytes_behind::<Box<u64>, u64>(), 32);
        assert_eq!(bytes_behind::<Box<u8>, u8>(), 32);
    }

    #[test]
    fn a_key_and_a_value_lie_side_by_side() {
        assert_eq!(entry_bytes::<u8>(1), 2);
        assert_eq!(entry_bytes::<u64>(1), 16);
        assert_eq!(entry_bytes::<u8>(8), 16);
        assert_eq!(entry_bytes::<u8>(24), 32);
        assert_eq!(entry_bytes::<u8>(0), 1);
        assert_eq!(entry_bytes::<()>(32), 32);
    }
}
