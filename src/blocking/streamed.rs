//! One streamed call, as the thread that makes it sees it; and which commands can be called.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::{Call, Notification};
use super::client::Client;
use super::clock::now;
use super::connection::Handle;
use super::exchange::Exchange;
use super::untyped::{Sent, Untyped, send_item};
use crate::asking::{DecodeItem, EncodeItem, NoItems, Receives, Sends, Unsent};
use crate::asking::{decode_item, decode_reply, encode_item, later};
use crate::command::{Command, Facts, ItemsBothWays, ItemsDown, ItemsUp, OneEachWay, Streamed};
use crate::error::{Error, Result};
use crate::format::Format;
#[cfg(feature = "io")]
use crate::service::trace_here;
use crate::session::{Received, StreamId, takes_no_items};
use crate::wire::{Name, Traceparent};

/// A command that can be called: the argument of [`Client::call`] for it, and the call.
///
/// `Kind` tells commands of one value each way from streamed ones. It is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called: its format does not carry its types",
    note = "see `switchboard::format::Format`"
)]
pub trait Callable<Kind> {
    /// The request, or the value that it begins with.
    type Request;
    /// A call of it.
    type Call;

    #[doc(hidden)]
    fn call(self, client: &Client, request: &Self::Request) -> Self::Call;
}

/// A streamed call, made by [`Client::call`]: it is sent when it is first used, and given up when
/// it is dropped before its end. Its items are those of an iterator.
///
/// `Up` and `Down` say which items go each way, and `Last` what the reply ends with.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use switchboard::blocking::Client;
/// use switchboard::format::Json;
/// use switchboard::{Command, Result, Streamed};
///
/// const COUNT: Command<u32, Streamed<u32, String>, Json> = Command::new("COUNT");
///
/// fn sum(client: &Client) -> Result<(u32, String)> {
///     let (mut numbers, mut sum) = (client.call(COUNT, &3), 0);
///     for number in &mut numbers {
///         sum += number?;
///     }
///     Ok((sum, numbers.finish()?))
/// }
/// # let _ = sum;
/// # }
/// ```
#[must_use = "a streamed call is not sent until it is used"]
pub struct StreamedCall<Up, Down, Last> {
    call: Untyped,
    up: Up,
    down: Down,
    decode: DecodeItem<Last>,
}

/// The sending half of a call that was [split](StreamedCall::split): for another thread than the
/// one that takes items.
///
/// Dropped before [`end`](Self::end), it gives the call up.
pub struct ItemSender<I> {
    handle: Arc<Handle>,
    id: StreamId,
    due: Option<Instant>,
    encode: EncodeItem<I>,
}

impl<Req, Rep, F: Format<Req> + Format<Rep>> Callable<OneEachWay> for Command<Req, Rep, F> {
    type Request = Req;
    type Call = Call<Rep>;

    fn call(self, client: &Client, request: &Req) -> Call<Rep> {
        let (name, facts) = (self.name(), self.facts());
        Call::new::<F>(client.exchange::<Req, F>(name, facts, request, (false, false)))
    }
}

impl<Req, I, R, F> Callable<ItemsDown> for Command<Req, Streamed<I, R>, F>
where
    F: Format<Req> + Format<I> + Format<R>,
{
    type Request = Req;
    type Call = StreamedCall<NoItems, Receives<I>, R>;

    fn call(self, client: &Client, request: &Req) -> Self::Call {
        let exchange = client.exchange::<Req, F>(self.name(), self.facts(), request, (false, true));
        let down = Receives { decode: <F as Format<I>>::decode };
        StreamedCall::new::<F>(Untyped::new(exchange, <F as Format<R>>::NAME), NoItems, down)
    }
}

impl<Head, I, Rep, F> Callable<ItemsUp> for Command<Streamed<I, Head>, Rep, F>
where
    F: Format<Head> + Format<I> + Format<Rep>,
{
    type Request = Head;
    type Call = StreamedCall<Sends<I>, NoItems, Rep>;

    fn call(self, client: &Client, head: &Head) -> Self::Call {
        let exchange = client.exchange::<Head, F>(self.name(), self.facts(), head, (true, false));
        let up = Sends { encode: <F as Format<I>>::payload };
        StreamedCall::new::<F>(Untyped::new(exchange, <F as Format<Rep>>::NAME), up, NoItems)
    }
}

impl<Head, I, J, R, F> Callable<ItemsBothWays> for Command<Streamed<I, Head>, Streamed<J, R>, F>
where
    F: Format<Head> + Format<I> + Format<J> + Format<R>,
{
    type Request = Head;
    type Call = StreamedCall<Sends<I>, Receives<J>, R>;

    fn call(self, client: &Client, head: &Head) -> Self::Call {
        let exchange = client.exchange::<Head, F>(self.name(), self.facts(), head, (true, true));
        let up = Sends { encode: <F as Format<I>>::payload };
        let down = Receives { decode: <F as Format<J>>::decode };
        StreamedCall::new::<F>(Untyped::new(exchange, <F as Format<R>>::NAME), up, down)
    }
}

