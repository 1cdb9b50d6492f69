//! Who waits for room in what is to be written: first come, first served.
//!
//! ```text
//!   new ──queue empty, room──────────────────────────────────► goes
//!    │                                                          ▲
//!    └──► queued ──at the front, room: woken──► has its turn ───┘ polled while there is room
//!            ▲                                     │
//!            └──────── polled, no room left ───────┘
//! ```
//!
//! The one at the front goes next, however late it came to be polled, and nobody overtakes it. But
//! a future that is kept somewhere and not polled must not hold up everybody behind it. So one that
//! has had its turn for [`TURN_TIME`] and did not come is overdue: the next gets a turn as well,
//! and the first keeps its place.
//!
//! Wakers belong to whoever waits: none is cloned or dropped in here.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::deadlines::Earliest;
use super::tables::shrink_empty;

/// The place of one who waits for room. To be given back by
/// [`Session::leave_room`](crate::session::Session::leave_room) if it waits no longer.
#[derive(Debug)]
#[must_use = "everybody behind a place that is lost waits longer"]
pub struct Place(u64);

#[derive(Debug, Default)]
pub(super) struct Room {
    // In the order of their places.
    waiting: VecDeque<Waiting>,
    last_place: u64,
    // So many at the front had their turn and did not come. Those, and one more, may go.
    overdue: usize,
    // When the one who has its turn is overdue.
    turn_until: Option<Instant>,
    deadlines: Earliest,
}

#[derive(Debug)]
struct Waiting {
    place: u64,
    deadline: Option<Instant>,
    // `None` while it has its turn.
    waker: Option<Waker>,
}

impl Room {
    /// Somebody asks for room, or asks once more; `waker` is kept if it has to wait.
    pub(super) fn poll(
        &mut self,
        has_room: bool,
        place: &mut Option<Place>,
        deadline: Option<Instant>,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<()> {
        let at = place.as_ref().and_then(|Place(place)| self.find(*place));
        let may_go = at.unwrap_or(self.waiting.len()) <= self.overdue;
        if has_room && may_go {
            spent.extend(place.take().and_then(|place| self.leave(place)));
            return Poll::Ready(());
        }
        if let Some(waiting) = at.and_then(|at| self.waiting.get_mut(at)) {
            spent.extend(std::mem::replace(&mut waiting.waker, waker.take()));
        } else {
            self.last_place = self.last_place.wrapping_add(1);
            let (place_number, waker) = (self.last_place, waker.take());
            self.waiting.push_back(Waiting { place: place_number, deadline, waker });
            deadline.into_iter().for_each(|deadline| self.deadlines.note(deadline));
            *place = Some(Place(self.last_place));
        }
        Poll::Pending
    }

    /// Gives a place up; answers its waker.
    pub(super) fn leave(&mut self, Place(place): Place) -> Option<Waker> {
        let at = self.find(place)?;
        let waiting = self.waiting.remove(at)?;
        if at < self.overdue {
            self.overdue = self.overdue.saturating_sub(1);
        }
        if self.waiting.is_empty() {
            self.turn_until = None;
            self.deadlines = Earliest::default();
            shrink_empty(&mut self.waiting);
        }
        waiting.waker
    }

    /// There is room: those whose turn it is are to be woken, and are added to `woken`.
    pub(super) fn offer(&mut self, now: impl FnOnce() -> Instant, woken: &mut Vec<Waker>) {
        let before = woken.len();
        let with_turn = self.waiting.iter_mut().take(self.overdue.saturating_add(1));
        woken.extend(with_turn.filter_map(|waiting| waiting.waker.take()));
        // It may have been woken before, by its deadline or because all were, and not have come.
        let has_been_woken = self.waiting.get(self.overdue).is_some_and(|one| one.waker.is_none());
        if woken.len() > before || has_been_woken && self.turn_until.is_none() {
            self.turn_until = now().checked_add(TURN_TIME);
        }
    }

    /// Lets those know whose deadline has passed: they are added to `woken`, and leave.
    pub(super) fn handle_deadlines(&mut self, now: Instant, woken: &mut Vec<Waker>) {
        if self.deadlines.0.is_none_or(|earliest| earliest > now) {
            return;
        }
        self.deadlines = Earliest::default();
        for waiting in &mut self.waiting {
            match waiting.deadline {
                Some(deadline) if deadline <= now => woken.extend(waiting.waker.take()),
                Some(deadline) => self.deadlines.note(deadline),
                None => {}
            }
        }
    }

    /// When somebody's deadline passes.
    pub(super) const fn earliest_deadline(&self) -> Option<Instant> {
        self.deadlines.0
    }

    /// Whether one who had its turn did not come, so that the next should have one.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.turn_until.is_none_or(|until| until > now) {
            return false;
        }
        self.turn_until = None;
        // One that came and found no room is waiting again.
        let has_turn = self.waiting.get(self.overdue).is_some_and(|last| last.waker.is_none());
        if has_turn {
            self.overdue = self.overdue.saturating_add(1);
        }
        has_turn
    }

    /// Lets nobody wait any longer. They keep their places until they come.
    pub(super) fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.waiting.iter_mut().filter_map(|waiting| waiting.waker.take()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) const fn earliest(&self) -> Option<Instant> {
        self.turn_until
    }

    fn find(&self, place: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&place, |waiting| waiting.place).ok()
    }
}

/// Time to come when there is room: far more than any task takes that is polled when it is woken.
const TURN_TIME: Duration = Duration::from_millis(10);
