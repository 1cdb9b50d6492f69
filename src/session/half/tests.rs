//! One half by itself, and two of them joined.

use std::collections::VecDeque;
use std::task::Poll;

use bytes::Bytes;

use super::{BALANCE_MAX, ITEM_COST_BYTES, Item, Misuse, Receiving, Sending, WAITING_COST_MAX};

fn item(bytes: usize) -> Item {
    Item { payload: Bytes::from(vec![0; bytes]), position: None }
}

/// Pops all that may go.
fn pop_all(sending: &mut Sending) -> usize {
    std::iter::from_fn(|| sending.pop(&mut Vec::new())).count()
}

#[test]
fn an_item_may_begin_while_there_is_any_balance() {
    let mut sending = Sending::new(1);
    sending.push(item(1000));
    sending.push(item(0));
    assert!(sending.is_ready() && !sending.is_stalled());
    assert_eq!(pop_all(&mut sending), 1);
    assert!(sending.is_stalled());
    // 1 - 1000 - 64, and one more than that is above 0.
    sending.handle_credit(1063).unwrap();
    assert!(sending.is_stalled());
    sending.handle_credit(1).unwrap();
    assert_eq!(pop_all(&mut sending), 1);
    sending.end();
    assert!(sending.is_done());
}

#[test]
fn a_balance_has_an_end() {
    let mut sending = Sending::new(u32::MAX);
    assert_eq!(sending.handle_credit(1), Err(Misuse::Overflow));
    let mut sending = Sending::new(1);
    assert_eq!(sending.handle_credit(u32::MAX - 1), Ok(()));
    assert_eq!(i64::from(u32::MAX), BALANCE_MAX);
}

#[test]
fn what_waits_on_either_side_is_bounded_by_window_and_one_item() {
    const WINDOW: u32 = 1000;
    let (mut sending, mut receiving) = (Sending::new(WINDOW), Receiving::new(WINDOW, WINDOW));
    let mut held_most = 0;
    for bytes in (0..400).map(|number| number * 7 % 300) {
        let (mut waker, mut spent) = (None, Vec::new());
        while sending.poll_room(false, &mut waker, &mut spent).is_pending() {
            // The reader wakes up when nothing goes any more.
            while let Some(item) = sending.pop(&mut Vec::new()) {
                receiving.handle_line(item.payload.len() as u64).unwrap();
                assert_eq!(receiving.handle_item(item).map(|_| ()), None);
            }
            held_most = held_most.max(receiving.held_bytes());
            while receiving.poll_next(&mut None, &mut Vec::new()).is_ready() {}
            let credit = receiving.take_credit(false).unwrap();
            sending.handle_credit(credit).unwrap();
        }
        sending.push(item(bytes));
        assert!(sending.held_bytes() <= WAITING_COST_MAX + 300 + ITEM_COST_BYTES);
    }
    assert!(held_most >= u64::from(WINDOW), "{held_most}");
    assert!(held_most <= u64::from(WINDOW) + 300 + ITEM_COST_BYTES, "{held_most}");
}

#[test]
fn credit_is_given_by_the_half_window_and_not_where_memory_is_scarce() {
    let mut receiving = Receiving::new(1000, 1000);
    assert_eq!(receiving.take_credit(false), None);
    let take = |receiving: &mut Receiving| {
        receiving.handle_line(186).unwrap();
        let _ = receiving.handle_item(item(186));
        let taken = receiving.poll_next(&mut None, &mut Vec::new());
        assert!(matches!(taken, Poll::Ready(Some(_))));
    };
    take(&mut receiving);
    assert_eq!(receiving.take_credit(false), None);
    take(&mut receiving);
    // One that holds something waits.
    receiving.handle_line(0).unwrap();
    let _ = receiving.handle_item(item(0));
    assert_eq!(receiving.take_credit(true), None);
    assert_eq!(receiving.take_credit(false), Some(500));
    assert_eq!(receiving.take_credit(false), None);
}

#[test]
fn what_is_lent_counts_until_the_next_is_asked_for_and_is_little_of_the_window() {
    let mut receiving = Receiving::new(1600, 1600);
    for _ in 0..16 {
        receiving.handle_line(36).unwrap();
        let _ = receiving.handle_item(item(36));
    }
    let mut lent = VecDeque::new();
    let next = |receiving: &mut Receiving| {
        matches!(receiving.poll_next(&mut None, &mut Vec::new()), Poll::Ready(Some(_)))
    };
    assert!(next(&mut receiving));
    receiving.lend(&mut lent);
    assert_eq!((lent.len(), receiving.held_bytes()), (2, 1500));
    // Not more by asking again.
    receiving.lend(&mut lent);
    assert_eq!((lent.len(), receiving.held_bytes()), (2, 1500));
    assert!(next(&mut receiving));
    assert_eq!(receiving.held_bytes(), 1200);
    for held_bytes in [900, 600, 300] {
        receiving.lend(&mut lent);
        assert_eq!(receiving.take_credit(false), (held_bytes == 300).then_some(1000));
        assert!(next(&mut receiving));
        assert_eq!(receiving.held_bytes(), held_bytes);
    }
    receiving.lend(&mut lent);
    assert!(next(&mut receiving));
    receiving.lend(&mut lent);
    assert!(!next(&mut receiving));
    assert_eq!((lent.len(), receiving.held_bytes()), (10, 0));
}

#[test]
fn an_item_that_is_much_of_the_window_is_not_lent() {
    let mut receiving = Receiving::new(500, 500);
    for _ in 0..2 {
        receiving.handle_line(0).unwrap();
        let _ = receiving.handle_item(item(0));
    }
    let mut lent = VecDeque::new();
    receiving.lend(&mut lent);
    assert_eq!((lent.len(), receiving.held_bytes()), (0, 128));
}

#[test]
fn what_was_not_granted_and_what_comes_behind_the_end_are_misuse() {
    let mut receiving = Receiving::new(1, 1);
    receiving.handle_line(1 << 40).unwrap();
    assert_eq!(receiving.handle_line(0), Err(Misuse::Ungranted));
    let mut receiving = Receiving::new(1, 1);
    assert!(receiving.handle_end().is_ok());
    assert_eq!(receiving.handle_line(0), Err(Misuse::Ended));
    assert_eq!(receiving.handle_end().map(|_| ()), Err(Misuse::Ended));
    assert_eq!(receiving.poll_next(&mut None, &mut Vec::new()), Poll::Ready(None));
}

#[test]
fn a_window_grows_with_the_first_credit_unless_memory_is_scarce() {
    let mut receiving = Receiving::new(100, 1000);
    let take = |receiving: &mut Receiving| {
        receiving.handle_line(0).unwrap();
        let _ = receiving.handle_item(item(0));
        let taken = receiving.poll_next(&mut None, &mut Vec::new());
        assert!(matches!(taken, Poll::Ready(Some(_))));
    };
    take(&mut receiving);
    assert_eq!(receiving.take_credit(true), Some(64));
    take(&mut receiving);
    assert_eq!(receiving.take_credit(false), Some(64 + 900));
    take(&mut receiving);
    assert_eq!(receiving.take_credit(false), None);
}
