//! A call as its caller wants it, before it is sent: all that is said of it, and how long it has.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::BytesMut;

#[cfg(feature = "io")]
use super::errors::polled_too_late;
use super::values::encode;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::Format;
use crate::limits::Limits;
use crate::wire::{FormatWord, Metadata, Name, Options, Traceparent};

/// What a caller wants to send.
pub(crate) struct Unsent {
    pub(crate) name: Name,
    // `None` is that of a tagged call that names none.
    pub(crate) format: Option<FormatWord>,
    // `None` when sent, or when its error has been given out.
    pub(crate) payload: Option<Result<BytesMut>>,
    // The caller's own.
    pub(crate) deadline: Option<Instant>,
    // Boxed: most calls have nothing of it, and a call is moved now and then.
    pub(crate) beside: Option<Box<Beside>>,
    // What the command has in place of limits.
    pub(crate) facts: Option<Box<Facts>>,
    // Of a call that may be made again even if it has run.
    #[cfg_attr(not(feature = "io"), expect(dead_code, reason = "nobody else makes it again"))]
    pub(crate) is_idempotent: bool,
}

/// What is said beside a call.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    pub(crate) trace: Option<Traceparent>,
    pub(crate) metadata: Metadata,
    // Where a streamed call is to go on.
    pub(crate) resume_at: Option<u64>,
}

impl Unsent {
    /// A call of a command with these facts, whose items go as the pair says: up, and down.
    #[inline]
    pub(crate) fn of_command<Req, F: Format<Req>>(
        name: Name,
        facts: Facts,
        request: &Req,
        (has_request_items, has_reply_items): (bool, bool),
        (limits, trace): (&Limits, Option<Traceparent>),
    ) -> Self {
        let facts = facts.streamed(has_request_items, has_reply_items).in_format(F::NAME);
        let payload = encode::<F, Req>(request, facts, limits);
        let format = const { FormatWord::new(F::NAME) };
        Self::new(name, format, facts, payload, trace)
    }

    #[inline]
    fn new(
        name: Name,
        format: FormatWord,
        facts: Facts,
        payload: Result<BytesMut>,
        trace: Option<Traceparent>,
    ) -> Self {
        // What every tagged call is in that says nothing is not said.
        let format = Some(format).filter(|format| !format.is_default());
        let is_idempotent = facts.is_idempotent();
        let (payload, facts) = (Some(payload), facts.of_call());
        let beside =
            trace.map(|trace| Box::new(Beside { trace: Some(trace), ..Beside::default() }));
        Self { name, format, payload, deadline: None, beside, facts, is_idempotent }
    }

    /// The time that the command gives a call whose caller sets none. A one-way call is given none:
    /// it would count while the call waits at the peer for others.
    pub(crate) fn timeout(&self, wants_reply: bool) -> Option<Duration> {
        self.facts.as_ref()?.timeout().filter(|_| wants_reply)
    }

    /// Whether its request or its reply comes in items.
    pub(crate) fn is_streamed(&self) -> bool {
        self.facts.as_deref().is_some_and(Facts::is_streamed)
    }

    /// The error of a call that has not ended in time.
    pub(crate) fn late(&self, limits: &Limits) -> Error {
        let facts = self.facts.as_deref().copied().unwrap_or_default();
        let text = match self.deadline {
            Some(_) => "no reply came in time".into(),
            None => {
                let limit = facts.time_max(limits.call_time_max);
                Cow::Owned(format!("no reply came within {}", limit.name()))
            }
        };
        Error::local(Code::DeadlineExceeded, text).after_sending()
    }

