//! What is reserved, counted and given back, and what is told of it.

use super::*;

fn quota(held_bytes_max: usize) -> Arc<Quota> {
    Quota::new(&Limits::default().with(|limits| limits.held_bytes_max = held_bytes_max))
}

/// Covers one amount after the other; what is reserved then.
#[track_caller]
fn check(steps: &[(usize, usize)]) {
    let quota = quota(1 << 20);
    let mut reservation = Reservation::new(&quota);
    for (bytes, reserved) in steps {
        reservation.cover(*bytes).unwrap();
        assert_eq!(quota.held_bytes.load(Ordering::Relaxed), *reserved, "for {bytes}");
    }
    drop(reservation);
    assert_eq!(quota.held_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reservation_follows_what_it_covers_in_steps() {
    const STEP: usize = STEP_BYTES;
    check(&[(0, 0), (4096, 0), (4097, STEP), (4096 + STEP, STEP), (4097 + STEP, 2 * STEP)]);
    // What is much less is given back, what is a little less stays, and nothing is free.
    check(&[(500_000, 31 * STEP), (100_000, 6 * STEP), (90_000, 6 * STEP), (4096, 0)]);
    check(&[(40_000, 3 * STEP), (20_000, STEP), (4097, STEP), (0, 0)]);
    check(&[(4097 + STEP, 2 * STEP), (4097, 2 * STEP), (0, 0)]);
}

#[test]
fn what_does_not_fit_leaves_all_as_it_was() {
    let quota = quota(100_000);
    let (mut one, mut other) = (Reservation::new(&quota), Reservation::new(&quota));
    one.cover(60_000).unwrap();
    let error = other.cover(60_000).unwrap_err();
    assert_eq!(error.code(), Code::Overloaded);
    assert!(error.text().ends_with("are over held_bytes_max (100000)"), "{error}");
    // What is free needs no room.
    other.cover(FREE_BYTES).unwrap();
    assert!(one.cover(200_000).is_err());
    one.cover(0).unwrap();
    other.cover(60_000).unwrap();
}

#[test]
fn what_ends_makes_room_for_another() {
    let limits = Limits::default().with(|limits| {
        limits.calls_max = 2;
        limits.blocking_calls_max = 1;
    });
    let quota = Quota::new(&limits);
    let _other = quota.call().unwrap();
    let permit = quota.call().unwrap();
    let error = quota.call().unwrap_err();
    assert_eq!(error.code(), Code::Overloaded);
    assert_eq!(error.text(), "calls_max (2) are running already");
    drop(permit);
    let _permit = quota.call().unwrap();
    // Those that block are counted by themselves.
    let blocking = quota.blocking_call().unwrap();
    let error = quota.blocking_call().unwrap_err();
    assert_eq!(error.text(), "blocking_calls_max (1) are running already");
    drop(blocking);
    quota.blocking_call().unwrap();
}

#[test]
fn calls_that_nobody_hears_of_are_told_once_a_second() {
    let (quota, begin) = (quota(1 << 20), Instant::now());
    let at = |pauses| begin + LOG_PAUSE * pauses / 2;
    assert_eq!(quota.note_unheard(3, begin), Some(3));
    assert_eq!(quota.note_unheard(2, at(1)), None);
    assert_eq!(quota.note_unheard(1, at(2)), Some(3), "all since the last time");
    assert_eq!(quota.note_unheard(1, at(3)), None);
    assert_eq!(quota.note_unheard(1, at(9)), Some(2));
}

#[test]
fn a_call_counts_the_same_until_it_keeps_much() {
    let of = [0, 1024, 1025, 5000].map(call_bytes);
    assert_eq!(of, [2048, 2048, 2049, 2048 + 5000 - 1024]);
}

#[test]
fn without_a_connection_nothing_is_free() {
    let quota = quota(100_000);
    let is_held = |bytes| assert_eq!(quota.held_bytes.load(Ordering::Relaxed), bytes);
    let (mut one, mut other) = (Held::new(&quota), Held::new(&quota));
    one.cover(1).unwrap();
    other.cover(90_000).unwrap();
    is_held(90_001);
    let error = one.cover(10_001).unwrap_err();
    assert_eq!(error.text(), "10001 bytes on top of 90001 are over held_bytes_max (100000)");
    is_held(90_001);
    one.cover(10_000).unwrap();
    other.cover(10).unwrap();
    is_held(10_010);
    drop((one, other));
    is_held(0);
}
