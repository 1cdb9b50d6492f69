//! What has been counted, told to the recorder of the `metrics` facade.
//!
//! Nothing is told while calls run: the program asks for it when somebody wants to read, and a call
//! pays nothing for it. Counters are set to what was counted. A histogram of the facade takes
//! samples, which ours does not keep, so each bucket gives as many as have come to it since the
//! last time, with values that lie in it and make up the time that was counted.

use std::time::Duration;

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};

use super::latency::Latency;
use super::stats::{CallStats, ConnectionStats, Stats};

/// Where it is told, and for which endpoint.
pub(super) struct Publisher<'a> {
    pub(super) endpoint: Option<&'a str>,
}

type Labels<'a> = [(&'static str, &'a str)];

impl Publisher<'_> {
    pub(super) fn publish(&self, stats: &Stats) {
        describe();
        self.count(REFUSED, &[("code", "unknown_command")], 0);
        for (code, count) in &stats.calls_refused {
            self.count(REFUSED, &[("code", code.as_str())], *count);
        }
        self.count(TURNED_AWAY, &[], stats.calls_turned_away);
        self.measure(HELD_BYTES, &[], stats.held_bytes);
        self.measure(BLOCKING_THREADS, &[], stats.blocking_threads);
        self.publish_connections(&stats.connections);
        self.publish_calls("?", &stats.own);
        for (name, calls) in &stats.commands {
            self.publish_calls(name, calls);
        }
    }

    fn publish_connections(&self, connections: &ConnectionStats) {
        self.measure(OPEN, &[], connections.open);
        self.count(ACCEPTED, &[], connections.accepted);
        for (reason, count) in [
            ("connections_max", connections.refused_in_all),
            ("connections_per_peer_max", connections.refused_of_peer),
            ("handshake", connections.handshakes_failed),
        ] {
            self.count(CONNECTIONS_REFUSED, &[("reason", reason)], count);
        }
        for (reason, count) in [
            ("not_reading", connections.cut_not_reading),
            ("slow", connections.cut_slow),
            ("silent", connections.cut_silent),
            ("protocol", connections.cut_protocol),
        ] {
            self.count(CUT, &[("reason", reason)], count);
        }
    }

    pub(super) fn publish_calls(&self, name: &str, calls: &CallStats) {
        let command = [("command", name)];
        self.measure(IN_FLIGHT, &command, calls.in_flight);
        for (metric, count) in [
            (ONE_WAY, calls.one_way),
            (STREAMS, calls.streams),
            (ITEMS_IN, calls.items_in),
            (ITEMS_OUT, calls.items_out),
            (BYTES_IN, calls.payload_bytes_in),
            (BYTES_OUT, calls.payload_bytes_out),
        ] {
            self.count(metric, &command, count);
        }
        let ended = calls.errors.iter().map(|(code, count)| (code.as_str(), *count));
        for (code, count) in ended.chain([("ok", calls.answered)]) {
            self.count(CALLS, &[("command", name), ("code", code)], count);
        }
    }

    /// Tells how long calls took that ended since this was told last.
    pub(super) fn publish_latency(&self, name: &str, since: &Latency) {
        let histogram = histogram!(SECONDS, self.labels(&[("command", name)]));
        for (seconds, calls) in samples(since) {
            histogram.record_many(seconds, calls);
        }
    }

    fn count(&self, name: &'static str, labels: &Labels<'_>, count: u64) {
        counter!(name, self.labels(labels)).absolute(count);
    }

    fn measure(&self, name: &'static str, labels: &Labels<'_>, value: u64) {
        gauge!(name, self.labels(labels)).set(value as f64);
    }

    fn labels(&self, labels: &Labels<'_>) -> Vec<Label> {
        let endpoint = self.endpoint.map(|endpoint| ("endpoint", endpoint));
        let labels = endpoint.iter().chain(labels);
        labels.map(|(key, value)| Label::new(*key, (*value).to_owned())).collect()
    }
}

/// Seconds, and how many calls took so long: for each bucket with calls.
fn samples(latency: &Latency) -> Vec<(f64, usize)> {
    let (calls, total) = (latency.calls(), latency.total.as_secs_f64());
    let lower = [Duration::ZERO].into_iter().chain(Latency::BOUNDS);
    let upper = Latency::BOUNDS.into_iter().map(Some).chain([None]);
    let buckets: Vec<_> = latency
        .buckets
        .iter()
        .zip(lower.zip(upper))
        .filter(|(count, _)| **count > 0)
        .map(|(count, (lower, upper))| {
            let width = upper.map(|upper| upper.saturating_sub(lower).as_secs_f64());
            (*count as f64, lower.as_secs_f64(), width)
        })
        .collect();
    let least: f64 = buckets.iter().map(|(count, lower, _)| count * lower).sum();
    let span: f64 = buckets.iter().map(|(count, _, width)| count * width.unwrap_or(0.0)).sum();
    let over: f64 = buckets.iter().filter(|(_, _, width)| width.is_none()).map(|it| it.0).sum();
    // How far into its bucket each call is, so that all together took as long as they did.
    let part = if span > 0.0 { ((total - least) / span).clamp(PART_LEAST, 1.0) } else { 1.0 };
    let rest = (total - least - part * span).max(0.0);
    // More would be much to be kept until somebody reads it.
    let scale = (SAMPLES_MAX / calls as f64).min(1.0);
    let sample = |(count, lower, width): (f64, f64, Option<f64>)| {
        let seconds = match width {
            Some(width) => lower + part * width,
            None => lower * (1.0 + PART_LEAST) + rest / over,
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 1 to SAMPLES_MAX"
        )]
        let count = (count * scale).round().max(1.0) as usize;
        (seconds, count)
    };
    buckets.into_iter().map(sample).collect()
}

