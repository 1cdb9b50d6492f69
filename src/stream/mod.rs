//! One buffered stream of bytes, lent whole to whoever speaks on it.
//!
//! The buffer of a [`Connection`] is the only place where bytes wait that have been read ahead, so
//! a raw handler that follows pipelined commands sees what belongs to it, and the next command is
//! found where the handler stopped. It does not know the protocol of lines and calls.

mod bounds;
mod framing;
#[cfg(feature = "gob")]
mod gob;
mod input;
mod io;
mod lingering;
mod memory;
mod notice;
mod wait;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout_at;

use self::bounds::OfCommand;
use self::framing::{Found, Payloads, Reading, line_end};
pub(crate) use self::input::Account;
use self::input::{Input, STACK_BYTES};
use self::notice::{Notice, Start};
pub(crate) use self::wait::Wait;
use self::wait::slow;
use crate::clock::after;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, Framing};
use crate::limits::{Limits, PayloadMax};
use crate::quota::Quota;
use crate::transport::{self, Address, Io, Peer, SharedIo};

/// A buffered stream of bytes, as lent to a raw handler, or opened to speak a dialect of its own.
///
/// Reading waits at most `idle_time_max` for the first byte and `body_time_max` for the rest;
/// writing waits at most `write_time_max`. What is written goes out at once.
///
/// ```
/// use switchboard::{Connection, Result};
///
/// async fn strings(connection: &mut Connection) -> Result<()> {
///     let line = connection.read_line().await?.unwrap_or_default();
///     println!("{line}");
///     connection.write_line("Thank you.").await
/// }
/// ```
pub struct Connection {
    io: SharedIo,
    peer: Peer,
    limits: Arc<Limits>,
    of_command: OfCommand,
    input: Input,
    payloads: Payloads,
    // It is the one over which the call came that is being answered.
    is_lent: bool,
    // A payload was read whose end cannot be trusted.
    pub(crate) is_out_of_step: bool,
}

