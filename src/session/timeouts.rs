//! Whether the peer keeps pace: the four times that no peer may exceed.
//!
//! | what            | from                                  | to                                |
//! |-----------------|---------------------------------------|-----------------------------------|
//! | `line_time_max` | the first byte of a line              | its end                           |
//! | `body_time_max` | the line that announced a body        | its end; longer for some commands |
//! | `write_time_max`| a write that the peer would not take  | all that waited then is taken     |
//! | `idle_time_max` | the last byte in or out, no call open | the next byte                     |
//!
//! A line or body is not allowed more time for arriving in more pieces, and a reader that takes one
//! byte now and then is as slow as one that takes none.

use std::time::{Duration, Instant};

use super::{Side, Slowness};
use crate::limits::Limits;
use crate::wire::Position;

#[derive(Debug)]
pub(super) struct Timeouts {
    line_time_max: Duration,
    body_time_max: Duration,
    write_time_max: Duration,
    idle_time_max: Option<Duration>,
    // The unit under way: what it is, when it began, and its number.
    unit: Option<(Position, Instant)>,
    units: u64,
    // The number of a body that has another time than others, as its command says.
    long_body: Option<(u64, Duration)>,
    blocked: Option<Blocked>,
    written: u64,
    active_at: Instant,
}

/// A write that the peer would not take.
#[derive(Debug)]
struct Blocked {
    since: Instant,
    // When so many bytes have been written in all, everything that waited then is gone.
    until_written: u64,
}

impl Timeouts {
    pub(super) fn new(now: Instant, side: Side, limits: &Limits) -> Self {
        let idle_time_max = match side {
            Side::Accepted => Some(limits.idle_time_max),
            Side::Dialled => None,
        };
        Self {
            line_time_max: limits.line_time_max,
            body_time_max: limits.body_time_max,
            write_time_max: limits.write_time_max,
            idle_time_max,
            unit: None,
            units: 0,
            long_body: None,
            blocked: None,
            written: 0,
            active_at: now,
        }
    }

    pub(super) fn handle_input(&mut self, now: Instant, position: Position, units: u64) {
        self.active_at = now;
        let is_same = self.units == units && self.unit.is_some_and(|(was, _)| was == position);
        self.units = units;
        match position {
            Position::Boundary => self.unit = None,
            Position::Line | Position::Body if is_same => {}
            Position::Line | Position::Body => self.unit = Some((position, now)),
        }
    }

    /// The body that begins after so many units has more time than others.
    pub(super) fn handle_long_body(&mut self, units: u64, time: Duration) {
        self.long_body = Some((units, time));
    }

    pub(super) const fn body_time_max(&self) -> Duration {
        self.body_time_max
    }

    pub(super) fn handle_input_paused(&mut self) {
        self.unit = None;
    }

    pub(super) fn handle_written(&mut self, now: Instant, bytes: usize) {
        self.active_at = now;
        self.written = self.written.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.blocked.as_ref().is_some_and(|blocked| self.written >= blocked.until_written) {
            self.blocked = None;
        }
    }

    /// The stream holds back nothing of what was written.
    pub(super) fn handle_flushed(&mut self) {
        if self.blocked.as_ref().is_some_and(|blocked| self.written >= blocked.until_written) {
            self.blocked = None;
        }
    }

    pub(super) fn handle_write_blocked(&mut self, now: Instant, unwritten_bytes: usize) {
        let unwritten = u64::try_from(unwritten_bytes).unwrap_or(u64::MAX);
        let until_written = self.written.saturating_add(unwritten);
        self.blocked.get_or_insert(Blocked { since: now, until_written });
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        is_idle: bool,
    ) -> Result<(), (Slowness, Duration)> {
        let Some((_, slowness, time)) = self.due(is_idle).find(|(due, ..)| *due <= now) else {
            return Ok(());
        };
        // Said once: whoever cuts the peer off may still have bytes to write, and a time that lies
        // in the past would never let it wait.
        match slowness {
            Slowness::Line | Slowness::Body | Slowness::LongBody => self.unit = None,
            Slowness::Write => self.blocked = None,
            Slowness::Idle => self.idle_time_max = None,
            // That time is kept in `keepalive`.
            Slowness::Ping => {}
        }
        Err((slowness, time))
    }

    /// Nothing more is read, so nothing read can be slow.
    pub(super) fn handle_eof(&mut self) {
        self.unit = None;
    }

    pub(super) fn earliest(&self, is_idle: bool) -> Option<Instant> {
        if self.unit.is_none() && self.blocked.is_none() {
            // As nearly always.
            let idle_time_max = self.idle_time_max.filter(|_| is_idle)?;
            return self.active_at.checked_add(idle_time_max);
        }
        self.due(is_idle).map(|(due, ..)| due).min()
    }

    /// What will be too slow, and when.
    fn due(&self, is_idle: bool) -> impl Iterator<Item = (Instant, Slowness, Duration)> {
        let unit = self.unit.map(|(position, since)| match position {
            Position::Line => (since, Slowness::Line, self.line_time_max),
            Position::Body | Position::Boundary => {
                let long = self.long_body.filter(|(units, _)| *units == self.units);
                match long {
                    Some((_, time)) => (since, Slowness::LongBody, time),
                    None => (since, Slowness::Body, self.body_time_max),
                }
            }
        });
        let write = self.blocked.as_ref();
        let write = write.map(|blocked| (blocked.since, Slowness::Write, self.write_time_max));
        let is_quiet = is_idle && self.unit.is_none() && self.blocked.is_none();
        let idle = self.idle_time_max.filter(|_| is_quiet);
        let idle = idle.map(|time| (self.active_at, Slowness::Idle, time));
        let running = [write, unit, idle].into_iter().flatten();
        running
            .filter_map(|(since, slowness, time)| Some((since.checked_add(time)?, slowness, time)))
    }
}
