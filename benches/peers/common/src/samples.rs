//! What is measured, and the line in which a client reports it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The time in which calls count.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    begin: Instant,
    end: Instant,
}

/// How long each call took, in nanoseconds; one beyond 4 seconds counts as 4.
#[derive(Debug, Default)]
pub struct Samples {
    nanos: Vec<u32>,
    calls_in_all: u64,
}

/// What a client prints, as one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Whether the peer cannot do this at all.
    pub is_unsupported: bool,
    /// Calls in a second.
    pub calls_per_second: f64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_micros: f64,
    /// 99 of a hundred calls took no longer, in microseconds.
    pub p99_micros: f64,
    /// The same without slow calls beside them, where there are any.
    pub p99_alone_micros: f64,
    /// Calls made, those before the time in which they count included.
    pub calls_in_all: u64,
}

impl Span {
    /// From a fifth of this time from now on, and so long.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        let begin = Instant::now() + time / 5;
        Self { begin, end: begin + time }
    }

    /// Whether new calls are to be made.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        now < self.end
    }
}

impl Samples {
    /// Counts a call that was made and answered at these times.
    pub fn add(&mut self, span: &Span, begin: Instant, end: Instant) {
        self.calls_in_all += 1;
        if begin >= span.begin && end <= span.end {
            let nanos = end.duration_since(begin).as_nanos();
            self.nanos.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
    }

    /// Adds those of another caller.
    pub fn append(&mut self, mut other: Self) {
        self.nanos.append(&mut other.nanos);
        self.calls_in_all += other.calls_in_all;
    }

    /// Sums them up.
    #[must_use]
    pub fn report(mut self, span: &Span) -> Report {
        self.nanos.sort_unstable();
        let percentile = |percent: usize| {
            let nanos = self.nanos.get(self.nanos.len() * percent / 100);
            nanos.map_or(0.0, |&nanos| f64::from(nanos) / 1000.0)
        };
        let seconds = span.end.duration_since(span.begin).as_secs_f64();
        Report {
            calls_per_second: self.nanos.len() as f64 / seconds,
            p50_micros: percentile(50),
            p99_micros: percentile(99),
            calls_in_all: self.calls_in_all,
            ..Report::default()
        }
    }
}

impl Report {
    /// So many calls in so much time, of which none was timed by itself.
    #[must_use]
    pub fn of_count(count: u64, time: Duration) -> Self {
        let calls_per_second = count as f64 / time.as_secs_f64();
        Self { calls_per_second, calls_in_all: count, ..Self::default() }
    }

    /// This cannot be done with this peer.
    #[must_use]
    pub fn unsupported() -> Self {
        Self { is_unsupported: true, ..Self::default() }
    }
}