impl Client {
    /// Calls a command. This gives a [`Call`], which is sent and waited for by [`Call::wait`], or a
    /// [`StreamedCall`] if the command is [`Streamed`]. The request, or its head,
    /// is encoded at once.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use switchboard::blocking::Client;
    /// # use switchboard::format::Json;
    /// # use switchboard::{Command, Result};
    /// # const DOUBLE: Command<u32, u32, Json> = Command::new("DOUBLE");
    /// fn double_both(client: &Client) -> Result<(u32, u32)> {
    ///     std::thread::scope(|scope| {
    ///         let other = scope.spawn(|| client.call(DOUBLE, &2).wait());
    ///         Ok((client.call(DOUBLE, &1).wait()?, other.join().unwrap()?))
    ///     })
    /// }
    /// # let _ = double_both;
    /// # }
    /// ```
    pub fn call<C: Callable<Kind>, Kind>(&self, command: C, request: &C::Request) -> C::Call {
        command.call(self, request)
    }

    /// Calls a command and wants no reply, not even an error: see [`Notification::send`]. The
    /// request is encoded at once. [`flush`](Self::flush) waits until it is written.
    ///
    /// The peer begins such calls in the order in which they were handed over.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use switchboard::blocking::Client;
    /// # use switchboard::format::Json;
    /// # use switchboard::{Command, Result};
    /// # const LOG: Command<String, (), Json> = Command::new("LOG");
    /// fn log(client: &Client) -> Result<()> {
    ///     client.notify(LOG, &"started".to_owned()).send()
    /// }
    /// # let _ = log;
    /// # }
    /// ```
    pub fn notify<Req, Rep, F>(&self, command: Command<Req, Rep, F>, request: &Req) -> Notification
    where
        F: Format<Req> + Format<Rep>,
    {
        let (name, facts) = (command.name(), command.facts());
        Notification::new(self.exchange::<Req, F>(name, facts, request, (false, false)))
    }

    fn exchange<Req, F: Format<Req>>(
        &self,
        name: Name,
        facts: Facts,
        request: &Req,
        has_items: (bool, bool),
    ) -> Exchange {
        let beside = (&self.handle.connection.limits, trace_here());
        let unsent = Unsent::of_command::<Req, F>(name, facts, request, has_items, beside);
        Exchange::new(Arc::clone(&self.handle), unsent)
    }
}

impl<Up, Down, R> StreamedCall<Up, Down, R> {
    fn new<F: Format<R>>(call: Untyped, up: Up, down: Down) -> Self {
        Self { call, up, down, decode: F::decode }
    }

    /// Ends the call with `deadline_exceeded` when `time` has passed from now. The time covers all
    /// items. A streamed call without a time, from here or from its
    /// [command](crate::Command::timeout), may last a year or more.
    pub fn timeout(self, time: Duration) -> Self {
        self.timeout_at(later(now(), time))
    }

    /// Ends the call if it has not ended by then; see [`Call::timeout_at`].
    pub fn timeout_at(mut self, deadline: Instant) -> Self {
        self.call.exchange.unsent.deadline = Some(deadline);
        self
    }

    /// Says where the call stands in a trace; see [`Call::trace`].
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.call.exchange.unsent.beside().trace = trace.into();
        self
    }

    /// Sends this metadata with the call; see [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.call.exchange.unsent.add_metadata(key, value);
        self
    }

    /// Waits until the handler has taken the call, by saying so or by sending an item. Answers the
    /// position at which its items begin, if it says one.
    ///
    /// # Errors
    ///
    /// Why the call has ended before.
    pub fn opened(&mut self) -> Result<Option<u64>> {
        let opened = self.call.opened();
        opened.map_err(|error| self.call.explain(error))
    }

    /// Waits for the final reply. Drops items that have not been taken, and ends the items of the
    /// request.
    ///
    /// # Errors
    ///
    /// As [`Call::wait`]. If an item or [`send`](Self::send) has already given the error that ended
    /// the call, it is the same error again.
    pub fn finish(mut self) -> Result<R> {
        let (received, decode) = (self.call.finish(), self.decode);
        received
            .and_then(|Received { payload, .. }| {
                decode_reply(decode, payload, None, self.call.exchange.limits())
            })
            .map_err(|error| self.call.explain(error))
    }
}

