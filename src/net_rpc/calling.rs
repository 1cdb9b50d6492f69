//! Our calls on one connection to a server of net/rpc: what is to be written, and who waits.
//!
//! ```text
//!   waits for a place, then for room ──► in `out` ──written──► under way ──reply──► ended
//!     │ closed: `shutting_down`            │ lost: not sent      │ lost: may have run
//!     └ dropped: nothing was sent          └─ dropped: its reply, when it comes, as well
//! ```
//!
//! net/rpc has no word to cancel a call, and the server goes on with it. So a call that nobody
//! waits for has its place until its reply has come. It knows no stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::message::Asking;
use crate::clock::after;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::service::Reply;

/// The calls of one connection.
pub(super) struct Calls {
    limits: Arc<Limits>,
    state: Mutex<State>,
    // `calls_per_connection_max`, and `unwritten_bytes_max`. Closed with the connection.
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    // Somebody has something to be written, or waits no longer.
    changed: Notify,
    stage: watch::Sender<Stage>,
}

struct State {
    asking: Asking,
    // Room for what is to be written.
    rooms: Vec<OwnedSemaphorePermit>,
    next: u64,
    // The first call of which nothing was written.
    unwritten: u64,
    under_way: HashMap<u64, UnderWay>,
    is_over: bool,
}

/// What a writer finds.
pub(super) enum Unwritten {
    /// These bytes, and the room for them, which is given back when they are written.
    Bytes(Vec<u8>, Vec<OwnedSemaphorePermit>),
    Nothing,
    /// Nor will there be anything, and nobody waits for a reply.
    Over,
}

/// A call whose reply has not come.
struct UnderWay {
    facts: Option<Box<Facts>>,
    // `None` if nobody waits for it.
    caller: Option<oneshot::Sender<Result<Reply>>>,
    _place: OwnedSemaphorePermit,
}

/// How far the connection has come.
#[derive(Clone, Debug, Default)]
struct Stage {
    // Of so many calls all is written.
    written: u64,
    // Until when calls under way may go on, once no more are taken.
    closing: Option<Instant>,
    // What ended it.
    ended: Option<Arc<str>>,
}

/// What can be sent once there is room: a method and its argument.
pub(super) struct Unsent<'a> {
    pub(super) method: &'a str,
    pub(super) argument: &'a [u8],
    pub(super) facts: Option<Box<Facts>>,
    pub(super) wants_reply: bool,
}

/// The reply that somebody waits for.
pub(super) struct Waiting {
    calls: Arc<Calls>,
    number: u64,
    reply: oneshot::Receiver<Result<Reply>>,
}

