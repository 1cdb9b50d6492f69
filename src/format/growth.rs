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
mod tests;
