//! The plot: bars of medians in relation to raw tokio, a panel for each scenario.

use std::fmt::Write;

use crate::plan::{Group, Run};
use crate::tables::{Spread, ratio, rows};

/// Scenarios with the titles of their panels.
const PANELS: [(&str, &str); 6] = [
    ("echo1", "One call in flight"),
    ("echo64", "64 in flight on one connection, a task for each"),
    ("echo64-joined", "64 in flight on one connection, from one task"),
    ("echo32x8", "32 connections, 8 in flight each"),
    ("small64", "64 in flight, 8 bytes"),
    ("mib", "1 MiB echoed as a value"),
];

/// An SVG image, readable on light and on dark pages.
pub(crate) fn svg(runs: &[Run]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for (scenario, title) in PANELS {
        let group = Group { scenario, transport: "tcp", threads: "many" };
        let bars: Vec<_> = rows(runs, group)
            .into_iter()
            .filter(|row| *row != "raw-pipelined")
            .filter_map(|row| Some((row, ratio(runs, group, row, "raw")?)))
            .collect();
        if !bars.is_empty() {
            body.push_str(&text(MARGIN, y, "font-weight=\"bold\"", title));
            y = panel(&mut body, &bars, y + LINE);
        }
    }
    body.push_str(&text(MARGIN, y, "font-size=\"11\"", NOTE));
    let height = y + LINE + MARGIN;
    let size = format!(r#"width="{WIDTH}" height="{height}""#);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {size}>
<rect {size} fill="#fff"/>
<g font-family="sans-serif" font-size="13" fill="#222">
{body}</g>
</svg>
"##
    )
}

/// Draws bars from `y` on; where they end.
fn panel(body: &mut String, bars: &[(&str, Spread)], mut y: usize) -> usize {
    let most = bars.iter().map(|(_, spread)| spread.most).fold(1.0, f64::max);
    let width = |ratio: f64| (ratio / most * BARS as f64).round() as usize;
    for (row, Spread { median, least, most }) in bars {
        let color = match *row {
            "switchboard" => "#c2410c",
            floor if floor.starts_with("raw") => "#94a3b8",
            _ => "#3b82b6",
        };
        let (begin, end) = (BEGIN + width(*least), BEGIN + width(*most));
        let (top, middle, length) = (y + 2, y + 9, width(*median));
        body.push_str(&text(BEGIN - 8, y, "text-anchor=\"end\"", row));
        let _ = writeln!(
            body,
            r#"<rect x="{BEGIN}" y="{top}" width="{length}" height="14" fill="{color}"/>"#
        );
        let _ = writeln!(body, r##"<path d="M{begin} {middle}H{end}" stroke="#222"/>"##);
        body.push_str(&text(end + 6, y, "", &format!("{median:.2}")));
        y += LINE;
    }
    y + LINE / 2
}

/// Words on the line that begins at `y`.
fn text(x: usize, y: usize, style: &str, words: &str) -> String {
    let base = y + 13;
    format!("<text x=\"{x}\" y=\"{base}\" {style}>{words}</text>\n")
}

const NOTE: &str = "Calls per second in relation to raw tokio in the same round: \
                    median, least and most. Longer is better.";
const WIDTH: usize = 720;
const MARGIN: usize = 16;
const LINE: usize = 20;
/// Where bars begin, and how long they are at most.
const BEGIN: usize = 130;
const BARS: usize = 520;
