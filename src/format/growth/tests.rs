//! What containers, boxes and entries are charged for, byte by byte.

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
