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
use super::{CallId, Session, TABLE_KEPT_MAX};

/// The place of one who waits for room. To be given back by
/// [`Session::leave_room`] if it waits no longer.
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

/// What became of one who asked for room.
pub(super) enum Asked {
    /// It may go, and this was its waker in the queue.
    Goes(Option<Waker>),
    /// It waits, and this was its waker before.
    Waits(Option<Waker>),
}

impl Session {
    /// Whether less than `unwritten_bytes_max` waits to be written, and nobody who came before
    /// waits for that. If not, `waker` is taken and woken when it is so, or when `deadline` has
    /// passed; `place` is where one waits who asks again.
    pub fn poll_room(
        &mut self,
        within: Option<CallId>,
        place: &mut Option<Place>,
        deadline: Instant,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        // Who cannot call learns so at once.
        if !self.is_open(within) {
            place.take().into_iter().for_each(|place| self.leave_room(place));
            return Poll::Ready(());
        }
        self.poll_any_room(place, Some(deadline), waker)
    }

    /// As [`poll_room`](Self::poll_room) for a reply of ours, which has to wait for a peer that
    /// has ended its side as well: it may have asked for more than it reads.
    pub fn poll_reply_room(
        &mut self,
        place: &mut Option<Place>,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        self.poll_any_room(place, None, waker)
    }

    fn poll_any_room(
        &mut self,
        place: &mut Option<Place>,
        deadline: Option<Instant>,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        match self.room.ask(self.backlog.has_room(), place, deadline, waker) {
            Asked::Goes(spent) => {
                self.spent_wakers.extend(spent);
                Poll::Ready(())
            }
            Asked::Waits(spent) => {
                self.spent_wakers.extend(spent);
                Poll::Pending
            }
        }
    }

    /// Waits for room no longer.
    pub fn leave_room(&mut self, place: Place) {
        self.spent_wakers.extend(self.room.leave(place));
    }

    /// Lets the next one who waits for room know if there is some: to be called when one has gone,
    /// or has left.
    pub fn offer_room(&mut self, now: impl FnOnce() -> Instant) {
        if !self.room.is_empty() && self.backlog.has_room() {
            self.room.offer(now, &mut self.wakers);
        }
    }
}

impl Room {
    /// Somebody asks for room, or asks once more; `waker` is kept if it has to wait.
    pub(super) fn ask(
        &mut self,
        has_room: bool,
        place: &mut Option<Place>,
        deadline: Option<Instant>,
        waker: &mut Option<Waker>,
    ) -> Asked {
        let at = place.as_ref().and_then(|Place(place)| self.find(*place));
        let may_go = at.unwrap_or(self.waiting.len()) <= self.overdue;
        if has_room && may_go {
            return Asked::Goes(place.take().and_then(|place| self.leave(place)));
        }
        match at.and_then(|at| self.waiting.get_mut(at)) {
            Some(waiting) => Asked::Waits(std::mem::replace(&mut waiting.waker, waker.take())),
            None => {
                self.last_place = self.last_place.wrapping_add(1);
                let (place_number, waker) = (self.last_place, waker.take());
                self.waiting.push_back(Waiting { place: place_number, deadline, waker });
                deadline.into_iter().for_each(|deadline| self.deadlines.note(deadline));
                *place = Some(Place(self.last_place));
                Asked::Waits(None)
            }
        }
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
            if self.waiting.capacity() > TABLE_KEPT_MAX {
                self.waiting = VecDeque::new();
            }
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

    /// Lets nobody wait any longer; answers their wakers. They keep their places until they come.
    pub(super) fn wake_all(&mut self) -> impl Iterator<Item = Waker> {
        self.waiting.iter_mut().filter_map(|waiting| waiting.waker.take())
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
