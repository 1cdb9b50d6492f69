//! The feature `metrics`: a page that Prometheus itself takes, and recorders that are not there, or
//! two.

#![cfg(all(feature = "metrics", feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test that goes wrong may panic"
)]

use std::io::{ErrorKind, Write};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use metrics::{set_global_recorder, with_local_recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use switchboard::format::Line;
use switchboard::service::{Request, Service};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Latency, Limits, Result};
use switchboard_testing::random::Random;
use switchboard_testing::waiting::settle;

const ECHO: Command<String, String, Line> = Command::new("ECHO");
const FAIL: Command<String, String, Line> = Command::new("FAIL");
const SLOW: Command<u64, u64> = Command::new("SLOW");

fn endpoint() -> Endpoint {
    Endpoint::new()
        .with_limits(Limits::default().with(|limits| limits.consecutive_errors_max = u32::MAX))
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
        .on(FAIL, async |_: String| -> Result<String> { Err(Error::new(Code::Conflict, "no")) })
        .on(SLOW, async |millis: u64| {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, Error>(millis)
        })
        .on_raw("RAW", async |_: &mut Connection| Ok::<_, Error>(()))
}

fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let bounds = Latency::BOUNDS.map(|bound| bound.as_secs_f64());
    let seconds = Matcher::Full("switchboard_call_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &bounds).unwrap();
    let recorder = builder.build_recorder();
    let page = recorder.handle();
    (recorder, page)
}

fn client(endpoint: &Endpoint) -> Client {
    let (here, there) = switchboard::transport::memory();
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    Endpoint::new().connect_over(here)
}

/// What is counted, told to a recorder: its page.
fn published(
    endpoint: &Endpoint,
    recorder: &PrometheusRecorder,
    page: &PrometheusHandle,
) -> String {
    with_local_recorder(recorder, || endpoint.publish_metrics());
    page.render()
}

/// The value of a series.
#[track_caller]
fn value<'a>(page: &'a str, series: &str) -> &'a str {
    let mut lines = page.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    lines.next().unwrap_or_else(|| panic!("{series} is not in\n{page}"))
}

fn series(page: &str) -> usize {
    page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
}

