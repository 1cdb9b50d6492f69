//! Where the items of a half stand in their source.
//!
//! A position is said for the first item, and wherever one does not follow the one before it; all
//! others are the one before and 1. Both sides count alike, so each knows where every item stands.

/// The position of the next item, if it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Positions {
    next: Option<u64>,
}

impl Positions {
    /// The first item stands here.
    pub(crate) const fn begin(&mut self, first: Option<u64>) {
        self.next = first;
    }

    /// Where an item stands of which this is said.
    pub(crate) fn pass(&mut self, said: Option<u64>) -> Option<u64> {
        let position = said.or(self.next);
        self.next = position.and_then(|position| position.checked_add(1));
        position
    }

    /// What is to be said of an item that stands here.
    pub(crate) fn tell(&mut self, position: Option<u64>) -> Option<u64> {
        let next = self.next;
        self.pass(position);
        position.filter(|position| Some(*position) != next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_count_alike_and_say_no_more_than_they_must() {
        let check = |first, positions: &[Option<u64>], said: &[Option<u64>], known: &[_]| {
            let (mut ours, mut theirs) = (Positions::default(), Positions::default());
            ours.begin(first);
            theirs.begin(first);
            for ((position, said), known) in positions.iter().zip(said).zip(known) {
                assert_eq!(ours.tell(*position), *said, "{positions:?}");
                assert_eq!(theirs.pass(*said), *known, "{positions:?}");
            }
        };
        let all = |positions: &[u64]| positions.iter().copied().map(Some).collect::<Vec<_>>();
        check(None, &[None, None], &[None, None], &[None, None]);
        check(Some(7), &[None, None], &[None, None], &all(&[7, 8]));
        check(Some(7), &all(&[7, 8, 10]), &[None, None, Some(10)], &all(&[7, 8, 10]));
        check(None, &[None, Some(3), None], &[None, Some(3), None], &[None, Some(3), Some(4)]);
        // Behind the last there is none that could be counted to.
        check(Some(u64::MAX), &[None, None], &[None, None], &[Some(u64::MAX), None]);
    }
}
