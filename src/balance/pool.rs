//! The back ends of one client: which there are, and which one a call is given.
//!
//! A back end is gone when a list comes without it: it takes no more calls, those under way end,
//! and its connection is closed. A connection is numbered by its back end and its own number (see
//! [`Pool::number_of`]), so what is told of a call reaches the back end that it was given.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::back_ends::BackEnds;
use super::dice::Dice;
use super::health::Health;
use super::policy::Policy;
use crate::client::{Client, Given, Supplied, Until, Wanted};
use crate::clock::{after, now};
use crate::conn::Handle;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::reconnect::{Budget, Changes, Dial, Keeper, Options, Slot, Waiting, until};
use crate::service::{BoxFuture, ChannelState, ChannelStates};
use crate::transport::Address;

/// Makes a connection to a back end.
pub(super) type Connect = Arc<dyn Fn(Address) -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// All back ends.
pub(super) struct Pool {
    limits: Arc<Limits>,
    options: Options,
    policy: Policy,
    connect: Connect,
    back_ends: RwLock<Vec<BackEnd>>,
    // Counts what happens to any of them.
    changes: Changes,
    state: watch::Sender<ChannelState>,
    closing: CancellationToken,
    waiting: Arc<Waiting>,
    budget: Budget,
    // That of the keepers.
    runtime: runtime::Handle,
    // Whose turn it is.
    turn: AtomicUsize,
    dice: Dice,
}

/// One of them.
struct BackEnd {
    address: Address,
    number: u64,
    slot: Arc<Slot>,
    health: Health,
}

/// How strictly back ends are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Those that have done well.
    Well,
    /// Those that are connected.
    Connected,
}

