//! What a decode asks to be granted, and what is refused it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
#[cfg(feature = "json")]
use crate::error::Code;

/// Has so many bytes to grant, and tells what is asked for.
struct Purse {
    left: AtomicUsize,
    asked: Sender<usize>,
}

impl Purse {
    fn of(bytes: usize) -> (Arc<Self>, Receiver<usize>) {
        let (asked, heard) = channel();
        (Arc::new(Self { left: AtomicUsize::new(bytes), asked }), heard)
    }

    fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

impl Grant for Purse {
    fn grant(&self, bytes: usize) -> Result<(), (usize, usize)> {
        self.asked.send(bytes).unwrap();
        let left = self.left().checked_sub(bytes).ok_or((0, 7))?;
        self.left.store(left, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

const KIB: usize = 1024;

fn budget(purse: &Arc<Purse>, payload_bytes: usize, decode_bytes_max: usize) -> Budget {
    let limits = Limits::default().with(|limits| limits.decode_bytes_max = decode_bytes_max);
    let grantor: Arc<dyn Grant> = Arc::<Purse>::clone(purse);
    Budget::new(&limits, payload_bytes).granted_by(grantor)
}

#[test]
fn memory_is_asked_for_as_it_is_used_and_given_back() {
    let (purse, asked) = Purse::of(KIB * KIB);
    let decode = budget(&purse, 100, 1000 * KIB);
    decode.charge_memory(16 * KIB).unwrap();
    assert_eq!(purse.left(), KIB * KIB);
    // The least, what is missing, and a quarter of what there is.
    decode.charge_memory(1).unwrap();
    decode.charge_memory(16 * KIB).unwrap();
    decode.charge_memory(80 * KIB).unwrap();
    decode.charge_memory(16 * KIB).unwrap();
    let expected = [16 * KIB, 16 * KIB, 64 * KIB + 1, 24 * KIB];
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), expected);
    assert_eq!(purse.left(), (1024 - 120) * KIB - 1);
    // All that is left of it, and no byte more.
    let left = 1000 * KIB - decode.memory_used();
    decode.charge_memory(left).unwrap();
    assert!(decode.charge_memory(1).is_err());
    drop(decode);
    assert_eq!(purse.left(), KIB * KIB);
}

#[test]
fn what_is_not_granted_is_refused_by_its_name() {
    let (purse, asked) = Purse::of(20 * KIB);
    let decode = budget(&purse, 100, 1000 * KIB);
    let passed = decode.charge_memory(60 * KIB).unwrap_err();
    assert!(matches!(passed, Passed::HeldBytes { held_bytes_max: 7, .. }), "{passed:?}");
    drop(decode);
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [44 * KIB]);
    assert_eq!(purse.left(), 20 * KIB);
}

#[test]
fn text_is_granted_beside_a_payload_that_is_large() {
    for (payload_bytes, expected) in [(16 * KIB, &[][..]), (16 * KIB + 1, &[16 * KIB + 1])] {
        let (purse, asked) = Purse::of(KIB * KIB);
        budget(&purse, payload_bytes, KIB).begin_content().unwrap();
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), expected);
        assert_eq!(purse.left(), KIB * KIB);
    }
    let (purse, _asked) = Purse::of(16 * KIB);
    assert!(budget(&purse, 17 * KIB, KIB).begin_content().is_err());
}

#[cfg(feature = "json")]
#[test]
fn what_a_format_needs_for_itself_is_granted() {
    let (purse, asked) = Purse::of(20 * KIB);
    let decode = budget(&purse, 100, KIB);
    decode.note_scratch(16 * KIB).unwrap();
    assert_eq!(asked.try_iter().count(), 0);
    decode.note_scratch(17 * KIB).unwrap();
    assert_eq!(decode.note_scratch(17 * KIB).unwrap_err().code(), Code::Overloaded);
}

#[test]
fn a_value_that_is_the_payload_has_used_its_text() {
    let decode = Budget::new(&Limits::default(), 100);
    decode.note_payload();
    assert_eq!(decode.memory_used(), 100);
    decode.note_content(50).unwrap();
    assert_eq!(decode.memory_used(), 150, "there is no more that is free");
}
