//! A client that outlives its connections.
//!
//! ```text
//!   Client ─► Reconnecting ─► the connection of now ◄─ keeper: dials, waits for the end, dials
//! ```
//!
//! One task dials, however many callers wait. How a call is made again is not in here: see
//! `client::repeating`, for which this is where connections come from.

mod backoff;
mod budget;
mod keeper;
mod one_way;
mod options;
mod slot;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::DropGuard;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::budget::Budget;
pub(crate) use self::keeper::{Dial, Keeper};
pub(crate) use self::options::Options;
pub(crate) use self::slot::{Changes, Slot, until};
pub(crate) use self::waiting::Waiting;
use crate::client::{Client, Given, Supplied, Supply, Until, WaitForOne, Wanted, answer};
use crate::conn::{ConnectionChannel, Handle};
use crate::error::{Error, Result};
use crate::limits::{Limits, TIME_LEAST, at_least};
use crate::service::{Answer, BoxFuture, Channel, ChannelStates, Request, Service};
use crate::transport::Peer;

/// How to make a [`Client`] that connects anew when its connection is lost: from
/// [`Client::reconnect`], [`Endpoint::reconnect`](crate::Endpoint::reconnect), or
/// [`by`](Self::by) a function of yours.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// # use switchboard::{Client, Command, Result};
/// # async fn example() -> Result<()> {
/// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE").idempotent();
///
/// let client = Client::reconnect("localhost:61000")?.client();
/// assert_eq!(client.call(DOUBLE, &21).await?, 42);
/// # Ok(())
/// # } }
/// ```
///
/// # What a caller notices
///
/// A call waits while there is no connection, at most until its deadline. It is made again, within
/// its time, if the connection was lost, or if the peer refused it with `overloaded` or
/// `shutting_down`, or said when to [come again](Error::retry_after); and then only if it does no
/// harm: the call [surely did not run](Error::is_safe_to_retry), or its command is
/// [idempotent](crate::Command::idempotent). All other errors are the caller's, as without this. If
/// any of the attempts may have run, the error says so.
///
/// A streamed call of a [resumable](crate::Command::resumable) command goes on at its
/// [next position](crate::StreamedCall::next_position). If that is not to be had there any more,
/// its error tells which positions are. Other streamed calls are made again only before their first
/// item, and those with items of the request only before they are sent. A streamed call that passes
/// a layer or [another channel](Client::over) in front waits for a connection, and ends with it.
///
/// A one-way call waits for a connection for at most `call_time_max`. It is handed to one, at most
/// once, and is lost with it. [`Client::flush`] tells, once and to whoever asks first.
///
/// # How it connects
///
/// It dials at once, and again as soon as the connection is lost or takes no more calls, whether or
/// not somebody calls. There is one dial at a time. Between dials it pauses for a random time of up
/// to 50 ms, twice as much after each that failed, and at most 5 s ("full jitter"), so that a
/// thousand clients of one server do not come back at once. A connection that has answered
/// something, or has lasted for as long as the longest pause, ends the doubling. A dial that panics
/// has failed as any other.
///
/// The runtime in which [`client`](Self::client) is called does this. When it ends, the client is
/// closed.
///
/// Who [watches](Client::states) the client sees connections come and go.
///
/// # What it bounds
///
/// At most 1,024 calls of 4 MiB together wait for a connection; one more fails with `overloaded`.
/// Repeats of calls that a peer has seen are bounded by a budget, so that a sick server is not
/// hammered: 100 at first, and one more for each ten calls that are answered. A stream that comes
/// further gives back what its repeats took, and its next one is free. Before a repeat the call
/// pauses as the dials do, and at least for as long as the peer [says](Error::retry_after).
#[must_use = "it makes no client until `client` is called"]
pub struct Reconnect {
    dial: Dial,
    limits: Arc<Limits>,
    options: Options,
}

impl Reconnect {
    /// Dials by a function of yours: for TLS, say, or for an address that changes.
    ///
    /// The client that it gives must be one over a connection, by
    /// [`Endpoint::connect`](crate::Endpoint::connect) or
    /// [`Endpoint::connect_over`](crate::Endpoint::connect_over). Let the endpoint
    /// [keep it alive](crate::Endpoint::with_keepalive): otherwise a peer that has frozen is found
    /// only by the deadlines of calls. Requests are encoded within the default limits, or those of
    /// [`limits`](Self::limits).
    ///
    /// ```
    /// # use std::time::Duration;
    /// use switchboard::{Client, Endpoint, Reconnect, Result};
    /// use tokio::net::TcpStream;
    ///
    /// async fn dial() -> Result<Client> {
    ///     // A handshake would stand here.
    ///     let stream = TcpStream::connect("localhost:61000").await?;
    ///     Ok(Endpoint::new().with_keepalive(Duration::from_secs(15)).connect_over(stream))
    /// }
    ///
    /// # async fn example() {
    /// let client = Reconnect::by(dial).client();
    /// # }
    /// ```
    pub fn by<D, F>(dial: D) -> Self
    where
        D: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Client>> + Send + 'static,
    {
        let dial: Dial = Box::new(move || Box::pin(dial()));
        Self { dial, limits: Arc::default(), options: Options::default() }
    }

