//! Whether the peer is still there: it is asked by `?PING` when nothing has come for some time.
//!
//! ```text
//!             nothing for `time`            it is written           nothing for `time`
//!   Hearing ────────────────────► Asking ───────────────► Asked ────────────────────► (cut off)
//!      ▲                            │                       │
//!      └──────── bytes came ────────┴───────────────────────┘
//!
//!   any of them ──not read──► Paused ──read again──► Hearing
//! ```
//!
//! Whatever comes will do for an answer: a peer that is busy with a large reply sends that first.
//! While the question waits behind other bytes, the peer may be busy with those, and how long it
//! takes for them is bounded by `write_time_max` (`timeouts`). Who is not read cannot be heard.
//!
//! It knows no calls: the question is one in `outbound`, where at most one is under way.

use std::time::{Duration, Instant};

use super::{Slowness, Violation};
use crate::wire::Name;

#[derive(Debug)]
pub(super) struct Keepalive {
    time: Duration,
    // Nobody has asked for it but the streams that are open.
    is_of_streams: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer is read, and something came last at this time.
    Hearing(Instant),
    /// The question waits to be written; it ends at this place in the stream.
    Asking(usize),
    /// The question was written at this time.
    Asked(Instant),
    /// The peer is not read.
    Paused,
}

impl Keepalive {
    pub(super) const fn new(now: Instant, time: Duration) -> Self {
        Self { time, is_of_streams: false, state: State::Hearing(now) }
    }

    /// For as long as streams are open: one may be quiet for long, and a peer that is gone would
    /// not be missed.
    pub(super) const fn of_streams(now: Instant) -> Self {
        Self { time: STREAMS_TIME, is_of_streams: true, state: State::Hearing(now) }
    }

    /// Whether it ends with the last stream.
    pub(super) const fn is_of_streams(&self) -> bool {
        self.is_of_streams
    }

    /// Bytes came.
    pub(super) const fn handle_input(&mut self, now: Instant) {
        self.state = State::Hearing(now);
    }

    pub(super) const fn handle_input_paused(&mut self) {
        self.state = State::Paused;
    }

    /// The peer is read, perhaps again.
    pub(super) fn handle_input_wanted(&mut self, now: impl FnOnce() -> Instant) {
        if matches!(self.state, State::Paused) {
            self.state = State::Hearing(now());
        }
    }

    /// The question has been sent, and ends at this place in the stream.
    pub(super) const fn handle_asked(&mut self, sent_end: usize) {
        self.state = State::Asking(sent_end);
    }

    /// Something was written, perhaps all up to such a place.
    pub(super) fn handle_written(&mut self, now: Instant, is_written: impl FnOnce(usize) -> bool) {
        if let State::Asking(sent_end) = self.state
            && is_written(sent_end)
        {
            self.state = State::Asked(now);
        }
    }

    /// Whether the peer is to be asked now.
    ///
    /// # Errors
    ///
    /// It was asked, and nothing came. Said once.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<bool, Violation> {
        if self.due().is_none_or(|due| due > now) {
            return Ok(false);
        }
        if matches!(self.state, State::Asked(_)) {
            self.state = State::Paused;
            return Err(Violation::Slow(Slowness::Ping, self.time));
        }
        Ok(true)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Hearing(since) | State::Asked(since) => since.checked_add(self.time),
            State::Asking(_) | State::Paused => None,
        }
    }
}

/// A peer with a stream that is gone is missed after twice this time.
const STREAMS_TIME: Duration = Duration::from_secs(30);

/// The command that asks whether somebody is there.
pub(super) const PING: Name = Name::new("?PING");
