//! One deadline in place of many.

use std::time::{Duration, Instant};

/// The earliest of many deadlines, or something before it: it goes down at once and up only when it
/// is looked for, so that a call that ends in time costs nothing here.
#[derive(Debug, Default)]
pub(super) struct Earliest(pub(super) Option<Instant>);

impl Earliest {
    pub(super) fn note(&mut self, deadline: Instant) {
        self.0 = Some(self.0.map_or(deadline, |earliest| earliest.min(deadline)));
    }
}

/// The earlier of two deadlines.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// `time` from a moment, or as far away as the clock goes: as good as one that nobody lives to see.
pub(super) fn after(from: Instant, time: Duration) -> Instant {
    from.checked_add(time).or_else(|| from.checked_add(FOREVER)).unwrap_or(from)
}

/// Thirty years: what is meant by a time that the clock cannot hold.
pub(super) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
