//! A client of several back ends.
//!
//! ```text
//!   BackEnds ──lists──► Pool ──┬─► Slot ◄─ Keeper     one of each for a back end, as for a
//!                        ▲     ├─► Slot ◄─ Keeper     client that reconnects
//!   Client ─► Balanced ──┘     └─► Slot ◄─ Keeper
//!              picks one for a call, and another if it is made again
//! ```
//!
//! How one connection is kept is in `reconnect`, and how a call is made again in
//! `client::repeating`. In here is which back ends there are (`back_ends`), which of them a call is
//! given (`pool`), and how each has done lately (`health`).
//!
//! tower's `balance` and `discover` are not used. They balance services of which each has its own
//! `poll_ready` behind `&mut`; here a call is given a connection by `&self`, without a queue, and
//! back ends without one are left out. What is left of p2c are ten lines.

mod back_ends;
mod dice;
mod health;
mod policy;
mod pool;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::DropGuard;

pub use self::back_ends::BackEnds;
use self::policy::Policy;
use self::pool::{Connect, Pool};
use crate::client::{Client, Given, Supplied, Supply, Until, WaitForOne, Wanted, answer};
use crate::conn::{ConnectionChannel, Handle};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::reconnect::Options;
use crate::service::{Answer, BoxFuture, Channel, ChannelStates, Request, Service};
use crate::transport::{Address, Peer};

/// How to make a [`Client`] that spreads its calls over several back ends: from
/// [`Client::balance`], [`Endpoint::balance`](crate::Endpoint::balance), or [`by`](Self::by) a
/// function of yours.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// # use switchboard::{BackEnds, Client, Command, Result};
/// # async fn example() -> Result<()> {
/// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE").idempotent();
///
/// let back_ends = BackEnds::list(["ten.local:61000", "eleven.local:61000"])?;
/// let client = Client::balance(back_ends).client();
/// assert_eq!(client.call(DOUBLE, &21).await?, 42);
/// # Ok(())
/// # } }
/// ```
///
/// # Which back end a call is given
///
/// There is one connection to each back end, kept as [`Reconnect`](crate::Reconnect) keeps its one.
/// Of two that are picked at random a call is given the one with the lower load: its calls under
/// way and one more, times how long its calls took lately ("power of two choices"). That memory
/// halves every 5 s, so one that was slow is tried again. An error counts as an answer that took
/// longer, so that one that only fails is not the fastest. Or the back ends have their
/// [turns](Self::round_robin).
///
/// A back end is left out
///
/// - while there is no connection to it, or that one takes no more calls because its peer stops;
/// - for 1 s when 5 calls in a row were not answered in time or were refused as `overloaded`, and
///   then for twice as long each time that the next call fails as well, up to 30 s. If all are left
///   out, all are tried.
///
/// # What a caller notices
///
/// As with a [`Reconnect`](crate::Reconnect): a call is made again only if that does no harm, with
/// the same budget. It goes to another back end, at once if it has not been tried, and else after a
/// pause. A streamed call that has begun goes on at the back end where it began, or at another if
/// its command is [`resumable_anywhere`](crate::Command::resumable_anywhere).
#[must_use = "it makes no client until `client` is called"]
pub struct Balance {
    back_ends: BackEnds,
    connect: Connect,
    limits: Arc<Limits>,
    options: Options,
    policy: Policy,
}

impl Balance {
    /// Dials by a function of yours, for TLS, say. It is given the address of the back end; for all
    /// else see [`Reconnect::by`](crate::Reconnect::by).
    pub fn by<D, F>(back_ends: BackEnds, dial: D) -> Self
    where
        D: Fn(Address) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Client>> + Send + 'static,
    {
        let connect: Connect = Arc::new(move |address| Box::pin(dial(address)));
        Self {
            back_ends,
            connect,
            limits: Arc::default(),
            options: Options::default(),
            policy: Policy::default(),
        }
    }

    /// Gives calls to the back ends in turn, whatever their load.
    pub fn round_robin(mut self) -> Self {
        self.policy.is_round_robin = true;
        self
    }

    /// Sets to how many back ends there are connections. Of a longer list, a random part is taken,
    /// another by each client, and one that is connected stays. Default 32.
    pub fn back_ends_max(mut self, back_ends: usize) -> Self {
        self.policy.back_ends_max = back_ends.max(1);
        self
    }

