//! How the benches compare a case with its floor.
//!
//! A case runs so many rounds of something and says how long that took. Criterion measures each
//! case by itself, one after the other. On a machine that others use too, that says little of one
//! case beside another, so the cases of a group then run once more in turn, round by round, and the
//! ratio to the floor *of the same round* is printed: its median and its quartiles.

use std::time::Duration;

use criterion::{Criterion, Throughput};

/// Something to measure: runs so many rounds of itself and says how long they took.
pub(crate) struct Case<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Measures the cases of a group. The first is ours, the others are its floors.
pub(crate) fn compare(
    criterion: &mut Criterion,
    name: &str,
    throughput: &Throughput,
    cases: &mut [Case<'_>],
) {
    if !are_ratios_alone() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(throughput.clone());
        for case in &mut *cases {
            group.bench_function(case.name, |bencher| bencher.iter_custom(&mut case.run));
        }
        group.finish();
    }
    if is_wanted(name) {
        print_ratios(name, cases);
    }
}

/// How much is measured for each case: little, since there are many.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

/// Runs the cases in turn and prints how each floor compares with our case in the same round.
fn print_ratios(name: &str, cases: &mut [Case<'_>]) {
    let iterations: Vec<_> = cases.iter_mut().map(|case| iterations(&mut case.run)).collect();
    let mut nanos = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((case, iterations), nanos) in cases.iter_mut().zip(&iterations).zip(&mut nanos) {
            nanos.push((case.run)(*iterations).as_secs_f64() * 1e9 / *iterations as f64);
        }
    }
    let ours = &nanos[0];
    println!("ratios {name:<20} {:<12} {:>9.0} ns", cases[0].name, sorted(ours)[ROUNDS / 2]);
    for (case, theirs) in cases.iter().zip(&nanos).skip(1) {
        let ratios: Vec<_> = theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
        let (nanos, ratios) = (sorted(theirs), sorted(&ratios));
        println!(
            "ratios {name:<20} {:<12} {:>9.0} ns, ours has {:.2} ({:.2} to {:.2}) of its speed",
            case.name,
            nanos[ROUNDS / 2],
            ratios[ROUNDS / 2],
            ratios[ROUNDS / 4],
            ratios[ROUNDS - 1 - ROUNDS / 4],
        );
    }
}

/// How many iterations make a round.
fn iterations(run: &mut dyn FnMut(u64) -> Duration) -> u64 {
    let mut iterations = 1;
    while run(iterations) < ROUND_TIME / 2 {
        iterations *= 2;
    }
    iterations
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Whether only the ratios are asked for.
fn are_ratios_alone() -> bool {
    std::env::var_os("RATIOS_ALONE").is_some()
}

/// Whether this is `cargo bench`, not `cargo test`, and the group is among those asked for.
fn is_wanted(name: &str) -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag| arguments.iter().any(|argument| argument == flag);
    let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let is_named = filters.peek().is_none() || filters.any(|filter| name.contains(filter));
    has("--bench") && !has("--test") && !has("--list") && is_named
}

/// Many and short, so that whatever else the machine does meets both sides of a ratio.
const ROUNDS: usize = 41;
const ROUND_TIME: Duration = Duration::from_millis(40);