impl Connection {
    /// Connects to `address`: `host:port`, or `unix:` and a path, or an [`Address`].
    ///
    /// # Errors
    ///
    /// `invalid` if the address is none, `disconnected` if nobody answers there within the default
    /// `call_time_max`, 30 seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(address: impl TryInto<Address, Error: Into<Error>>) -> Result<Self> {
        let address = Address::of(address)?;
        let limits = Arc::new(Limits::default());
        let (io, peer) = transport::dial(&address, limits.call_time_max, None).await?;
        let quota = Quota::new(&limits);
        Ok(Self::new(SharedIo::new(io), peer, limits, &quota))
    }

    /// A connection over a stream that is open already.
    #[must_use]
    pub fn connect_over(io: impl Io) -> Self {
        let limits = Arc::new(Limits::default());
        let quota = Quota::new(&limits);
        Self::new(SharedIo::new(Box::new(io)), Peer::unknown(), limits, &quota)
    }

    pub(crate) fn new(io: SharedIo, peer: Peer, limits: Arc<Limits>, quota: &Arc<Quota>) -> Self {
        let (of_command, payloads) = (OfCommand::default(), Payloads::default());
        let (input, is_lent, is_out_of_step) = (Input::new(quota), false, false);
        Self { io, peer, limits, of_command, input, payloads, is_lent, is_out_of_step }
    }

    /// The same connection with other bounds for what is read and written from now on.
    ///
    /// ```
    /// # use switchboard::{Connection, Limits, Result};
    /// # async fn example() -> Result<()> {
    /// let limits = Limits::default().with(|limits| limits.payload_bytes_max = 4096);
    /// let connection = Connection::connect("localhost:61000").await?.with_limits(limits);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If one of the limits can't work, with its name: that is a mistake in the program. Use
    /// [`Limits::check`] where it is not.
    #[must_use]
    #[track_caller]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if let Err(error) = limits.check() {
            panic!("{}", error.text());
        }
        self.input.charge_to(&Quota::new(&limits));
        self.limits = Arc::new(limits);
        self.payloads = Payloads::default();
        self
    }

    /// Who is on the other side.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The bounds that reading and writing keep.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads a line of text without its end, which is LF or CR LF; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// `too_large` if the line is longer than `payload_bytes_max`, `bad_payload` if it is not UTF-8
    /// or the stream ends in it, `deadline_exceeded` if it takes too long, `disconnected` if the
    /// stream fails. On a connection that this side has opened: what the peer says is wrong, in
    /// place of a line or a value; [`Error::is_from_peer`] tells.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has been read stays in the buffer. The text of a peer's error may be.
    pub async fn read_line(&mut self) -> Result<Option<String>> {
        let Some(line) = self.read_line_bytes().await? else {
            return Ok(None);
        };
        match String::from_utf8(line.into()) {
            Ok(line) => Ok(Some(line)),
            Err(error) => {
                let wrong = Error::found(Code::BadPayload, "the line is not UTF-8");
                Err(self.wrong(wrong.with_source(error)))
            }
        }
    }

    /// As [`read_line`](Self::read_line), whatever the bytes of the line are.
    ///
    /// # Errors
    ///
    /// As [`read_line`](Self::read_line), but that it need not be UTF-8.
    ///
    /// # Cancel safety
    ///
    /// As [`read_line`](Self::read_line).
    pub async fn read_line_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read_or_notice(Framing::Line).await
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    ///
    /// `too_large` if `len` is over `payload_bytes_max`, else as [`read_line`](Self::read_line).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has been read stays in the buffer.
    pub async fn read_bytes(&mut self, len: usize) -> Result<Bytes> {
        let reading =
            Reading::of_len(len, self.payload_max()).map_err(|error| self.wrong(error))?;
        let mut wait = self.wait();
        // That it ends before the first of them is an error as well.
        Ok(self.read(reading, &mut wait).await?.unwrap_or_default())
    }

    /// Reads a value that stands in the stream as a plain payload of format `F`; `None` if the
    /// stream ends before it.
    ///
    /// # Errors
    ///
    /// As [`read_line`](Self::read_line), and what the format says of the payload.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a value that is read partly when the future is dropped is lost.
    pub async fn read_value<F: Format<T>, T>(&mut self) -> Result<Option<T>> {
        let Some(payload) = self.read_or_notice(F::FRAMING).await? else {
            return Ok(None);
        };
        let budget = Budget::new(&self.limits, payload.len());
        F::decode(payload, &budget).map(Some).map_err(|error| self.wrong(error))
    }

    /// Writes a line of text and its end.
    ///
    /// # Errors
    ///
    /// `bad_payload` if the text has a line end in it, before anything is written;
    /// `deadline_exceeded` if the peer does not read, `disconnected` if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the line may have been written when the future is dropped.
    pub async fn write_line(&mut self, line: &str) -> Result<()> {
        if line.contains(['\n', '\r']) {
            return Err(line_end());
        }
        self.write_bytes(&[line.as_bytes(), b"\n"].concat()).await
    }

    /// Writes these bytes.
    ///
    /// # Errors
    ///
    /// `deadline_exceeded` if the peer does not read, `disconnected` if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: some of the bytes may have been written when the future is dropped.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let time = self.limits.write_time_max;
        let write = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match timeout_at(after(time), write).await {
            Ok(result) => result.map_err(|error| self.wrong(Error::of_stream(error))),
            Err(_) => Err(self.wrong(slow("nothing was read for write_time_max", time))),
        }
    }

    /// Writes a value as a plain payload of format `F`.
    ///
    /// # Errors
    ///
    /// What the format says of the value, or `too_large`, before anything is written; else as
    /// [`write_bytes`](Self::write_bytes).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the value may have been written when the future is dropped.
    pub async fn write_value<F: Format<T>, T>(&mut self, value: &T) -> Result<()> {
        let mut payload = BytesMut::new();
        let limits = self.of_command.or(&self.limits);
        F::encode(value, limits, &mut payload).map_err(Error::by_library)?;
        self.write_payload(F::FRAMING, &payload).await
    }

    /// Ends the writing side; the peer reads an end of file.
    ///
    /// # Errors
    ///
    /// `disconnected` if the stream fails.
    pub async fn finish(&mut self) -> Result<()> {
        self.io.shutdown().await.map_err(|error| self.wrong(Error::of_stream(error)))
    }

    pub(crate) async fn read_payload(&mut self, framing: Framing) -> Result<Option<Bytes>> {
        self.read_payload_by(&mut self.wait(), framing).await
    }

    /// As [`read_payload`](Self::read_payload), with the time that `wait` says. Cancel safe for
    /// what is not counted, if the wait is kept as well.
    pub(crate) async fn read_payload_by(
        &mut self,
        wait: &mut Wait,
        framing: Framing,
    ) -> Result<Option<Bytes>> {
        self.read(Reading::of(framing), wait).await
    }

    pub(crate) async fn write_payload(&mut self, framing: Framing, payload: &[u8]) -> Result<()> {
        let (len, max) = (payload.len(), self.payload_max());
        if len > max.bytes {
            return Err(self.known(Error::found(Code::TooLarge, max.too_large(len))));
        }
        let framed = self.payloads.frame(framing, payload, &self.limits, max)?;
        if framed.is_bare() {
            return self.write_bytes(&framed.payload).await;
        }
        if len > STACK_BYTES {
            // Without a copy, in more than one write.
            let mut head = Vec::new();
            framed.put_head(&mut head);
            for part in [&head, &*framed.payload, framed.tail()] {
                if !part.is_empty() {
                    self.write_bytes(part).await?;
                }
            }
            return Ok(());
        }
        self.write_bytes(&framed.whole()).await
    }

    /// Reads and writes payloads within the bounds of a command from now on, or of none.
    pub(crate) fn bound_by(&mut self, facts: Option<Facts>) {
        self.of_command.set(facts, &self.limits);
        self.payloads.bound(self.of_command.payload_max(&self.limits));
    }

    /// How large a payload may be now.
    pub(crate) fn payload_max(&self) -> PayloadMax {
        self.of_command.payload_max(&self.limits)
    }

    /// For what has begun and must be whole in time.
    pub(crate) fn body_wait(&self) -> Wait {
        self.of_command.body_wait(&self.limits)
    }

    pub(crate) fn io(&self) -> &SharedIo {
        &self.io
    }

    /// The bytes that have been read and not been used.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input.bytes
    }

    /// As [`input`](Self::input), with the account of them for whoever takes some out.
    pub(crate) fn lend_input(&mut self) -> (&mut BytesMut, &mut Account) {
        self.input.lend()
    }

    /// Charges no more than what waits.
    pub(crate) fn settle(&mut self) {
        self.input.settle();
    }

    /// Gives back the memory of a buffer that nothing waits in, or little after much.
    pub(crate) fn release(&mut self) {
        self.input.release();
    }

    /// Reads what is there, at least one byte unless the stream has ended; answers how many.
    /// `missing` bytes are known to be wanted.
    ///
    /// # Errors
    ///
    /// `disconnected` if the stream fails, `overloaded` if the endpoint cannot hold more.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        missing: usize,
    ) -> Poll<Result<usize>> {
        self.input.poll_fill(cx, &mut self.io, missing)
    }

    /// Ends our side; whether that went well, so that all is written.
    pub(crate) async fn end(&mut self) -> bool {
        lingering::end(&mut self.io, &self.limits).await
    }

    /// Waits for the peer to end its own side.
    pub(crate) async fn linger(&mut self) {
        lingering::linger(&mut self.io, &mut self.input, &self.limits).await;
    }

    /// Waits for bytes behind those that wait, of which `missing` are known to be wanted; whether
    /// there are any. If the stream ends, nothing may wait. Cancel safe.
    pub(crate) async fn read_more(&mut self, wait: &mut Wait, missing: usize) -> Result<bool> {
        if self.fill(wait, missing).await? > 0 {
            return Ok(true);
        }
        if self.input.bytes.is_empty() {
            return Ok(false);
        }
        Err(self.cut_short())
    }

    /// Charges so much that is held of what was read, beside what waits.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint has no more.
    #[cfg(feature = "gob")]
    pub(crate) fn charge(&mut self, other_bytes: usize) -> Result<()> {
        self.input.charge_other(other_bytes).map_err(|error| self.wrong(error))
    }

    async fn read(&mut self, mut reading: Reading, wait: &mut Wait) -> Result<Option<Bytes>> {
        let was_out_of_step = self.is_out_of_step;
        loop {
            let max = self.payload_max();
            let Self { input, payloads, limits, .. } = self;
            let found = payloads.take(&mut reading, &mut input.bytes, limits, max);
            let charged = input.charge_other(payloads.held_bytes());
            let missing = match charged.and(found) {
                Ok(Found::Payload(payload)) => {
                    self.is_out_of_step = was_out_of_step;
                    return Ok(Some(payload));
                }
                Ok(Found::Length) => {
                    // Until the payload is taken, or its rest would be read as commands.
                    self.is_out_of_step = true;
                    *wait = self.wait();
                    continue;
                }
                Ok(Found::Missing(missing)) => missing,
                Err(error) => {
                    self.is_out_of_step = true;
                    return Err(self.wrong(error));
                }
            };
            if !self.read_more(wait, missing).await? {
                return if reading.may_end() { Ok(None) } else { Err(self.cut_short()) };
            }
        }
    }

    /// Reads a payload, unless an error of the peer has come in its place.
    async fn read_or_notice(&mut self, framing: Framing) -> Result<Option<Bytes>> {
        let mut wait = self.wait();
        // Whoever calls over it is no endpoint that could refuse anything.
        while !self.is_lent {
            match Notice::find(&self.input.bytes) {
                Start::Notice(notice) => {
                    let size = Reading::of_len(notice.text_bytes, self.payload_max());
                    size.map_err(|error| self.wrong(error))?;
                    match notice.take(&mut self.input.bytes, framing) {
                        Ok(error) => return Err(error),
                        Err(missing) if self.read_more(&mut wait, missing).await? => {}
                        Err(_) => return Err(self.cut_short()),
                    }
                }
                Start::Other => break,
                Start::Unclear if self.fill(&mut wait, 0).await? == 0 => break,
                Start::Unclear => {}
            }
        }
        self.read_payload_by(&mut wait, framing).await
    }

    fn cut_short(&self) -> Error {
        self.wrong(Error::found(Code::BadPayload, "the stream ended in the middle of a payload"))
    }

    /// As [`read_more`](Self::read_more), but that what waits may be the end; how many have come.
    pub(crate) async fn fill(&mut self, wait: &mut Wait, missing: usize) -> Result<usize> {
        let is_first = self.input.bytes.is_empty();
        let read = std::future::poll_fn(|cx| self.poll_fill(cx, missing));
        let count = match timeout_at(wait.due, read).await {
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return Err(self.wrong(error)),
            Err(_) => return Err(self.wrong(slow(wait.what, wait.time))),
        };
        if is_first {
            *wait = self.wait();
        }
        Ok(count)
    }

    /// Lends it to a call that came over it: its caller may know what is wrong with it.
    pub(crate) fn lend(&mut self) {
        self.is_lent = true;
    }

    /// An error of this stream after bytes may have left, and the other end may have acted on them.
    pub(crate) fn wrong(&self, error: Error) -> Error {
        self.known(error.after_sending())
    }

    /// An error of this stream, for whoever may know of it.
    fn known(&self, error: Error) -> Error {
        let error = error.by_library();
        if self.is_lent { error.for_caller() } else { error }
    }

    /// When the reading that begins now is too slow.
    pub(crate) fn wait(&self) -> Wait {
        if self.input.bytes.is_empty() { Wait::idle(&self.limits) } else { self.body_wait() }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("buffered_bytes", &self.input.bytes.len())
            .finish_non_exhaustive()
    }
}
