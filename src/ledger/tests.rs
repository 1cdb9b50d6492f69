//! The ledger by itself: buckets, one end for each call, and sums that lose nothing.

use std::time::Duration;

use super::*;
use crate::clock::now;

fn name(number: usize) -> Name {
    Name::parse(format!("N{number}").as_bytes()).unwrap()
}

fn opening() -> Opening {
    Opening { came: now(), payload_bytes: 3, is_one_way: false, is_streamed: true }
}

/// Each time is in the first bucket whose bound it does not pass.
#[test]
fn times_fall_into_their_buckets() {
    for (nanos, bucket) in [
        (0, 0),
        (1, 0),
        (10_000, 0),
        (10_001, 1),
        (25_000, 1),
        (1_000_000, 6),
        (1_000_001, 7),
        (10_000_000_000, 18),
        (10_000_000_001, 19),
        (u64::MAX, 19),
    ] {
        let figures = Figures::default();
        figures.end(Duration::from_nanos(nanos), Ok(0));
        let latency = figures.stats().latency;
        let found = latency.buckets.iter().position(|count| *count == 1);
        assert_eq!((found, latency.calls()), (Some(bucket), 1), "{nanos}");
        assert_eq!(latency.total, Duration::from_nanos(nanos));
    }
    assert!(Latency::BOUNDS.is_sorted());
}

#[test]
fn quantiles_are_bounds_of_buckets() {
    let micros = Duration::from_micros;
    let latency = |counts: &[(u64, u64)]| {
        let figures = Figures::default();
        for (calls, micros) in counts {
            (0..*calls).for_each(|_| figures.end(Duration::from_micros(*micros), Ok(0)));
        }
        figures.stats().latency
    };
    let mixed = latency(&[(90, 20), (9, 40), (1, 20_000_000)]);
    for (latency, part, expected) in [
        (&mixed, 0.0, Some(micros(25))),
        (&mixed, 0.5, Some(micros(25))),
        (&mixed, 0.9, Some(micros(25))),
        (&mixed, 0.91, Some(micros(50))),
        (&mixed, 0.99, Some(micros(50))),
        (&mixed, 0.999, Some(Duration::MAX)),
        (&mixed, 7.0, Some(Duration::MAX)),
        (&latency(&[]), 0.5, None),
        (&Latency::default(), 0.5, None),
    ] {
        assert_eq!(latency.quantile(part), expected, "{part}");
    }
    assert_eq!(latency(&[(1, 10), (1, 30)]).mean(), Some(micros(20)));
}

#[test]
fn a_call_ends_once() {
    let figures = Arc::<Figures>::default();
    let mut tab = Tab::begin(Arc::clone(&figures), &opening());
    assert_eq!(figures.stats().in_flight, 1);
    tab.end(Ok(5));
    tab.end(Err(Code::Failed));
    drop(tab);
    drop(Tab::begin(Arc::clone(&figures), &opening()));
    figures.refuse(&opening(), Code::Overloaded);
    let stats = figures.stats();
    assert_eq!((stats.begun, stats.answered, stats.in_flight), (3, 1, 0));
    assert_eq!(stats.errors, [(Code::Cancelled, 1), (Code::Overloaded, 1)].into());
    assert_eq!((stats.payload_bytes_in, stats.payload_bytes_out, stats.streams), (9, 5, 3));
    assert_eq!(stats.latency.calls(), 2, "one did not run");
}

/// Of names that went, a bounded number is kept, and all of what they counted.
#[test]
fn what_is_forgotten_is_in_the_sum() {
    let ledger = Ledger::default();
    let under_way = ledger.open(&name(0));
    let mut tab = Tab::begin(Arc::clone(&under_way), &opening());
    ledger.close(name(0), under_way);
    for number in 1..3 * FORMER_MAX {
        let figures = ledger.open(&name(number));
        Tab::begin(Arc::clone(&figures), &opening()).end(Ok(1));
        ledger.close(name(number), figures);
        assert!(ledger.former().by_name.len() <= FORMER_MAX);
    }
    let calls = ledger.stats(ledger.list(Vec::new()), (0, 0)).calls;
    let all = as_u64(3 * FORMER_MAX);
    assert_eq!((calls.begun, calls.answered, calls.in_flight), (all, all - 1, 1));
    // It is not forgotten while a call adds to it.
    tab.end(Ok(1));
    assert_eq!(ledger.open(&name(0)).stats().answered, 1);
    let calls = ledger.stats(ledger.list(Vec::new()), (0, 0)).calls;
    assert_eq!(calls.begun, all - 1, "it is given out");
}

/// Whatever happens behind the list, each figure is in it once.
#[test]
fn what_was_listed_is_counted_once() {
    let ledger = Ledger::default();
    let figures = ledger.open(&name(1));
    Tab::begin(Arc::clone(&figures), &opening()).end(Ok(1));
    let listed = ledger.list(vec![(name(1), Arc::clone(&figures))]);
    ledger.close(name(1), figures);
    assert_eq!(ledger.stats(listed, (0, 0)).calls.begun, 1);
    let listed = ledger.list(Vec::new());
    ledger.open(&name(1));
    assert_eq!(ledger.stats(listed, (0, 0)).calls.begun, 1);
}
