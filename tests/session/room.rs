//! Waiting for room: first come, first served, and one who does not come holds up nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use switchboard::session::{Place, Session, Side};
use switchboard::{Code, Error, Limits};

const TURN_TIME: Duration = Duration::from_millis(10);

const HOUR: Duration = Duration::from_secs(3600);

/// A session with room for one at a time, and those who wait for it.
struct Queue {
    now: Instant,
    session: Session,
    waiting: Vec<Waiting>,
}

struct Waiting {
    place: Option<Place>,
    woken: Arc<Count>,
}

/// Counts how often it is woken.
#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Queue {
    /// A full outbox, and so many who ask for room and find none.
    fn new(count: usize) -> Self {
        let now = Instant::now();
        let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 10);
        let session = Session::new(now, Side::Dialled, &limits);
        let mut queue = Self { now, session, waiting: Vec::new() };
        queue.fill();
        for _ in 0..count {
            queue.waiting.push(Waiting { place: None, woken: Arc::default() });
            assert!(!queue.ask(queue.waiting.len() - 1));
        }
        queue
    }

    fn fill(&mut self) {
        self.session.tell(&Error::new(Code::Failed, "more than ten bytes"));
    }

    /// The peer has read everything.
    fn empty(&mut self) {
        let bytes = self.session.take_transmit().len();
        self.session.handle_written(self.now, bytes);
        self.wake();
    }

    /// One asks, and fills the outbox if it may; whether it may.
    fn ask(&mut self, at: usize) -> bool {
        let Waiting { place, woken } = &mut self.waiting[at];
        let mut waker = Some(Waker::from(Arc::clone(woken)));
        let may_go = self.session.poll_room(None, place, self.now + HOUR, &mut waker).is_ready();
        if may_go {
            assert!(place.is_none());
            self.fill();
        }
        self.session.offer_room(|| self.now);
        self.wake();
        may_go
    }

    /// One gives up.
    fn leave(&mut self, at: usize) {
        let place = self.waiting[at].place.take().unwrap();
        self.session.leave_room(place);
        self.session.offer_room(|| self.now);
        self.wake();
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now).unwrap();
        self.wake();
    }

    fn wake(&mut self) {
        self.session.wakers().take_spent();
        self.session.wakers().take_due().into_iter().for_each(Waker::wake);
    }

    /// How often each was woken.
    #[track_caller]
    fn check_woken(&self, expected: &[usize]) {
        let woken = self.waiting.iter().map(|one| one.woken.0.load(Ordering::Relaxed));
        assert_eq!(woken.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_first_goes_first_whoever_asks() {
    let mut queue = Queue::new(3);
    queue.check_woken(&[0, 0, 0]);
    queue.empty();
    queue.check_woken(&[1, 0, 0]);
    // Nobody overtakes, neither from behind nor from outside.
    assert!(!queue.ask(2) && !queue.ask(1));
    let mut newcomer = None;
    assert!(queue.session.poll_room(None, &mut newcomer, queue.now + HOUR, &mut None).is_pending());
    queue.session.leave_room(newcomer.unwrap());
    assert!(queue.ask(0));
    queue.check_woken(&[1, 0, 0]);
    queue.empty();
    queue.check_woken(&[1, 1, 0]);
    assert!(queue.ask(1));
    queue.empty();
    assert!(queue.ask(2));
    queue.check_woken(&[1, 1, 1]);
}

#[test]
fn one_that_finds_no_room_after_all_keeps_its_place() {
    let mut queue = Queue::new(2);
    queue.empty();
    queue.fill();
    assert!(!queue.ask(0));
    queue.advance(TURN_TIME);
    queue.check_woken(&[1, 0]);
    queue.empty();
    queue.check_woken(&[2, 0]);
    assert!(!queue.ask(1) && queue.ask(0));
}

#[test]
fn one_that_finds_no_room_has_its_whole_turn_the_next_time() {
    let mut queue = Queue::new(2);
    queue.empty();
    queue.fill();
    assert!(!queue.ask(0));
    queue.advance(TURN_TIME / 2);
    queue.empty();
    queue.check_woken(&[2, 0]);
    queue.advance(TURN_TIME / 2);
    queue.check_woken(&[2, 0]);
    queue.advance(TURN_TIME / 2);
    queue.check_woken(&[2, 1]);
}

#[test]
fn a_turn_is_no_longer_for_being_offered_again() {
    let mut queue = Queue::new(2);
    queue.empty();
    queue.advance(TURN_TIME / 2);
    queue.empty();
    queue.advance(TURN_TIME / 2);
    queue.check_woken(&[1, 1]);
}

#[test]
fn an_overdue_one_that_gives_up_makes_no_room_for_two() {
    let mut queue = Queue::new(3);
    queue.empty();
    queue.advance(TURN_TIME);
    queue.leave(0);
    assert!(!queue.ask(2), "the second has its turn");
    assert!(queue.ask(1));
    queue.empty();
    assert!(queue.ask(2));
}

#[test]
fn one_that_gives_up_lets_the_next_come() {
    let mut queue = Queue::new(4);
    queue.leave(1);
    queue.empty();
    queue.leave(0);
    queue.check_woken(&[1, 0, 1, 0]);
    assert!(queue.ask(2));
    queue.leave(3);
    queue.empty();
    let mut newcomer = None;
    assert!(queue.session.poll_room(None, &mut newcomer, queue.now + HOUR, &mut None).is_ready());
}

#[test]
fn one_that_does_not_come_holds_up_nobody_and_keeps_its_place() {
    let mut queue = Queue::new(4);
    queue.empty();
    assert_eq!(queue.session.poll_timeout(), Some(queue.now + TURN_TIME));
    queue.advance(TURN_TIME - Duration::from_nanos(1));
    queue.check_woken(&[1, 0, 0, 0]);
    queue.advance(Duration::from_nanos(1));
    queue.check_woken(&[1, 1, 0, 0]);
    assert!(queue.ask(1));
    // The next waits no longer for it.
    queue.empty();
    queue.check_woken(&[1, 1, 1, 0]);
    assert!(!queue.ask(3) && queue.ask(0));
    queue.empty();
    // Two may come now, as one of them has the turn of the one that came late.
    assert!(queue.ask(2));
    queue.empty();
    queue.check_woken(&[1, 1, 1, 1]);
    assert!(queue.ask(3));
    assert_eq!(queue.session.poll_timeout(), None);
}

#[test]
fn a_newcomer_goes_where_only_those_wait_that_do_not_come() {
    let mut queue = Queue::new(2);
    queue.empty();
    queue.advance(TURN_TIME);
    queue.advance(TURN_TIME);
    queue.check_woken(&[1, 1]);
    let mut newcomer = None;
    assert!(queue.session.poll_room(None, &mut newcomer, queue.now + HOUR, &mut None).is_ready());
    queue.fill();
    queue.empty();
    assert!(queue.ask(1));
    queue.empty();
    assert!(queue.ask(0));
}

#[test]
fn at_the_end_nobody_waits() {
    let mut queue = Queue::new(3);
    queue.session.close(queue.now);
    queue.wake();
    queue.check_woken(&[1, 1, 1]);
    assert!(queue.ask(2) && queue.ask(0) && queue.ask(1));
}

#[test]
fn one_whose_deadline_passes_is_woken_and_leaves() {
    let mut queue = Queue::new(2);
    let mut place = None;
    let woken = Arc::new(Count::default());
    let mut waker = Some(Waker::from(Arc::clone(&woken)));
    let deadline = queue.now + TURN_TIME;
    assert!(queue.session.poll_room(None, &mut place, deadline, &mut waker).is_pending());
    assert_eq!(queue.session.poll_call_timeout(), Some(deadline));
    assert!(!queue.session.handle_call_timeout(deadline - Duration::from_nanos(1)));
    assert!(queue.session.handle_call_timeout(deadline));
    queue.wake();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    queue.check_woken(&[0, 0]);
    assert_eq!(queue.session.poll_call_timeout(), Some(queue.now + HOUR));
    queue.session.leave_room(place.unwrap());
    queue.leave(0);
    queue.leave(1);
    assert_eq!(queue.session.poll_call_timeout(), None);
}

#[test]
fn one_that_was_woken_before_there_was_room_and_does_not_come_holds_up_nobody() {
    let mut queue = Queue::new(1);
    let mut place = None;
    let mut waker = Some(Waker::noop().clone());
    // Its deadline passes, and it does not leave.
    let deadline = queue.now + TURN_TIME;
    queue.leave(0);
    assert!(queue.session.poll_room(None, &mut place, deadline, &mut waker).is_pending());
    assert!(!queue.ask(0));
    queue.advance(TURN_TIME);
    queue.empty();
    queue.check_woken(&[0]);
    queue.advance(TURN_TIME);
    queue.check_woken(&[1]);
    assert!(queue.ask(0));
    assert!(place.is_some());
}
