//! One streamed call, as its caller sees it.
//!
//! ```text
//!   unsent ──first send or next──► open ──final reply──► over
//!                                   │ dropped: the call is given up
//! ```
//!
//! Items that have come before the final reply are taken first. A caller that only sends learns of
//! an early end by the next `send`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::time::Instant;

use super::call::Call;
use super::untyped::Untyped;
use super::way::Exchange;
use super::{Client, Command};
use crate::asking::{DecodeItem, NoItems, Receives, Sends, Unsent};
use crate::asking::{decode_item, decode_reply, encode_item};
use crate::clock::after;
use crate::command::{ItemsBothWays, ItemsDown, ItemsUp, OneEachWay, Streamed};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::limits::Limits;
use crate::service::{ItemsOfCall, Sender, trace_here};
use crate::session::{Item, Received};
use crate::wire::Traceparent;

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
/// it is dropped before its end.
///
/// `Up` and `Down` say which items go each way, and `Last` what the reply ends with.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Result, Sender, Streamed};
///
/// const COUNT: Command<u32, Streamed<u32, String>> = Command::new("COUNT");
///
/// async fn count(end: u32, out: Sender<u32>) -> Result<String> {
///     for number in 1..=end {
///         out.send(&number).await?;
///     }
///     Ok(format!("{end} in all"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let client = Endpoint::new().on(COUNT, count).client();
/// let mut numbers = client.call(COUNT, &3);
/// let mut sum = 0;
/// while let Some(number) = numbers.next().await {
///     sum += number?;
/// }
/// assert_eq!((sum, numbers.finish().await?), (6, "3 in all".to_owned()));
/// # Ok(())
/// # } }
/// ```
#[must_use = "a streamed call is not sent until it is used"]
pub struct StreamedCall<Up, Down, Last> {
    call: Untyped,
    up: Up,
    down: Down,
    decode: DecodeItem<Last>,
}

impl<Req, Rep, F: Format<Req> + Format<Rep>> Callable<OneEachWay> for Command<Req, Rep, F> {
    type Request = Req;
    type Call = Call<Rep>;

    fn call(self, client: &Client, request: &Req) -> Call<Rep> {
        let exchange =
            client.exchange::<Req, F>(self.name(), self.facts(), request, (false, false));
        Call::new::<F>(exchange)
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
        StreamedCall::new::<F>(exchange, NoItems, down)
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
        StreamedCall::new::<F>(exchange, Sends { encode: <F as Format<I>>::payload }, NoItems)
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
        StreamedCall::new::<F>(exchange, up, Receives { decode: <F as Format<J>>::decode })
    }
}

impl Client {
    pub(super) fn exchange<Req, F: Format<Req>>(
        &self,
        name: crate::wire::Name,
        facts: crate::command::Facts,
        request: &Req,
        has_items: (bool, bool),
    ) -> Exchange {
        // A handler's call goes on in the trace of the handler's own.
        let beside = (self.way.limits(), trace_here());
        self.way.exchange(Unsent::of_command::<Req, F>(name, facts, request, has_items, beside))
    }
}

impl<Up, Down, R> StreamedCall<Up, Down, R> {
    fn new<F: Format<R>>(exchange: Exchange, up: Up, down: Down) -> Self {
        let call = Untyped::new(exchange, F::NAME);
        Self { call, up, down, decode: F::decode }
    }

    /// Ends the call with `deadline_exceeded` when `time` has passed from now. The time covers all
    /// items. A streamed call without a time, from here or from its
    /// [command](crate::Command::timeout), may last a year or more.
    pub fn timeout(self, time: Duration) -> Self {
        self.timeout_at(after(time))
    }

    /// Ends the call if it has not ended by then; see [`Call::timeout_at`].
    pub fn timeout_at(mut self, deadline: impl Into<Instant>) -> Self {
        self.call.exchange.unsent_mut().deadline = Some(deadline.into().into_std());
        self
    }

    /// Says where the call stands in a trace; see [`Call::trace`].
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.call.exchange.unsent_mut().beside().trace = trace.into();
        self
    }

    /// Sends this metadata with the call; see [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.call.exchange.unsent_mut().add_metadata(key, value);
        self
    }

    /// Waits until the handler has taken the call, by saying so or by sending an item. Answers the
    /// position at which its items begin, if it says one by [`open_at`](Sender::open_at).
    ///
    /// # Errors
    ///
    /// Why the call has ended before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn opened(&mut self) -> Result<Option<u64>> {
        let opened = poll_fn(|cx| self.call.poll_opened(cx)).await;
        opened.map_err(|error| self.call.explain(error))
    }

    pub(super) fn limits(&self) -> &Limits {
        self.call.exchange.limits()
    }

    /// Waits for the final reply. Drops items that have not been taken, and ends the items of the
    /// request.
    ///
    /// # Errors
    ///
    /// As a [`Call`]. If [`next`](Self::next) or [`send`](Self::send) has already given the error
    /// that ended the call, it is the same error again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has given the call up.
    pub async fn finish(mut self) -> Result<R> {
        let received = poll_fn(|cx| self.call.poll_finish(cx)).await;
        let decode = self.decode;
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
    /// if the item is over [`item_bytes_max`](Limits::item_bytes_max), or an error of the format:
    /// then nothing was sent, and the call goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has sent nothing.
    pub async fn send(&mut self, item: &I) -> Result<()> {
        let mut item = Some(Item::new(self.encoded(item)?));
        poll_fn(|cx| self.poll_payload(cx, &mut item)).await
    }

    /// Ends the items of the request, while those of the reply may go on. [`finish`](Self::finish)
    /// does so too.
    ///
    /// # Errors
    ///
    /// Why the call could not be sent, if it had not been.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, it has ended nothing, and the call goes on.
    pub async fn end(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Sends what has been encoded, when there is room for it.
    pub(super) fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<Item>,
    ) -> Poll<Result<()>> {
        self.call.poll_send(cx, payload).map_err(|error| self.call.explain(error))
    }

    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let items = ready!(self.call.poll_open(cx));
        let items = items.map_err(|error| self.call.explain(error))?;
        items.end();
        Poll::Ready(Ok(()))
    }

    pub(super) fn encoded(&self, item: &I) -> Result<Bytes> {
        let encoded = encode_item(self.up.encode, item, self.call.exchange.limits());
        encoded.map_err(|error| self.call.explain(error))
    }
}