impl Calls {
    /// None so far.
    pub(super) fn new(limits: &Arc<Limits>) -> Arc<Self> {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            limits: Arc::clone(limits),
            state: Mutex::new(State {
                asking: Asking::new(limits.depth_max),
                rooms: Vec::new(),
                next: 0,
                unwritten: 0,
                under_way: HashMap::new(),
                is_over: false,
            }),
            places: semaphore(limits.calls_per_connection_max),
            room: semaphore(limits.unwritten_bytes_max.min(u32::MAX as usize)),
            changed: Notify::new(),
            stage: watch::Sender::default(),
        })
    }

    pub(super) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Hands a call over, when there is room for it.
    ///
    /// # Errors
    ///
    /// `bad_payload` if the argument is no gob, `shutting_down` or `disconnected` if no more calls
    /// are taken. Nothing is sent then.
    pub(super) async fn send(self: &Arc<Self>, unsent: Unsent<'_>) -> Result<Waiting> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.closed())?;
        let most = self.limits.unwritten_bytes_max;
        let bytes = unsent.bytes_max().min(most);
        let room = Arc::clone(&self.room);
        let room = room.acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX)).await;
        let mut room = room.map_err(|_| self.closed())?;
        let (sender, reply) = oneshot::channel();
        let mut state = self.lock();
        if state.is_over {
            return Err(self.closed());
        }
        let number = state.next;
        let put_bytes = state.asking.put(unsent.method, number, unsent.argument)?;
        // Definitions, say, that the server has heard already.
        drop(room.split(bytes.saturating_sub(put_bytes)));
        state.next = number.saturating_add(1);
        state.rooms.push(room);
        let caller = unsent.wants_reply.then_some(sender);
        let call = UnderWay { facts: unsent.facts, caller, _place: place };
        state.under_way.insert(number, call);
        drop(state);
        self.changed.notify_one();
        Ok(Waiting { calls: Arc::clone(self), number, reply })
    }

    /// Takes no more calls.
    pub(super) fn close(&self) {
        let until = after(self.limits.drain_time_max);
        self.stage.send_if_modified(|stage| {
            let is_first = stage.closing.is_none();
            stage.closing.get_or_insert(until);
            is_first
        });
        self.places.close();
        self.room.close();
        self.changed.notify_one();
    }

    /// Whether no more calls are taken.
    pub(super) fn is_closed(&self) -> bool {
        self.places.is_closed()
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        self.wait_for(|stage| stage.ended.is_some()).await;
    }

    /// Waits until the calls under way have had their time after the close.
    pub(super) async fn drained(&self) {
        let stage = self.wait_for(|stage| stage.closing.is_some()).await;
        match stage.closing {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until all calls handed over so far are written.
    ///
    /// # Errors
    ///
    /// `disconnected` if the connection ends before.
    pub(super) async fn flush(&self) -> Result<()> {
        let next = self.lock().next;
        let stage = self.wait_for(|stage| stage.written >= next || stage.ended.is_some()).await;
        if stage.written >= next { Ok(()) } else { Err(self.closed().after_sending()) }
    }

    /// What is to be written now.
    pub(super) fn unwritten(&self) -> Unwritten {
        let mut state = self.lock();
        if !state.rooms.is_empty() {
            state.unwritten = state.next;
            return Unwritten::Bytes(state.asking.take(), std::mem::take(&mut state.rooms));
        }
        if !self.is_closed() || state.under_way.values().any(|call| call.caller.is_some()) {
            return Unwritten::Nothing;
        }
        state.is_over = true;
        Unwritten::Over
    }

    /// Waits until there may be something else to write. Only one may wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Notes that what was given out is written.
    pub(super) fn set_written(&self) {
        let written = self.lock().unwritten;
        self.stage.send_modify(|stage| stage.written = written);
    }

    /// What the command of a call has in place of limits.
    pub(super) fn facts(&self, number: u64) -> Option<Facts> {
        self.lock().under_way.get(&number)?.facts.as_deref().copied()
    }

    /// Ends a call. A reply that nobody waits for is dropped, whoever asked.
    pub(super) fn end_call(&self, number: u64, reply: Result<Reply>) {
        let call = self.lock().under_way.remove(&number);
        if let Some(caller) = call.and_then(|call| call.caller) {
            let _ = caller.send(reply);
        }
        // The last reply may be what a close waits for.
        self.changed.notify_one();
    }

    /// Ends all calls, and the connection with them; `why` is for those that were under way.
    pub(super) fn end(&self, code: Code, why: &str) {
        // Before anybody is woken or refused, who asks for the cause then.
        self.stage.send_modify(|stage| {
            stage.ended.get_or_insert_with(|| why.into());
        });
        self.places.close();
        self.room.close();
        let (unwritten, under_way) = {
            let mut state = self.lock();
            state.is_over = true;
            state.asking = Asking::new(self.limits.depth_max);
            state.rooms.clear();
            (state.unwritten, std::mem::take(&mut state.under_way))
        };
        for (number, call) in under_way {
            let error = Error::local(code, why.to_owned());
            let error = if number < unwritten { error.after_sending() } else { error };
            if let Some(caller) = call.caller {
                let _ = caller.send(Err(error));
            }
        }
    }

    /// The error of a call that is not taken.
    fn closed(&self) -> Error {
        match &self.stage.borrow().ended {
            Some(why) => Error::local(Code::Disconnected, why.to_string()),
            None => Error::local(Code::ShuttingDown, "the client is closed"),
        }
    }

    async fn wait_for(&self, is_there: impl FnMut(&Stage) -> bool) -> Stage {
        let mut stage = self.stage.subscribe();
        // Its sender is in here.
        stage.wait_for(is_there).await.map(|stage| stage.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unsent<'_> {
    /// No fewer bytes than it has when it is written.
    fn bytes_max(&self) -> usize {
        let header_bytes = HEADER_BYTES_MAX.saturating_add(self.method.len());
        header_bytes.saturating_add(self.argument.len())
    }
}

impl Waiting {
    /// Waits for the reply.
    pub(super) async fn reply(mut self) -> Result<Reply> {
        let reply = (&mut self.reply).await;
        reply.unwrap_or_else(|_| Err(self.calls.closed().after_sending()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(call) = self.calls.lock().under_way.get_mut(&self.number) {
            call.caller = None;
        }
        self.calls.changed.notify_one();
    }
}

/// Bytes of a header beside the name of its method, the definition of its type for one, and those
/// by which the numbers of an argument's types may grow.
const HEADER_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};

    use switchboard_gob::{Schema, Type, Value, to_vec_as};

    use super::*;

    /// Polls what it is woken for at once, as another thread might.
    struct Eager {
        calls: Arc<Calls>,
        found: Mutex<Vec<(Code, String)>>,
    }

    impl Wake for Eager {
        fn wake(self: Arc<Self>) {
            let error = self.calls.closed();
            self.found.lock().unwrap().push((error.code(), error.text().to_owned()));
        }
    }

    fn unsent(argument: &[u8]) -> Unsent<'_> {
        Unsent { method: "A.B", argument, facts: None, wants_reply: true }
    }

    /// A value of a type that takes a thousand bytes to define.
    fn wide() -> Vec<u8> {
        let (mut builder, name) = (Schema::builder(), "X".repeat(1000));
        let root = builder.structure("", &[(&*name, Type::INT)]);
        let value = Value::Struct(vec![(name, Value::Int(1))]);
        to_vec_as(&builder.build(root).unwrap(), &value).unwrap()
    }

    #[test]
    fn what_waits_to_be_written_is_all_there_is_room_for() {
        // (argument, how many calls there must be at least)
        for (argument, calls_least) in [(vec![3, 4, 0, 0], 200), (wide(), 100)] {
            let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 5000);
            let calls = Calls::new(&Arc::new(limits));
            let mut cx = Context::from_waker(Waker::noop());
            let mut count = 0;
            while pin!(calls.send(unsent(&argument))).poll(&mut cx).is_ready() {
                count += 1;
            }
            let Unwritten::Bytes(bytes, _) = calls.unwritten() else { panic!("nothing") };
            assert!((3800..=5000).contains(&bytes.len()), "{} bytes", bytes.len());
            assert!(count >= calls_least, "{count} calls");
        }
    }

    #[test]
    fn who_waits_to_send_is_woken_when_the_cause_is_known() {
        let gob = [3, 4, 0, 0];
        // (places, bytes of room): each is what is missing once.
        for (places, room) in [(1, 1000), (2, 1)] {
            let limits = Limits::default().with(|limits| {
                limits.calls_per_connection_max = places;
                limits.unwritten_bytes_max = room;
            });
            let calls = Calls::new(&Arc::new(limits));
            let mut first = pin!(calls.send(unsent(&gob)));
            let mut second = pin!(calls.send(unsent(&gob)));
            let eager = Arc::new(Eager { calls: Arc::clone(&calls), found: Mutex::default() });
            let waker = Waker::from(Arc::clone(&eager));
            let mut cx = Context::from_waker(&waker);
            let Poll::Ready(Ok(_waiting)) = first.as_mut().poll(&mut cx) else { panic!() };
            assert!(second.as_mut().poll(&mut cx).is_pending());
            calls.end(Code::Disconnected, "the cable was cut");
            let cause = (Code::Disconnected, "the cable was cut".to_owned());
            assert_eq!(*eager.found.lock().unwrap(), [cause], "{places} {room}");
        }
    }
}
