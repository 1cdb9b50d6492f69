//! Markdown out of runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::plan::{Group, Run, SCENARIOS, has_variants};

/// What ratios are to.
pub(crate) const FLOORS: [&str; 3] = ["raw", "raw-codec", "raw-pipelined"];

/// The median of some runs, and the least and the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// A figure of a run.
pub(crate) type Figure = fn(&Run) -> f64;

/// A table for each scenario, transport and number of threads.
pub(crate) fn tables(runs: &[Run]) -> String {
    let mut text =
        "Medians of all rounds (least–most); × is a ratio of calls/s in one round.\n".to_owned();
    for group in groups(runs) {
        let Group { scenario, transport, threads } = group;
        let _ = writeln!(text, "\n## {scenario}, {transport}, threads: {threads}\n");
        text.push_str(&table(runs, group));
    }
    text
}

/// One run, for whoever waits for the end.
pub(crate) fn line(run: &Run) -> String {
    let head = format!("{} {} {} {}", run.scenario, run.transport, run.threads, run.row);
    match &run.failure {
        Some(failure) => format!("{head}: failed, and is left out: {failure}"),
        None if run.report.is_unsupported => format!("{head}: cannot do that"),
        None => {
            let shown = figures(&run.scenario).iter();
            let shown = shown.map(|(name, figure)| format!("{name} {}", thousands(figure(run))));
            format!("{head}: {}", shown.collect::<Vec<_>>().join(", "))
        }
    }
}

/// What there are figures of, in the order of the scenarios.
fn groups(runs: &[Run]) -> Vec<Group<'_>> {
    let keys: BTreeSet<_> =
        runs.iter().map(|run| (&*run.transport, &*run.threads, &*run.scenario)).collect();
    let groups = keys.into_iter().map(|(transport, threads, scenario)| Group {
        scenario,
        transport,
        threads,
    });
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|group| SCENARIOS.split(',').position(|name| name == group.scenario));
    groups
}

fn table(runs: &[Run], group: Group<'_>) -> String {
    let figures = figures(group.scenario);
    let rows = rows(runs, group);
    let first = rows.first().copied().unwrap_or_default();
    let has_ratios = !matches!(group.scenario, "idle" | "bytes" | "mixed");
    let floors = if has_variants(group.scenario) { vec![first] } else { FLOORS.into() };
    let floors: Vec<_> =
        floors.into_iter().filter(|floor| has_ratios && rows.contains(floor)).collect();

    let mut text = "| ".to_owned();
    let mut columns = vec![group.scenario.to_owned()];
    columns.extend(figures.iter().map(|(name, _)| (*name).to_owned()));
    columns.extend(floors.iter().map(|floor| format!("× {floor}")));
    let _ = writeln!(text, "{} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let mut cells = vec![row.to_owned()];
        cells.extend(figures.iter().map(|(_, figure)| cell(spread(runs, group, row, *figure))));
        cells.extend(floors.iter().map(|floor| cell(ratio(runs, group, row, floor))));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// What a scenario shows.
fn figures(scenario: &str) -> &'static [(&'static str, Figure)] {
    match scenario {
        "idle" => &[("bytes of the server per connection", |run| run.bytes_per_connection)],
        "bytes" => &[
            ("bytes per request", |run| run.request_bytes),
            ("bytes per reply", |run| run.reply_bytes),
        ],
        "oneway" | "stream-up" | "stream-down" | "stream-both" => &[CALLS, SERVER],
        "mixed" => &[
            CALLS,
            ("p50 µs", |run| run.report.p50_micros),
            ("p99 µs", |run| run.report.p99_micros),
            ("p99 µs without slow ones", |run| run.report.p99_alone_micros),
            ("× that p99", |run| run.report.p99_micros / run.report.p99_alone_micros),
        ],
        _ => &[
            CALLS,
            ("p50 µs", |run| run.report.p50_micros),
            ("p99 µs", |run| run.report.p99_micros),
            SERVER,
        ],
    }
}

const CALLS: (&str, Figure) = ("calls/s", |run| run.report.calls_per_second);
const SERVER: (&str, Figure) = ("server's CPU µs per call", |run| run.server_micros_per_call);

/// The rows of a group, in the order in which they first came.
pub(crate) fn rows<'a>(runs: &'a [Run], group: Group<'_>) -> Vec<&'a str> {
    let mut rows: Vec<&str> = Vec::new();
    for run in runs.iter().filter(|run| run.is_of(group)) {
        if !rows.contains(&&*run.row) {
            rows.push(&run.row);
        }
    }
    rows
}

/// A figure of a row in all rounds.
pub(crate) fn spread(runs: &[Run], group: Group<'_>, row: &str, figure: Figure) -> Option<Spread> {
    let runs = runs.iter().filter(|run| run.is_of(group) && run.row == row);
    Spread::of(runs.map(figure).collect())
}

/// Calls per second in relation to another row of the same round.
pub(crate) fn ratio(runs: &[Run], group: Group<'_>, row: &str, floor: &str) -> Option<Spread> {
    let of = |row| runs.iter().filter(move |run| run.is_of(group) && run.row == row);
    let ratios = of(row).filter_map(|run| {
        let floor = of(floor).find(|floor| floor.round == run.round)?;
        Some(run.report.calls_per_second / floor.report.calls_per_second)
    });
    Spread::of(ratios.collect())
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (below, above) =
            (values.get((values.len().max(1) - 1) / 2)?, values.get(values.len() / 2)?);
        let median = f64::midpoint(*below, *above);
        Some(Self { median, least: *values.first()?, most: *values.last()? })
    }
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => "–".to_owned(),
        Some(Spread { median, least, most }) => {
            format!("{} ({}–{})", thousands(median), thousands(least), thousands(most))
        }
    }
}

/// A number with as many digits as are of use, and commas between thousands.
pub(crate) fn thousands(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |value, expected: &str| assert_eq!(thousands(value), expected);
        check(0.0, "0.00");
        check(9.876, "9.88");
        check(98.76, "98.8");
        check(987.6, "988");
        check(1234.5, "1,234");
        check(1_234_567.0, "1,234,567");
    }

    #[test]
    fn a_spread_has_a_median() {
        let check = |values: &[f64], expected: Option<(f64, f64, f64)>| {
            let spread = Spread::of(values.to_vec());
            assert_eq!(spread.map(|spread| (spread.median, spread.least, spread.most)), expected);
        };
        check(&[], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[5.0, 1.0, 2.0], Some((2.0, 1.0, 5.0)));
        check(&[4.0, 1.0, 2.0, 3.0], Some((2.5, 1.0, 4.0)));
    }
}