/// The items of a request. An item counts as flushed when the call has taken it; closing the sink
/// ends the request.
impl<I, Down: Unpin, R> Sink<I> for StreamedCall<Sends<I>, Down, R> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_payload(cx, &mut None)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<()> {
        let payload = self.encoded(&item)?;
        self.call.start_send(payload)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_end(cx)
    }
}

impl<I, J, R> StreamedCall<Sends<I>, Receives<J>, R> {
    /// The call as two halves: one may send while the other waits. The items of the request end by
    /// [`Sender::end`], or when the reply is [waited for](Self::finish). Dropping the sender before
    /// that gives the call up.
    ///
    /// # Errors
    ///
    /// Why the call could not be sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has given the call up.
    pub async fn split(mut self) -> Result<(Sender<I>, StreamedCall<NoItems, Receives<J>, R>)> {
        let opened = poll_fn(|cx| self.call.poll_open(cx)).await;
        let items = opened.map_err(|error| self.call.explain(error))?;
        let limits = Arc::new(self.call.exchange.limits().clone());
        let of = ItemsOfCall { items, limits, is_lent: false };
        let sender = Sender::of_caller(of, self.call.format, self.up.encode);
        let Self { call, down, decode, .. } = self;
        Ok((sender, StreamedCall { call, up: NoItems, down, decode }))
    }
}

impl<Up, I, R> StreamedCall<Up, Receives<I>, R> {
    /// Asks a [resumable](crate::Command::resumable) command for the items from this position of
    /// their source on. Exactly these come, or the call fails before the first item. It fails with
    /// `invalid` if the command cannot go on, or its handler does not [say](Sender::open_at) that
    /// it does. It fails with `not_found` if there is nothing at this position;
    /// [`Error::positions`] tells which positions there are.
    ///
    /// With `None`, as for a first call, the items begin where the command begins.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::{Code, Command, Context, Endpoint, Error, Result, Sender, Streamed};
    ///
    /// const LOG: Command<(), Streamed<String>> = Command::new("LOG").resumable();
    /// const LINES: [&str; 3] = ["zero", "one", "two"];
    ///
    /// async fn log(_: (), out: Sender<String>, context: Context) -> Result<()> {
    ///     let first = context.resume_at().unwrap_or(0);
    ///     if first > 3 {
    ///         return Err(Error::no_such_position(0..3));
    ///     }
    ///     out.open_at(first);
    ///     for line in &LINES[first as usize..] {
    ///         out.send(&line.to_string()).await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let client = Endpoint::new().on(LOG, log).client();
    /// let mut lines = client.call(LOG, &());
    /// assert_eq!(lines.next().await.unwrap()?, "zero");
    /// let next = lines.next_position();
    /// drop(lines);
    ///
    /// let mut lines = client.call(LOG, &()).resume_at(next);
    /// assert_eq!(lines.next().await.unwrap()?, "one");
    ///
    /// let error = client.call(LOG, &()).resume_at(7).finish().await.unwrap_err();
    /// assert_eq!((error.code(), error.positions()), (Code::NotFound, Some(0..3)));
    /// # Ok(())
    /// # } }
    /// ```
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

    /// The next item; `None` after the last item of a call that went well.
    ///
    /// # Errors
    ///
    /// The error that ended the call, once, after the items that came before it; `bad_payload` if
    /// an item is not of this type.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Option<Result<I>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<I>>> {
        let item = match ready!(self.call.poll_next(cx)) {
            Ok(None) => return Poll::Ready(None),
            Ok(Some(item)) => {
                let item = decode_item(self.down.decode, item.payload, self.call.exchange.limits());
                item.map_err(Error::of_reply)
            }
            Err(error) => Err(error),
        };
        Poll::Ready(Some(item.map_err(|error| self.call.explain(error))))
    }
}

impl<Up: Unpin, I, R> Stream for StreamedCall<Up, Receives<I>, R> {
    type Item = Result<I>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<I>>> {
        self.poll_item(cx)
    }
}

impl<Up, Down, R> fmt::Debug for StreamedCall<Up, Down, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.call.exchange.command();
        f.debug_struct("StreamedCall").field("command", &command).finish_non_exhaustive()
    }
}