    /// As [`Reconnect::waiting_calls_max`](crate::Reconnect::waiting_calls_max).
    pub fn waiting_calls_max(mut self, calls: usize) -> Self {
        self.options.waiting_calls_max = calls;
        self
    }

    /// As [`Reconnect::waiting_bytes_max`](crate::Reconnect::waiting_bytes_max).
    pub fn waiting_bytes_max(mut self, bytes: usize) -> Self {
        self.options.waiting_bytes_max = bytes;
        self
    }

    /// As [`Reconnect::repeats_max`](crate::Reconnect::repeats_max), of all back ends together.
    pub fn repeats_max(mut self, repeats: u32) -> Self {
        self.options.repeats_max = repeats;
        self
    }

    /// The client, which begins to connect at once. Dropping its last clone and its last call
    /// closes it in good order, and so does [`Client::close`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn client(self) -> Client {
        let pool = Pool::new(self.limits, self.options, self.policy, self.connect);
        let guard = pool.closing().clone().drop_guard();
        tokio::spawn(Arc::clone(&pool).run(self.back_ends));
        let kept = Kept { pool, _guard: guard };
        Client::over_supply(Arc::new(Balanced { kept: Arc::new(kept) }))
    }

    /// It with the limits of an endpoint that dials.
    pub(crate) fn within(mut self, limits: &Arc<Limits>) -> Self {
        self.limits = Arc::clone(limits);
        self
    }
}

/// The channel of such a client.
#[derive(Clone)]
struct Balanced {
    kept: Arc<Kept>,
}

/// Ends the pool when nobody calls any more.
struct Kept {
    pool: Arc<Pool>,
    _guard: DropGuard,
}

impl Service for Balanced {
    fn call(&self, request: Request) -> Answer {
        let supply: Arc<dyn Supply> = Arc::new(self.clone());
        if request.items().is_none() {
            return answer(&supply, request);
        }
        // Whoever has the items of such a call cannot be told to begin anew.
        Answer::new(async move {
            let bytes = request.payload().len();
            let supplied = match supply.current() {
                Some(supplied) => supplied,
                None => supply.wait(bytes, Duration::ZERO, Wanted::Any).await?,
            };
            ConnectionChannel(supplied.handle).call(request).await
        })
    }
}

impl Channel for Balanced {
    fn limits(&self) -> &Limits {
        self.kept.pool.limits()
    }

    fn peer(&self) -> Peer {
        Peer::nobody().clone()
    }

    fn states(&self) -> ChannelStates {
        self.kept.pool.states()
    }

    fn is_closed(&self) -> bool {
        self.kept.pool.closing().is_cancelled()
    }

    fn close(&self) {
        self.kept.pool.closing().cancel();
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.kept.pool.closed())
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.kept.pool.flush())
    }
}

impl Supply for Balanced {
    fn current(&self) -> Option<Supplied> {
        self.kept.pool.pick(Wanted::Any)
    }

    fn wait(&self, bytes: usize, pause: Duration, wanted: Wanted) -> WaitForOne {
        Box::pin(Arc::clone(&self.kept.pool).wait(bytes, pause, wanted))
    }

    fn until(&self, due: Instant) -> Until {
        self.kept.pool.until(due)
    }

    fn why_none(&self) -> Option<Error> {
        self.kept.pool.why_none()
    }

    fn answered(&self, given: Given, is_error: bool) {
        self.kept.pool.answered(given, is_error);
    }

    fn failed(&self, given: Given) {
        self.kept.pool.failed(given);
    }

    fn others(&self, given: Given) -> u32 {
        self.kept.pool.others(given)
    }

    fn handed_over(&self, handle: &Handle, id: u64) {
        self.kept.pool.handed_over(handle, id);
    }

    fn came_further(&self, repeats: u32) {
        self.kept.pool.budget().give_back(repeats);
    }

    fn affords_repeat(&self) -> bool {
        self.kept.pool.budget().take()
    }

    fn pause(&self, repeats: u32) -> Duration {
        self.kept.pool.pause(repeats)
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { back_ends, options, policy, .. } = self;
        f.debug_struct("Balance")
            .field("back_ends", back_ends)
            .field("options", options)
            .field("policy", policy)
            .finish_non_exhaustive()
    }
}