impl<I, Down, R> StreamedCall<Sends<I>, Down, R> {
    /// Sends an item, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The reason of the call's end, if it has ended before: `cancelled` if its handler returned a
    /// reply before it took all items; then [`finish`](Self::finish) gives the reply. `too_large`
    /// if the item is over [`item_bytes_max`](crate::Limits::item_bytes_max), or an error of the
    /// format: then nothing was sent, and the call goes on.
    pub fn send(&mut self, item: &I) -> Result<()> {
        let encoded = encode_item(self.up.encode, item, self.call.exchange.limits());
        let sent = encoded.and_then(|payload| self.call.send(payload));
        sent.map_err(|error| self.call.explain(error))
    }

    /// Ends the items of the request, while those of the reply may go on. [`finish`](Self::finish)
    /// does so too.
    ///
    /// # Errors
    ///
    /// Why the call could not be sent, if it had not been.
    pub fn end(&mut self) -> Result<()> {
        let ended = self.call.end();
        ended.map_err(|error| self.call.explain(error))
    }
}

impl<I, J, R> StreamedCall<Sends<I>, Receives<J>, R> {
    /// The call as two halves: one thread may send while the other takes. The items of the request
    /// end by [`ItemSender::end`], or when the reply is [waited for](Self::finish).
    ///
    /// # Errors
    ///
    /// Why the call could not be sent.
    #[expect(clippy::type_complexity, reason = "it has the types of both halves")]
    pub fn split(mut self) -> Result<(ItemSender<I>, StreamedCall<NoItems, Receives<J>, R>)> {
        let id = self.call.begin().map_err(|error| self.call.explain(error))?.id;
        let (handle, due) = (Arc::clone(&self.call.exchange.handle), self.call.exchange.due);
        let sender = ItemSender { handle, id, due, encode: self.up.encode };
        let Self { call, down, decode, .. } = self;
        Ok((sender, StreamedCall { call, up: NoItems, down, decode }))
    }
}

impl<Up, I, R> StreamedCall<Up, Receives<I>, R> {
    /// Asks a [resumable](crate::Command::resumable) command for the items from this position of
    /// their source on. Exactly these come, or the call fails before the first item: with `invalid`
    /// if the command cannot go on, and with `not_found` if there is nothing at this position;
    /// [`Error::positions`](crate::Error::positions) tells which positions there are.
    ///
    /// With `None`, as for a first call, the items begin where the command begins.
    pub fn resume_at(mut self, position: impl Into<Option<u64>>) -> Self {
        self.call.resume_at(position.into());
        self
    }

    /// The position in its source of the item that came last, if its sender says it.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.call.position
    }

    /// Where to [go on](Self::resume_at) later: at the position after that of the item that came
    /// last. Before the first item it is the position that was asked for, or else the one at which
    /// the other side has said that its items begin.
    #[must_use]
    pub fn next_position(&self) -> Option<u64> {
        self.call.next_position
    }
}

/// The items of the reply. The last one may be the error that ended the call, which comes once,
/// after the items that came before it; `bad_payload` says that an item is not of this type.
impl<Up, I, R> Iterator for StreamedCall<Up, Receives<I>, R> {
    type Item = Result<I>;

    fn next(&mut self) -> Option<Result<I>> {
        let item = self.call.next().and_then(|item| {
            let limits = self.call.exchange.limits();
            let decoded = item.map(|item| decode_item(self.down.decode, item.payload, limits));
            decoded.transpose().map_err(Error::of_reply)
        });
        item.map_err(|error| self.call.explain(error)).transpose()
    }
}

impl<I> ItemSender<I> {
    /// Sends an item, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// `cancelled` if the call is over: whoever takes its items learns why. `too_large` if the item
    /// is over [`item_bytes_max`](crate::Limits::item_bytes_max), or an error of the format.
    pub fn send(&self, item: &I) -> Result<()> {
        let connection = &self.handle.connection;
        let payload: Bytes = encode_item(self.encode, item, &connection.limits)?;
        let poll_end = |_: &mut _| std::task::Poll::Pending;
        match send_item(connection, self.id, payload, self.due, poll_end) {
            Sent::Taken => Ok(()),
            Sent::Lost(error) => Err(error),
            Sent::Over(_) => Err(takes_no_items()),
        }
    }

    /// Ends the items of the request.
    pub fn end(self) {
        self.handle.connection.with_and_write(|state| state.session.end_items(self.id));
    }
}

impl<I> Drop for ItemSender<I> {
    fn drop(&mut self) {
        // Nothing, if the items have been ended.
        self.handle.connection.with_and_write(|state| state.session.abort_items(self.id));
    }
}

impl<Up, Down, R> fmt::Debug for StreamedCall<Up, Down, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.call.exchange.command();
        f.debug_struct("StreamedCall").field("command", &command).finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for ItemSender<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSender").finish_non_exhaustive()
    }
}

/// Where there are no handlers, nobody has a trace to go on with.
#[cfg(not(feature = "io"))]
const fn trace_here() -> Option<Traceparent> {
    None
}