/// Says what each of them means. Each time: the recorder may be another than the last.
fn describe() {
    for (name, unit, help) in COUNTERS {
        describe_counter!(name, unit, help);
    }
    for (name, unit, help) in GAUGES {
        describe_gauge!(name, unit, help);
    }
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time of calls that ran, from when they were read."
    );
}

const CALLS: &str = "switchboard_calls_total";
const IN_FLIGHT: &str = "switchboard_calls_in_flight";
const ONE_WAY: &str = "switchboard_calls_one_way_total";
const STREAMS: &str = "switchboard_calls_streamed_total";
const REFUSED: &str = "switchboard_calls_refused_total";
const TURNED_AWAY: &str = "switchboard_calls_turned_away_total";
const SECONDS: &str = "switchboard_call_seconds";
const ITEMS_IN: &str = "switchboard_items_received_total";
const ITEMS_OUT: &str = "switchboard_items_sent_total";
const BYTES_IN: &str = "switchboard_payload_received_bytes_total";
const BYTES_OUT: &str = "switchboard_payload_sent_bytes_total";
const OPEN: &str = "switchboard_connections_open";
const ACCEPTED: &str = "switchboard_connections_accepted_total";
const CONNECTIONS_REFUSED: &str = "switchboard_connections_refused_total";
const CUT: &str = "switchboard_connections_cut_total";
const HELD_BYTES: &str = "switchboard_held_bytes";
const BLOCKING_THREADS: &str = "switchboard_blocking_threads";

const COUNTERS: [(&str, Unit, &str); 12] = [
    (CALLS, Unit::Count, "Calls that ended, by command and code; ok is a reply."),
    (ONE_WAY, Unit::Count, "Calls that wanted no reply."),
    (STREAMS, Unit::Count, "Calls whose request or reply came in items."),
    (REFUSED, Unit::Count, "Refused calls that belong to no command, by code."),
    (TURNED_AWAY, Unit::Count, "Calls that their connection refused by its own limits."),
    (ITEMS_IN, Unit::Count, "Items of requests that were taken."),
    (ITEMS_OUT, Unit::Count, "Items of replies that were given."),
    (BYTES_IN, Unit::Bytes, "Payloads of requests and of their items."),
    (BYTES_OUT, Unit::Bytes, "Payloads of replies and of their items."),
    (ACCEPTED, Unit::Count, "Connections for which there was a place."),
    (CONNECTIONS_REFUSED, Unit::Count, "Connections that found no place, by reason."),
    (CUT, Unit::Count, "Connections that this side ended, by reason."),
];

const GAUGES: [(&str, Unit, &str); 4] = [
    (IN_FLIGHT, Unit::Count, "Calls under way."),
    (OPEN, Unit::Count, "Connections that are open."),
    (HELD_BYTES, Unit::Bytes, "Memory that is held for peers."),
    (BLOCKING_THREADS, Unit::Count, "Threads that run a function that blocks."),
];

/// Samples that are given to a histogram at one time, give or take one for each bucket.
const SAMPLES_MAX: f64 = 100_000.0;

/// No sample lies on the lower bound of its bucket, which belongs to the one before.
const PART_LEAST: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::figures::Figures;

    fn latency(micros: &[u64]) -> Latency {
        let figures = Figures::default();
        micros.iter().for_each(|micros| figures.end(Duration::from_micros(*micros), Ok(0)));
        figures.stats().latency
    }

    /// What comes out falls into the same buckets, and took as long together.
    #[test]
    fn samples_are_what_was_counted() {
        for micros in [
            &[][..],
            &[0],
            &[10],
            &[1, 2, 3],
            &[10, 25, 100, 10_000_000],
            &[11, 26, 101],
            &[30_000_000],
            &[10_000_001, 60_000_000, 7, 8_000],
        ] {
            let latency = latency(micros);
            let samples = samples(&latency);
            let mut found = vec![0; latency.buckets.len()];
            let mut total = 0.0;
            for (seconds, calls) in samples {
                let bound = Latency::BOUNDS.iter().position(|it| seconds <= it.as_secs_f64());
                if let Some(bucket) = found.get_mut(bound.unwrap_or(Latency::BOUNDS.len())) {
                    *bucket += calls as u64;
                }
                total += seconds * calls as f64;
            }
            assert_eq!(found, latency.buckets, "{micros:?}");
            let expected = latency.total.as_secs_f64();
            assert!((total - expected).abs() <= expected * 1e-3 + 1e-9, "{micros:?}: {total}");
        }
    }

    #[test]
    fn no_more_samples_are_made_than_can_be_kept() {
        let latency = Latency { buckets: vec![7_000_000, 2, 0, 1], total: Duration::from_secs(9) };
        let calls: usize = samples(&latency).iter().map(|(_, calls)| calls).sum();
        assert!((99_999..=100_002).contains(&calls), "{calls}");
    }
}
