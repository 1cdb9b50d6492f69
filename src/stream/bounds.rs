//! The bounds of the command whose payload is read, or whose reply is written.
//!
//! A command may allow other payloads than the connection does. Its facts bind the connection while
//! it is under way, and the connection is as before when it is over.

use super::wait::Wait;
use crate::command::Facts;
use crate::limits::{Limits, PayloadMax};

/// What holds for the command under way in place of the limits of its connection, if anything.
#[derive(Debug, Default)]
pub(super) struct OfCommand {
    // Few have any.
    limits: Option<Box<Limits>>,
}

impl OfCommand {
    /// Takes the bounds of a command, or of none.
    pub(super) fn set(&mut self, facts: Option<Facts>, limits: &Limits) {
        let facts = facts.filter(|facts| facts.payload_bytes_max().is_some());
        self.limits = facts.map(|facts| Box::new(facts.limits(limits)));
    }

    /// The limits that hold now, on a connection with `limits`.
    pub(super) fn or<'a>(&'a self, limits: &'a Limits) -> &'a Limits {
        self.limits.as_deref().unwrap_or(limits)
    }

    /// How large a payload may be now.
    pub(super) fn payload_max(&self, limits: &Limits) -> PayloadMax {
        let bytes = self.or(limits).payload_bytes_max;
        PayloadMax { bytes, is_of_command: self.limits.is_some() }
    }

    /// For what has begun and must be whole in time.
    pub(super) fn body_wait(&self, limits: &Limits) -> Wait {
        let own = self.or(limits);
        if own.body_time_max == limits.body_time_max {
            Wait::body(own)
        } else {
            Wait::body_of_command(own)
        }
    }
}
