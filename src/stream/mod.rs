//! One buffered stream of bytes, lent whole to whoever speaks on it.
//!
//! The buffer of a [`Connection`] is the only place where bytes wait that have been read ahead, so
//! a raw handler that follows pipelined commands sees what belongs to it, and the next command is
//! found where the handler stopped. It does not know the protocol of lines and calls.

mod bounds;
mod buffer;
mod clock;
mod farewell;
#[cfg(feature = "gob")]
mod gob;
mod io;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout_at;

use self::bounds::OfCommand;
pub(crate) use self::clock::{Clock, after, after_that, now};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, Framing};
use crate::limits::{Limits, PayloadMax};
use crate::quota::{Charge, Quota};
use crate::transport::{self, Address, Io, Peer, SharedIo};

/// A buffered stream of bytes, as lent to a raw handler, or opened to speak a plain dialect.
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
    input: BytesMut,
    // The most that has waited in the buffer since it was made.
    input_bytes_peak: usize,
    quota: Arc<Quota>,
    held: Charge,
    // It is the one over which the call came that is being answered.
    is_lent: bool,
    // Made for the first gob.
    #[cfg(feature = "gob")]
    gobs: Option<Box<gob::Gobs>>,
}

impl Connection {
    /// Connects to `address`: `host:port`, or `unix:` and a path.
    ///
    /// # Errors
    ///
    /// `failed` if the address is none, `disconnected` if nobody answers there within the default
    /// `call_time_max`, 30 seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect(address: &str) -> Result<Self> {
        let address: Address = address.parse()?;
        let limits = Arc::new(Limits::default());
        let (io, peer) = transport::dial(&address, limits.call_time_max).await?;
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
        Self {
            io,
            peer,
            limits,
            of_command: OfCommand::default(),
            input: BytesMut::new(),
            input_bytes_peak: 0,
            quota: Arc::clone(quota),
            held: Charge::default(),
            is_lent: false,
            #[cfg(feature = "gob")]
            gobs: None,
        }
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
        self.quota = Quota::new(&limits);
        self.held = Charge::default();
        self.limits = Arc::new(limits);
        #[cfg(feature = "gob")]
        {
            self.gobs = None;
        }
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
    /// stream fails.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has been read stays in the buffer.
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
        let max = self.payload_max();
        if len > max.bytes {
            return Err(self.wrong(Error::found(Code::TooLarge, max.too_large(len))));
        }
        let mut clock = self.clock();
        while self.input.len() < len {
            let missing = len.saturating_sub(self.input.len());
            if self.fill(&mut clock, missing).await? == 0 {
                return Err(self.wrong(cut_short()));
            }
        }
        Ok(self.input.split_to(len).freeze())
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
        let Some(payload) = self.read_payload(F::FRAMING).await? else {
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
            return Err(Error::found(Code::BadPayload, LINE_END));
        }
        let mut bytes = Vec::with_capacity(line.len().saturating_add(1));
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.write_bytes(&bytes).await
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
            Ok(result) => result.map_err(|error| self.wrong(error.into())),
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
        F::encode(value, &mut payload).map_err(Error::by_library)?;
        self.write_payload(F::FRAMING, &payload).await
    }

    /// Ends the writing side; the peer reads an end of file.
    ///
    /// # Errors
    ///
    /// `disconnected` if the stream fails.
    pub async fn finish(&mut self) -> Result<()> {
        self.io.shutdown().await.map_err(|error| self.wrong(error.into()))
    }

    pub(crate) async fn read_payload(&mut self, framing: Framing) -> Result<Option<Bytes>> {
        match framing {
            Framing::Line => self.read_line_bytes().await,
            Framing::Counted => {
                let Some(line) = self.read_line_bytes().await? else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(&line).unwrap_or_default();
                let is_canonical = text == "0" || !text.starts_with(['0', '+']);
                let len = text.parse().ok().filter(|_| is_canonical).ok_or_else(|| {
                    let text = "the length before a payload is a decimal";
                    self.wrong(Error::found(Code::BadPayload, text))
                })?;
                self.read_bytes(len).await.map(Some)
            }
            #[cfg(feature = "gob")]
            Framing::Gob => {
                let mut clock = self.clock();
                self.read_gob(&mut clock).await
            }
        }
    }

    pub(crate) async fn write_payload(&mut self, framing: Framing, payload: &[u8]) -> Result<()> {
        let (len, max) = (payload.len(), self.payload_max());
        if len > max.bytes {
            return Err(self.known(Error::found(Code::TooLarge, max.too_large(len))));
        }
        if framing == Framing::Line && memchr::memchr2(b'\n', b'\r', payload).is_some() {
            return Err(Error::found(Code::BadPayload, LINE_END));
        }
        #[cfg(feature = "gob")]
        if framing == Framing::Gob {
            let bytes = self.gobs().join(payload)?;
            return self.write_bytes(&bytes).await;
        }
        if len > STACK_BYTES {
            return self.write_large_payload(framing, payload).await;
        }
        let mut bytes = Vec::with_capacity(len.saturating_add(24));
        if framing == Framing::Counted {
            bytes.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(payload);
        if framing == Framing::Line {
            bytes.push(b'\n');
        }
        self.write_bytes(&bytes).await
    }

    /// As [`write_payload`](Self::write_payload) without a copy, in more than one write.
    async fn write_large_payload(&mut self, framing: Framing, payload: &[u8]) -> Result<()> {
        if framing == Framing::Counted {
            self.write_bytes(format!("{}\n", payload.len()).as_bytes()).await?;
        }
        self.write_bytes(payload).await?;
        if framing == Framing::Line {
            self.write_bytes(b"\n").await?;
        }
        Ok(())
    }

    /// Reads and writes payloads within the bounds of a command from now on, or of none.
    pub(crate) fn bound_by(&mut self, facts: Option<Facts>) {
        self.of_command.set(facts, &self.limits);
        #[cfg(feature = "gob")]
        if let Some(gobs) = &mut self.gobs {
            gobs.bound(self.of_command.payload_max(&self.limits));
        }
    }

    /// How large a payload may be now.
    fn payload_max(&self) -> PayloadMax {
        self.of_command.payload_max(&self.limits)
    }

    /// For what has begun and must be whole in time.
    pub(crate) fn body_clock(&self) -> Clock {
        self.of_command.body_clock(&self.limits)
    }

    pub(crate) fn io(&self) -> &SharedIo {
        &self.io
    }

    /// The bytes that have been read and not been used.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    async fn read_line_bytes(&mut self) -> Result<Option<Bytes>> {
        let max = self.payload_max();
        let mut clock = self.clock();
        let mut scanned = 0;
        loop {
            let fresh = self.input.get(scanned..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let end = scanned.saturating_add(end);
                if end > max.bytes {
                    return Err(self.wrong(too_long(end, max)));
                }
                let mut line = self.input.split_to(end);
                self.input.advance(1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len().saturating_sub(1));
                }
                return Ok(Some(line.freeze()));
            }
            scanned = self.input.len();
            if scanned > max.bytes {
                return Err(self.wrong(too_long(scanned, max)));
            }
            if self.fill(&mut clock, 0).await? == 0 {
                return self.at_end();
            }
        }
    }

    /// Reads a gob, as a stream of its own. Cancel safe, if the clock is kept as well.
    #[cfg(feature = "gob")]
    pub(crate) async fn read_gob(&mut self, clock: &mut Clock) -> Result<Option<Bytes>> {
        loop {
            self.gobs();
            if let Some(gobs) = &mut self.gobs {
                match gobs.take(&mut self.input) {
                    Ok(None) => {}
                    Ok(payload) => return Ok(payload),
                    Err(error) => return Err(self.wrong(error)),
                }
            }
            if self.fill(clock, 0).await? == 0 {
                return self.at_end();
            }
        }
    }

    #[cfg(feature = "gob")]
    fn gobs(&mut self) -> &mut gob::Gobs {
        let max = self.payload_max();
        let Self { gobs, limits, .. } = self;
        gobs.get_or_insert_with(|| Box::new(gob::Gobs::new(limits, max)))
    }

    async fn fill(&mut self, clock: &mut Clock, missing: usize) -> Result<usize> {
        let is_first = self.input.is_empty();
        let read = std::future::poll_fn(|cx| self.poll_fill(cx, missing));
        let count = match timeout_at(clock.due, read).await {
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return Err(self.wrong(error)),
            Err(_) => return Err(self.wrong(slow(clock.what, clock.time))),
        };
        if is_first {
            *clock = self.clock();
        }
        Ok(count)
    }

    /// What a stream that has ended in front of a payload, or in the middle of one, gives.
    fn at_end(&self) -> Result<Option<Bytes>> {
        if self.input.is_empty() { Ok(None) } else { Err(self.wrong(cut_short())) }
    }

    /// Lends it to a call that came over it: its caller may know what is wrong with it.
    pub(crate) fn lend(&mut self) {
        self.is_lent = true;
    }

    /// An error of this stream after bytes may have left: whoever is at the other end may have done
    /// what they ask for.
    pub(crate) fn wrong(&self, error: Error) -> Error {
        self.known(error.after_sending())
    }

    /// An error of this stream, for whoever may know of it.
    fn known(&self, error: Error) -> Error {
        let error = error.by_library();
        if self.is_lent { error.for_caller() } else { error }
    }

    /// When the reading that begins now is too slow.
    pub(crate) fn clock(&self) -> Clock {
        if self.input.is_empty() { Clock::idle(&self.limits) } else { self.body_clock() }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("buffered_bytes", &self.input.len())
            .finish_non_exhaustive()
    }
}

fn cut_short() -> Error {
    Error::found(Code::BadPayload, "the stream ended in the middle of a payload")
}

fn too_long(bytes: usize, max: PayloadMax) -> Error {
    let text = format!("a line of {bytes} bytes or more is over {}", max.name());
    Error::found(Code::TooLarge, text)
}

fn slow(what: &str, time: Duration) -> Error {
    Error::found(Code::DeadlineExceeded, format!("{what} ({time:?})"))
}

const LINE_END: &str = "a line cannot have a line end in it";

/// Read at once by way of the stack.
const STACK_BYTES: usize = 8 * 1024;