#[tokio::test(start_paused = true)]
async fn a_page_has_what_was_counted() {
    let (endpoint, (recorder, page)) = (endpoint(), recorder());
    let client = client(&endpoint);
    client.call(ECHO, &"hello".to_owned()).await.unwrap();
    client.call(FAIL, &"hello".to_owned()).await.unwrap_err();
    client.call(SLOW, &30).await.unwrap();
    client.call_json("?DESCRIBE", &"ECHO".into()).await.unwrap();
    let page_of = |endpoint: &Endpoint| published(endpoint, &recorder, &page);
    for round in 0..3 {
        let text = page_of(&endpoint);
        for (series, expected) in [
            ("switchboard_calls_total{command=\"ECHO\",code=\"ok\"}", "1"),
            ("switchboard_calls_total{command=\"ECHO\",code=\"unknown_command\"}", ""),
            ("switchboard_calls_total{command=\"FAIL\",code=\"conflict\"}", "1"),
            ("switchboard_calls_total{command=\"RAW\",code=\"ok\"}", "0"),
            ("switchboard_calls_in_flight{command=\"SLOW\"}", "0"),
            ("switchboard_payload_received_bytes_total{command=\"ECHO\"}", "5"),
            ("switchboard_call_seconds_count{command=\"SLOW\"}", "1"),
            ("switchboard_call_seconds_bucket{command=\"SLOW\",le=\"0.025\"}", "0"),
            ("switchboard_call_seconds_bucket{command=\"SLOW\",le=\"0.05\"}", "1"),
            ("switchboard_call_seconds_bucket{command=\"ECHO\",le=\"0.00001\"}", "1"),
            ("switchboard_call_seconds_count{command=\"?\"}", "1"),
            ("switchboard_calls_total{command=\"?\",code=\"ok\"}", "1"),
            ("switchboard_connections_open", "0"),
            ("switchboard_calls_refused_total{code=\"unknown_command\"}", "0"),
        ] {
            if expected.is_empty() {
                assert!(!text.contains(series), "{series}");
            } else {
                assert_eq!(value(&text, series), expected, "{series} in round {round}");
            }
        }
        let total: f64 =
            value(&text, "switchboard_call_seconds_sum{command=\"SLOW\"}").parse().unwrap();
        assert!((0.03..0.032).contains(&total), "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_names_make_no_series() {
    let (endpoint, (recorder, page)) = (endpoint(), recorder());
    let door = endpoint.door();
    let mut random = Random::new(1);
    let before = series(&published(&endpoint, &recorder, &page));
    for _ in 0..10_000 {
        let request = Request::new(&format!("N{:x}", random.draw()), "").unwrap();
        let error = door.call(request).await.unwrap_err();
        assert_eq!(error.code(), Code::UnknownCommand);
    }
    let text = published(&endpoint, &recorder, &page);
    let refused = "switchboard_calls_refused_total{code=\"unknown_command\"}";
    assert_eq!((series(&text), value(&text, refused)), (before, "10000"));
}

/// What was told of a name does not stay as it was while its calls end.
#[tokio::test(start_paused = true)]
async fn a_name_that_was_removed_is_told_to_its_end() {
    let (endpoint, (recorder, page)) = (endpoint(), recorder());
    let client = client(&endpoint);
    let call = tokio::spawn(client.call(SLOW, &30).into_future());
    settle().await;
    let in_flight = "switchboard_calls_in_flight{command=\"SLOW\"}";
    assert_eq!(value(&published(&endpoint, &recorder, &page), in_flight), "1");
    assert!(endpoint.remove("SLOW"));
    call.await.unwrap().unwrap();
    // One that was never told does not come to be a series.
    assert!(endpoint.remove("ECHO"));
    endpoint.add(ECHO.under("briefly."), async |text: String| Ok::<_, Error>(text)).unwrap();
    assert!(endpoint.remove("briefly.ECHO"));
    for _ in 0..2 {
        let text = published(&endpoint, &recorder, &page);
        assert_eq!(value(&text, in_flight), "0");
        for ended in [
            "switchboard_calls_total{command=\"SLOW\",code=\"ok\"}",
            "switchboard_call_seconds_count{command=\"SLOW\"}",
        ] {
            assert_eq!(value(&text, ended), "1");
        }
        assert!(!text.contains("briefly"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_tell_themselves_apart() {
    let (recorder, page) = recorder();
    let (one, two) = (endpoint(), endpoint());
    client(&one).call(ECHO, &"a".to_owned()).await.unwrap();
    with_local_recorder(&recorder, || {
        one.publish_metrics_as("one");
        two.publish_metrics_as("two");
    });
    for (name, expected) in [("one", "1"), ("two", "0")] {
        let series =
            format!("switchboard_calls_total{{endpoint=\"{name}\",command=\"ECHO\",code=\"ok\"}}");
        assert_eq!(value(&page.render(), &series), expected);
    }
}

/// The only test that installs one for the whole process.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_missing_or_there_twice_does_no_harm() {
    let endpoint = endpoint();
    let client = client(&endpoint);
    client.call(ECHO, &"a".to_owned()).await.unwrap();
    // Nobody listens.
    endpoint.publish_metrics();
    let (first, page) = recorder();
    set_global_recorder(first).unwrap();
    assert!(set_global_recorder(recorder().0).is_err(), "the first one stays");
    client.call(ECHO, &"a".to_owned()).await.unwrap();
    endpoint.publish_metrics();
    endpoint.publish_metrics();
    let ok = "switchboard_calls_total{command=\"ECHO\",code=\"ok\"}";
    assert_eq!(value(&page.render(), ok), "2", "what came before counts too");
    // Another that listens for a while.
    let (other, other_page) = recorder();
    assert_eq!(value(&published(&endpoint, &other, &other_page), ok), "2");
    settle().await;
    assert_eq!(endpoint.stats().calls.answered, 2);
}

/// Prometheus' own tool finds nothing wrong with a page: names, units, help, types.
#[tokio::test(start_paused = true)]
async fn promtool_accepts_a_page() {
    let (endpoint, (recorder, page)) = (endpoint(), recorder());
    let client = client(&endpoint);
    client.call(ECHO, &"a".to_owned()).await.unwrap();
    client.call(FAIL, &"a".to_owned()).await.unwrap_err();
    endpoint.door().call(Request::new("NOBODY", "").unwrap()).await.unwrap_err();
    let text = published(&endpoint, &recorder, &page);
    let promtool = Program::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!is_ci, "promtool is missing: apt-get install prometheus");
            eprintln!("skipped: promtool is missing (apt-get install prometheus)");
            return;
        }
        promtool => promtool.unwrap(),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}