    /// What the peer is told beside the payload, and when the call ends: at `due` if that is known,
    /// and else as its caller, its command or these limits say, from `now` on. `is_waiting` says
    /// that it has waited for room.
    ///
    /// # Errors
    ///
    /// That is over.
    pub(crate) fn options(
        &self,
        now: Instant,
        due: &mut Option<Instant>,
        (wants_reply, is_waiting): (bool, bool),
        limits: &Limits,
    ) -> Result<(Options, Instant)> {
        let timeout = self.timeout(wants_reply);
        let end = match due.or(self.deadline) {
            Some(due) => due,
            // It lasts as long as its caller says.
            None if self.is_streamed() && timeout.is_none() => later(now, Duration::MAX),
            None => later(now, timeout.unwrap_or(limits.call_time_max)),
        };
        *due = Some(end);
        if end <= now {
            let text = match is_waiting {
                true => "the deadline passed before there was room to send",
                false => "the deadline had passed before the call was sent",
            };
            return Err(Error::local(Code::DeadlineExceeded, text));
        }
        let told = self.deadline.or_else(|| timeout.map(|_| end));
        let left_ms = told.map(|deadline| {
            // Rounded up: a peer must not give up before its caller does.
            let left_ms = deadline.saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
            u64::try_from(left_ms).unwrap_or(u64::MAX)
        });
        let mut options = Options::new(self.format, left_ms);
        if let Some(facts) = self.facts.as_ref().filter(|_| self.is_streamed()) {
            let credit = facts.has_reply_items().then(|| facts.window());
            options = options.streamed(facts.has_request_items(), credit);
        }
        if let Some(beside) = &self.beside {
            options = beside.add_to(options);
        }
        Ok((options, end))
    }

    /// Names the limit if it was that, and no deadline of the caller's, that ended the call. (An
    /// error with a source tells why the connection ended.)
    pub(crate) fn explain(&self, error: Error, limits: &Limits) -> Error {
        let is_ours = !error.is_from_peer() && std::error::Error::source(&error).is_none();
        let is_late = error.code() == Code::DeadlineExceeded && is_ours;
        // No limit of ours ends a streamed call; credit that does not come does, and says so.
        if !is_late || self.deadline.is_some() || self.is_streamed() {
            return error;
        }
        self.late(limits)
    }

    /// What is said beside the call.
    pub(crate) fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Says something more beside the call, or fails it before it is sent.
    pub(crate) fn add_metadata(&mut self, key: &str, value: &str) {
        let beside = self.beside();
        match std::mem::take(&mut beside.metadata).with(key, value) {
            Ok(metadata) => beside.metadata = metadata,
            // What was wrong first is told.
            Err(error) if matches!(self.payload, Some(Ok(_))) => self.payload = Some(Err(error)),
            Err(_) => {}
        }
    }
}

/// What a call is asked that may wait for a connection, or be made again.
#[cfg(feature = "io")]
impl Unsent {
    /// Whether nothing but its caller ends it.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_streamed() && self.deadline.is_none() && self.timeout(true).is_none()
    }

    /// When it ends if it begins `now`, within these limits; `None` if nothing but its caller ends
    /// it.
    pub(crate) fn due(&self, now: Instant, wants_reply: bool, limits: &Limits) -> Option<Instant> {
        if self.is_endless() {
            return None;
        }
        let time = || self.timeout(wants_reply).unwrap_or(limits.call_time_max);
        Some(self.deadline.unwrap_or_else(|| later(now, time())))
    }

    /// How many bytes its payload has.
    ///
    /// # Errors
    ///
    /// Why there is no payload; told once.
    pub(crate) fn payload_bytes(&mut self) -> Result<usize> {
        if let Some(Ok(payload)) = &self.payload {
            return Ok(payload.len());
        }
        Err(self.payload.take().and_then(Result::err).unwrap_or_else(polled_too_late))
    }

    /// The same once more; the payload is not in here any more.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            name: self.name,
            format: self.format,
            payload: self.payload.take(),
            deadline: self.deadline,
            beside: self.beside.clone(),
            facts: self.facts.clone(),
            is_idempotent: self.is_idempotent,
        }
    }
}

impl Beside {
    fn add_to(&self, mut options: Options) -> Options {
        if let Some(position) = self.resume_at {
            options = options.with_from(position);
        }
        if let Some(trace) = &self.trace {
            options = options.with_trace(trace);
        }
        if self.metadata.is_empty() { options } else { options.with_metadata(&self.metadata) }
    }
}

/// `time` from `now`, or as far away as the clock goes.
pub(crate) fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

/// A year; further away than any deadline that means something.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