    /// Sets the limits within which requests are encoded, and how long a call may take. They should
    /// be those of the connections.
    ///
    /// # Panics
    ///
    /// If one of the limits can't work: see [`Limits::check`].
    #[track_caller]
    pub fn limits(mut self, limits: Limits) -> Self {
        expect(limits.check());
        self.limits = Arc::new(limits);
        self
    }

    /// Sets how long the pause before the first dial after a loss is at most, and how long any
    /// pause is at most. Default 50 ms and 5 s.
    ///
    /// # Panics
    ///
    /// If `first` is below 1 ms, or above `most`.
    #[track_caller]
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        expect(at_least("the first pause", &first, &TIME_LEAST));
        expect(at_least("the longest pause", &most, &first));
        self.options.backoff = Backoff::new(first, most);
        self
    }

    /// Sets how long one dial may take. Default 5 s.
    ///
    /// # Panics
    ///
    /// If it is below 1 ms.
    #[track_caller]
    pub fn connect_time_max(mut self, time: Duration) -> Self {
        expect(at_least("connect_time_max", &time, &TIME_LEAST));
        self.options.connect_time_max = time;
        self
    }

    /// Sets how many calls may wait for a connection. Default 1,024. With 0 a call fails at once if
    /// there is none.
    pub fn waiting_calls_max(mut self, calls: usize) -> Self {
        self.options.waiting_calls_max = calls;
        self
    }

    /// Sets how many bytes the payloads of calls that wait for a connection may have together.
    /// Default 4 MiB. The first may be larger.
    pub fn waiting_bytes_max(mut self, bytes: usize) -> Self {
        self.options.waiting_bytes_max = bytes;
        self
    }

    /// Sets how many calls that a peer has seen may be made again at once. Default 100. Ten calls
    /// that are answered give one back. With 0 only those are repeated that no peer has seen.
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
        let slot = Slot::new(self.limits, self.options, None);
        let keeper = Keeper::new(&slot, self.dial, self.options, 0);
        let guard = slot.closing().clone().drop_guard();
        tokio::spawn(keeper.run());
        let kept = Kept { slot, _guard: guard };
        Client::over_supply(Arc::new(Reconnecting { kept: Arc::new(kept) }))
    }

    /// It with the limits of an endpoint that dials.
    pub(crate) fn within(mut self, limits: &Arc<Limits>) -> Self {
        self.limits = Arc::clone(limits);
        self
    }
}

/// The channel of such a client.
#[derive(Clone)]
struct Reconnecting {
    kept: Arc<Kept>,
}

/// Ends the keeper when nobody calls any more.
struct Kept {
    slot: Arc<Slot>,
    _guard: DropGuard,
}

impl Service for Reconnecting {
    fn call(&self, request: Request) -> Answer {
        let supply: Arc<dyn Supply> = Arc::new(self.clone());
        if request.items().is_none() {
            return answer(&supply, request);
        }
        // Whoever has the items of such a call cannot be told to begin anew.
        Answer::new(async move {
            let supplied = match supply.current() {
                Some(supplied) if !supplied.handle.is_closed() => supplied,
                Some(_) | None => {
                    supply.wait(request.payload().len(), Duration::ZERO, Wanted::Any).await?
                }
            };
            ConnectionChannel(supplied.handle).call(request).await
        })
    }
}

impl Channel for Reconnecting {
    fn limits(&self) -> &Limits {
        self.kept.slot.limits()
    }

    fn peer(&self) -> Peer {
        self.kept.slot.peer()
    }

    fn states(&self) -> ChannelStates {
        self.kept.slot.states()
    }

    fn is_closed(&self) -> bool {
        self.kept.slot.closing().is_cancelled()
    }

    fn close(&self) {
        self.kept.slot.closing().cancel();
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.kept.slot.closed())
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.kept.slot.flush())
    }
}

impl Supply for Reconnecting {
    #[inline]
    fn current(&self) -> Option<Supplied> {
        self.kept.slot.current()
    }

    fn wait(&self, bytes: usize, pause: Duration, _: Wanted) -> WaitForOne {
        Box::pin(Arc::clone(&self.kept.slot).wait(bytes, pause))
    }

    fn until(&self, due: Instant) -> Until {
        self.kept.slot.until(due)
    }

    fn why_none(&self) -> Option<Error> {
        self.kept.slot.why_none()
    }

    fn answered(&self, given: Given, _: bool) {
        self.kept.slot.answered(given.id);
    }

    fn handed_over(&self, handle: &Handle, id: u64) {
        self.kept.slot.one_way().handed_over(handle.shared(), id);
    }

    fn came_further(&self, repeats: u32) {
        self.kept.slot.budget().give_back(repeats);
    }

    fn affords_repeat(&self) -> bool {
        self.kept.slot.budget().take()
    }

    fn pause(&self, repeats: u32) -> Duration {
        self.kept.slot.pause(repeats)
    }
}

/// A setting that can't work is a mistake in the program.
#[track_caller]
fn expect(result: Result<()>) {
    if let Err(error) = result {
        panic!("{}", error.text());
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("options", &self.options).finish_non_exhaustive()
    }
}