impl Pool {
    pub(super) fn new(
        limits: Arc<Limits>,
        options: Options,
        policy: Policy,
        connect: Connect,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            options,
            policy,
            connect,
            back_ends: RwLock::default(),
            changes: watch::Sender::new(0),
            state: watch::Sender::new(ChannelState::Connecting),
            closing: CancellationToken::new(),
            waiting: Waiting::new(options.waiting_calls_max, options.waiting_bytes_max),
            budget: Budget::new(options.repeats_max),
            runtime: runtime::Handle::current(),
            turn: AtomicUsize::new(0),
            dice: Dice::default(),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    pub(super) fn states(&self) -> ChannelStates {
        ChannelStates::watched(self.state.subscribe())
    }

    pub(super) fn until(&self, due: Instant) -> Until {
        until(&self.runtime, due)
    }

    pub(super) fn pause(&self, repeats: u32) -> Duration {
        self.options.backoff.pause(repeats)
    }

    /// Keeps the back ends that the lists name until nobody calls any more.
    pub(super) async fn run(self: Arc<Self>, mut lists: BackEnds) {
        let _closes = CloseOnDrop(&self);
        let mut changes = self.changes.subscribe();
        let (mut keepers, mut last_number, mut is_at_end) = (JoinSet::new(), 0, false);
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                list = poll_fn(|cx| lists.poll_list(cx)), if !is_at_end => match list {
                    Some(list) => self.replace(list, &mut last_number, &mut keepers),
                    None => is_at_end = true,
                },
                _ = changes.changed() => self.note_state(),
                Some(_) = keepers.join_next() => {}
            }
        }
        for back_end in &*self.back_ends() {
            back_end.slot.closing().cancel();
        }
        while keepers.join_next().await.is_some() {}
    }

    /// A connection for a call, if there is one.
    pub(super) fn pick(&self, wanted: Wanted) -> Option<Supplied> {
        let (back_ends, now) = (self.back_ends(), now());
        if let Wanted::Same(given) = wanted {
            let number = Self::number_of(given);
            let back_end = back_ends.iter().find(|it| it.number == number)?;
            return back_end.offer(now, Look::Connected).map(|offer| offer.supplied);
        }
        let not = match wanted {
            Wanted::Other(given) => Some(Self::number_of(given)),
            Wanted::Any | Wanted::Same(_) => None,
        };
        // Whoever is asked for too much is better than nobody.
        self.pick_of(&back_ends, now, not, Look::Well)
            .or_else(|| self.pick_of(&back_ends, now, not, Look::Connected))
            .or_else(|| self.pick_of(&back_ends, now, None, Look::Connected))
    }

    /// Waits for a connection, in a place among those who wait.
    pub(super) async fn wait(
        self: Arc<Self>,
        bytes: usize,
        pause: Duration,
        wanted: Wanted,
    ) -> Result<Supplied> {
        let _place = self.waiting.enter(bytes)?;
        if !pause.is_zero() {
            tokio::select! {
                () = self.until(after(pause).into_std()) => {}
                () = self.closing.cancelled() => {}
            }
        }
        let mut changes = self.changes.subscribe();
        loop {
            // Seen before looking, so that no change in between is missed.
            changes.borrow_and_update();
            if self.closing.is_cancelled() {
                return Err(Error::local(Code::Disconnected, "the client is closed"));
            }
            if let Some(supplied) = self.pick(wanted) {
                return Ok(supplied);
            }
            if let Wanted::Same(given) = wanted
                && !self.has(given)
            {
                let text = "the back end of this call is not in the list any more";
                return Err(Error::local(Code::Disconnected, text));
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = self.closing.cancelled() => {}
            }
        }
    }

    /// Why there is no connection to one of them.
    pub(super) fn why_none(&self) -> Option<Error> {
        self.back_ends().iter().find_map(|back_end| back_end.slot.why_none())
    }

    pub(super) fn answered(&self, given: Given, is_error: bool) {
        self.budget.give();
        self.with(given.id, |back_end| {
            back_end.slot.answered(given.id);
            let now = now();
            let took = given.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            back_end.health.answered(now, took, is_error);
        });
    }

    pub(super) fn failed(&self, given: Given) {
        self.with(given.id, |back_end| {
            if back_end.health.failed(now()) {
                tracing::debug!(back_end = %back_end.address, "is left out");
            }
        });
    }

    /// How many others do well.
    pub(super) fn others(&self, given: Given) -> u32 {
        let (now, number) = (now(), Self::number_of(given));
        let back_ends = self.back_ends();
        let others = back_ends
            .iter()
            .filter(|it| it.number != number && it.offer(now, Look::Well).is_some());
        u32::try_from(others.count()).unwrap_or(u32::MAX)
    }

    pub(super) fn handed_over(&self, handle: &Handle, id: u64) {
        self.with(id, |back_end| back_end.slot.one_way().handed_over(handle.shared(), id));
    }

    /// Waits until what was sent is written, to any of them.
    pub(super) async fn flush(&self) -> Result<()> {
        let slots: Vec<_> = self.back_ends().iter().map(|it| Arc::clone(&it.slot)).collect();
        let mut result = Ok(());
        for slot in slots {
            result = result.and(slot.flush().await);
        }
        result
    }

    /// Waits until all keepers have ended.
    pub(super) async fn closed(&self) {
        let mut state = self.state.subscribe();
        // The sender is in here.
        let _ = state.wait_for(|state| *state == ChannelState::Closed).await;
    }

    /// There are these back ends from now on.
    fn replace(&self, mut list: Vec<Address>, last_number: &mut u64, keepers: &mut JoinSet<()>) {
        let mut back_ends = self.back_ends.write().unwrap_or_else(PoisonError::into_inner);
        back_ends.retain(|back_end| {
            let stays = list.contains(&back_end.address);
            if !stays {
                back_end.slot.closing().cancel();
            }
            stays
        });
        while !list.is_empty() && back_ends.len() < self.policy.back_ends_max {
            let address = list.swap_remove(self.dice.below(list.len()));
            if back_ends.iter().any(|it| it.address == address) {
                continue;
            }
            *last_number = last_number.wrapping_add(1);
            let back_end = self.begin(address, *last_number, keepers);
            back_ends.push(back_end);
        }
        drop(back_ends);
        self.note_state();
        // A call may wait for one that is gone.
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn begin(&self, address: Address, number: u64, keepers: &mut JoinSet<()>) -> BackEnd {
        let slot = Slot::new(Arc::clone(&self.limits), self.options, Some(self.changes.clone()));
        let (connect, to) = (Arc::clone(&self.connect), address.clone());
        let dial: Dial = Box::new(move || connect(to.clone()));
        let last_id = number.wrapping_shl(CONNECTION_BITS);
        keepers.spawn(Keeper::new(&slot, dial, self.options, last_id).run());
        BackEnd { address, number, slot, health: Health::new(now()) }
    }

    fn note_state(&self) {
        let is_connected = self.back_ends().iter().any(|it| it.slot.current().is_some());
        let state = if is_connected { ChannelState::Connected } else { ChannelState::Connecting };
        self.state.send_if_modified(|before| std::mem::replace(before, state) != state);
    }

    fn pick_of(
        &self,
        back_ends: &[BackEnd],
        now: Instant,
        not: Option<u64>,
        look: Look,
    ) -> Option<Supplied> {
        let offer = |it: &BackEnd, not: [Option<u64>; 2]| {
            if not.contains(&Some(it.number)) { None } else { it.offer(now, look) }
        };
        // The first that will do from this place on, and how many before it will not.
        let from = |place: usize, not| {
            let mut turned = back_ends.iter().cycle().skip(place).take(back_ends.len()).enumerate();
            turned.find_map(|(skipped, it)| Some((skipped, offer(it, not)?)))
        };
        let count = back_ends.len();
        if self.policy.is_round_robin {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let (skipped, found) = from(turn.checked_rem(count)?, [not, None])?;
            // Else the one behind one that is left out would have two turns.
            self.turn.fetch_add(skipped, Ordering::Relaxed);
            return Some(found.supplied);
        }
        // Tried a few times before they are gone through, for the same reason.
        let any = |not| {
            let mut tried = (0..TRIES_MAX).filter_map(|_| back_ends.get(self.dice.below(count)));
            let found = tried.find_map(|it| offer(it, not));
            found.or_else(|| from(self.dice.below(count), not).map(|(_, found)| found))
        };
        let first = any([not, None])?;
        let second = any([not, Some(Self::number_of(first.supplied.given))]);
        match second {
            Some(second) if second.load < first.load => Some(second.supplied),
            _ => Some(first.supplied),
        }
    }

    fn has(&self, given: Given) -> bool {
        let number = Self::number_of(given);
        self.back_ends().iter().any(|it| it.number == number)
    }

    fn with(&self, id: u64, action: impl FnOnce(&BackEnd)) {
        let number = id.wrapping_shr(CONNECTION_BITS);
        if let Some(back_end) = self.back_ends().iter().find(|it| it.number == number) {
            action(back_end);
        }
    }

    /// The number of the back end that a call was given.
    const fn number_of(given: Given) -> u64 {
        given.id.wrapping_shr(CONNECTION_BITS)
    }

    fn back_ends(&self) -> RwLockReadGuard<'_, Vec<BackEnd>> {
        self.back_ends.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackEnd {
    /// Its connection, if it has one that takes calls, and is not left out.
    fn offer(&self, now: Instant, look: Look) -> Option<Offer> {
        if look == Look::Well && self.health.is_out(now) {
            return None;
        }
        let supplied = self.slot.current()?;
        let under_way = supplied.handle.shared().calls_under_way()?;
        let calls = u64::try_from(under_way).unwrap_or(u64::MAX).saturating_add(1);
        let load = calls.saturating_mul(self.health.latency(now).max(1));
        let given = Given { at: Some(now), ..supplied.given };
        Some(Offer { supplied: Supplied { given, ..supplied }, load })
    }
}

/// A connection that a call may be given.
struct Offer {
    supplied: Supplied,
    // How long one more call would wait, by what is known.
    load: u64,
}

/// Also if the runtime is gone: nobody would dial any more.
struct CloseOnDrop<'a>(&'a Pool);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.closing.cancel();
        self.0.state.send_replace(ChannelState::Closed);
    }
}

/// How often one is picked at random before all are gone through: where half of them are left out,
/// one pick in 256 is of the latter kind.
const TRIES_MAX: usize = 8;

/// So many bits of the number of a connection count the connections of its back end.
const CONNECTION_BITS: u32 = 40;
