//! What has been counted, as lines for a person.
//!
//! The first word of a line says what it is about, and the rest are numbers with their names. A
//! line of calls leaves out what is 0, but for the first three.

use std::fmt;
use std::time::Duration;

use super::stats::{CallStats, ConnectionStats, Stats};

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, calls, own, calls_refused, calls_turned_away, .. } = self;
        writeln!(f, "connections {}", self.connections)?;
        let (bytes, threads) = (self.held_bytes, self.blocking_threads);
        writeln!(f, "now held_bytes={bytes} blocking_threads={threads}")?;
        write!(f, "refused turned_away={calls_turned_away}")?;
        for (code, count) in calls_refused {
            write!(f, " {code}={count}")?;
        }
        writeln!(f, "\ncalls {calls}")?;
        if own.begun > 0 {
            writeln!(f, "command ? {own}")?;
        }
        for (name, calls) in commands {
            writeln!(f, "command {name} {calls}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConnectionStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open={} accepted={}", self.open, self.accepted)?;
        write_some(
            f,
            &[
                ("refused_in_all", self.refused_in_all),
                ("refused_of_peer", self.refused_of_peer),
                ("handshakes_failed", self.handshakes_failed),
                ("cut_not_reading", self.cut_not_reading),
                ("cut_slow", self.cut_slow),
                ("cut_silent", self.cut_silent),
                ("cut_protocol", self.cut_protocol),
            ],
        )
    }
}

impl fmt::Display for CallStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begun, answered, in_flight, errors, latency, .. } = self;
        write!(f, "begun={begun} answered={answered} in_flight={in_flight}")?;
        for (code, count) in errors {
            write!(f, " {code}={count}")?;
        }
        write_some(
            f,
            &[
                ("one_way", self.one_way),
                ("streams", self.streams),
                ("items_in", self.items_in),
                ("items_out", self.items_out),
                ("payload_bytes_in", self.payload_bytes_in),
                ("payload_bytes_out", self.payload_bytes_out),
            ],
        )?;
        let mean = latency.mean();
        if let Some(mean) = mean {
            write!(f, " mean_seconds={}", Seconds(mean))?;
        }
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            match latency.quantile(part) {
                Some(Duration::MAX) => write!(f, " {name}_seconds=inf")?,
                Some(bound) => write!(f, " {name}_seconds={}", Seconds(bound))?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Seconds to a ten-millionth, without zeros at the end.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.7}", self.0.as_secs_f64());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

fn write_some(f: &mut fmt::Formatter<'_>, figures: &[(&str, u64)]) -> fmt::Result {
    let some = figures.iter().filter(|(_, count)| *count > 0);
    some.into_iter().try_for_each(|(name, count)| write!(f, " {name}={count}"))
}
