//! What was found of types, each once in a process.
//!
//! Asked at each encoding, so it has to be found again in a nanosecond, and without a lock: a table
//! of chains that only grow, and before it a place for one type of each chain that is carried. As a
//! rule, that is all that is looked at.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchboard_shape::Shape;

/// Whether a format carries the values of a type.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It does, as far as samples show.
    Carried,
    /// It does not, or not all of them, and why.
    Refused(Box<str>),
    /// There are parts of it of which there is no sample.
    Unseen,
}

/// What was found of a type.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    /// Its shape, in formats whose errors tell the place. `None` if the type cannot be traced.
    pub(super) shape: Option<Shape>,
}

impl Found {
    /// Of a type that could not be asked.
    pub(super) const UNSEEN: Self = Self { verdict: Verdict::Unseen, shape: None };
}

/// The function that finds it for one type, by which the type is known. Types need not be
/// `'static`, so `TypeId` cannot tell them apart. Functions whose machine code is the same may have
/// one address: then they ask for the same and name the same type, and the verdict is the same. One
/// function may have two addresses: then it is asked twice.
pub(super) type Find = fn() -> Found;

/// The verdicts of one format.
pub(in crate::format) struct Verdicts {
    carried: [AtomicUsize; CHAINS],
    chains: [OnceLock<Box<Link>>; CHAINS],
}

struct Link {
    find: usize,
    found: Found,
    next: OnceLock<Box<Self>>,
}

impl Verdicts {
    pub(in crate::format) const fn new() -> Self {
        Self {
            carried: [const { AtomicUsize::new(0) }; CHAINS],
            chains: [const { OnceLock::new() }; CHAINS],
        }
    }

    /// Whether [`of`](Self::of) has said that the type is carried. That may be forgotten.
    #[inline]
    pub(super) fn is_carried(&self, find: Find) -> bool {
        // The number says it all: no other memory is read because of it.
        let carried = self.carried.get(index(find));
        carried.is_some_and(|carried| carried.load(Ordering::Relaxed) == address(find))
    }

    /// What `find` says.
    #[inline(never)]
    pub(super) fn of(&self, find: Find) -> &Found {
        let [first, ..] = &self.chains;
        let found = look_up(self.chains.get(index(find)).unwrap_or(first), find);
        if let (Verdict::Carried, Some(carried)) = (&found.verdict, self.carried.get(index(find))) {
            carried.store(address(find), Ordering::Relaxed);
        }
        found
    }
}

/// Looks along a chain. What is not there is put at its end, unless others are faster.
fn look_up(mut place: &OnceLock<Box<Link>>, find: Find) -> &Found {
    let mut found = None;
    loop {
        if place.get().is_none() {
            // The type's own code may ask for other types meanwhile.
            found.get_or_insert_with(find);
        }
        let link = place.get_or_init(|| {
            let found = found.clone().unwrap_or(Found::UNSEEN);
            Box::new(Link { find: address(find), found, next: OnceLock::new() })
        });
        if link.find == address(find) {
            return &link.found;
        }
        place = &link.next;
    }
}

#[inline]
fn address(find: Find) -> usize {
    find as *const () as usize
}

#[inline]
fn index(find: Find) -> usize {
    (address(find) / FUNCTION_BYTES) % CHAINS
}

const CHAINS: usize = 256;

/// Functions begin at multiples of this.
const FUNCTION_BYTES: usize = 16;
