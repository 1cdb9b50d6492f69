//! Limits that can't work are refused by name where they are set; the least that works is taken.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::BytesMut;
#[cfg(all(feature = "bincode", feature = "json"))]
use switchboard::format::{self, Budget, Format};
use switchboard::wire::{CodeWord, FormatWord, Line, Metadata, Name, Options, Part, Traceparent};
use switchboard::{Code, Limits};
#[cfg(feature = "json")]
use switchboard_testing::random::{Random, rounds};

type Set = fn(&mut Limits, u64);

/// Each field, how it is set (times in ns), and the least value that works.
const FIELDS: [(&str, Set, u64); 29] = [
    ("line_bytes_max", |limits, value| limits.line_bytes_max = count(value), 8192),
    ("payload_bytes_max", |limits, value| limits.payload_bytes_max = count(value), 0),
    ("depth_max", |limits, value| limits.depth_max = count(value).min(Limits::DEPTH_MOST), 0),
    ("spare_elements_max", |limits, value| limits.spare_elements_max = count(value), 0),
    ("definition_bytes_max", |limits, value| limits.definition_bytes_max = count(value), 0),
    (
        "net_rpc_definition_bytes_max",
        |limits, value| limits.net_rpc_definition_bytes_max = count(value),
        0,
    ),
    ("decode_bytes_max", |limits, value| limits.decode_bytes_max = count(value), 1024),
    ("calls_per_connection_max", |limits, value| limits.calls_per_connection_max = count(value), 1),
    ("one_way_bytes_max", |limits, value| limits.one_way_bytes_max = count(value), 0),
    (
        "streams_per_connection_max",
        |limits, value| limits.streams_per_connection_max = count(value),
        1,
    ),
    ("item_bytes_max", |limits, value| limits.item_bytes_max = count(value), 0),
    (
        "consecutive_errors_max",
        |limits, value| limits.consecutive_errors_max = u32::try_from(value).unwrap_or(u32::MAX),
        0,
    ),
    ("unwritten_bytes_max", |limits, value| limits.unwritten_bytes_max = count(value), 1),
    ("calls_max", |limits, value| limits.calls_max = count(value), 1),
    ("streams_max", |limits, value| limits.streams_max = count(value), 1),
    ("blocking_calls_max", |limits, value| limits.blocking_calls_max = count(value), 0),
    ("held_bytes_max", |limits, value| limits.held_bytes_max = count(value), 0),
    ("connections_max", |limits, value| limits.connections_max = count(value), 1),
    ("connections_per_peer_max", |limits, value| limits.connections_per_peer_max = count(value), 1),
    ("handshake_time_max", |limits, value| limits.handshake_time_max = time(value), 1_000_000),
    ("line_time_max", |limits, value| limits.line_time_max = time(value), 1_000_000),
    ("body_time_max", |limits, value| limits.body_time_max = time(value), 1_000_000),
    ("idle_time_max", |limits, value| limits.idle_time_max = time(value), 1_000_000),
    ("write_time_max", |limits, value| limits.write_time_max = time(value), 1_000_000),
    ("call_time_max", |limits, value| limits.call_time_max = time(value), 1_000_000),
    ("stall_time_max", |limits, value| limits.stall_time_max = time(value), 1_000_000),
    ("drain_time_max", |limits, value| limits.drain_time_max = time(value), 0),
    ("linger_time_max", |limits, value| limits.linger_time_max = time(value), 0),
    ("linger_bytes_max", |limits, value| limits.linger_bytes_max = count(value), 0),
];

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn time(value: u64) -> Duration {
    if value == u64::MAX { Duration::MAX } else { Duration::from_nanos(value) }
}

#[test]
fn every_limit_is_in_the_table() {
    let fields = include_str!("../src/limits.rs").lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("    pub ")?.split_once(':')?;
        name.ends_with("_max").then_some(name)
    });
    let fields: BTreeSet<_> = fields.collect();
    assert_eq!(FIELDS.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>(), fields);
}

#[test]
fn limits_that_cannot_work_are_refused_by_name() {
    for (name, set, least) in FIELDS {
        let with = |value| Limits::default().with(|limits| set(limits, value));
        for works in [least, least + 1, u64::MAX] {
            assert_eq!(with(works).check().map_err(|error| error.to_string()), Ok(()), "{name}");
        }
        if let Some(below) = least.checked_sub(1) {
            check_refused(name, &with(below));
            check_refused(name, &with(0));
        }
    }
    Limits::default().check().unwrap();
}

#[test]
fn a_depth_that_does_not_hold_on_drop_is_refused() {
    let limits = Limits::default().with(|limits| limits.depth_max = Limits::DEPTH_MOST + 1);
    check_refused("depth_max", &limits);
    let text = "depth_max (1025) can't work: it is above 1024";
    assert_eq!(limits.check().unwrap_err().text(), text);
}

/// Each field alone, and at the ends of what works.
#[cfg(all(feature = "bincode", feature = "json"))]
#[test]
fn limits_are_read_as_they_were_written() {
    for (name, set, least) in FIELDS {
        for value in [least, least + 1, 1_234_567_891, u64::MAX] {
            let limits = Limits::default().with(|limits| set(limits, value));
            let text = serde_json::to_string(&limits).unwrap();
            assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits, "{text}");
            let written: serde_json::Value = serde_json::from_str(&text).unwrap();
            let alone = serde_json::json!({ name: written[name] }).to_string();
            assert_eq!(serde_json::from_str::<Limits>(&alone).unwrap(), limits, "{alone}");
            check_format::<format::Bincode>(&limits);
            check_format::<format::Json>(&limits);
            #[cfg(feature = "postcard")]
            check_format::<format::Postcard>(&limits);
        }
    }
    assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());

    fn check_format<F: Format<Limits>>(limits: &Limits) {
        let (mut payload, bounds) = (BytesMut::new(), Limits::default());
        F::encode(limits, &bounds, &mut payload).unwrap();
        let budget = Budget::new(&bounds, payload.len());
        assert_eq!(&F::decode(payload.freeze(), &budget).unwrap(), limits, "{}", F::NAME);
    }
}

#[cfg(feature = "json")]
#[test]
fn times_are_seconds_to_the_nanosecond() {
    let check = |text: &str, nanos: u64| {
        let text = format!("{{\"drain_time_max\": {text}}}");
        let limits: Limits = serde_json::from_str(&text).unwrap();
        assert_eq!(limits.drain_time_max, Duration::from_nanos(nanos), "{text}");
    };
    check("0", 0);
    check("0.25", 250_000_000);
    check("3", 3_000_000_000);
    check("1e3", 1_000_000_000_000);
    check("0.000000001", 1);
    check("8388607.999999999", 8_388_607_999_999_999);
    let mut random = Random::new(1);
    for _ in 0..rounds(1000) {
        // Below 2^23 s.
        let nanos = random.draw() % 8_388_608_000_000_000;
        let limits = Limits::default().with(|limits| limits.drain_time_max = time(nanos));
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits, "{text}");
    }
}

#[cfg(feature = "json")]
#[test]
fn limits_in_a_file_that_cannot_be_meant_are_refused_by_name() {
    let check = |text: &str, expected: &str| {
        let told = serde_json::from_str::<Limits>(text).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{text}: {told}");
    };
    for (name, set, least) in FIELDS {
        let Some(below) = least.checked_sub(1) else { continue };
        let limits = Limits::default().with(|limits| set(limits, below));
        let text = serde_json::to_string(&limits).unwrap();
        check(&text, limits.check().unwrap_err().text());
        check(&text, &format!("{name} ("));
    }
    check(r#"{"depth_max": 1025}"#, "depth_max (1025) can't work: it is above 1024");
    check(
        r#"{"payload_bytes": 1}"#,
        "unknown field `payload_bytes`, expected one of `line_bytes_max`",
    );
    check(r#"{"calls_max": 1, "calls_max": 1}"#, "duplicate field `calls_max`");
    let count = format!("expected calls_max, a whole number from 0 to {}", usize::MAX);
    for (value, told) in [
        ("-1", "invalid value: integer `-1`"),
        ("1.5", "invalid value: floating point `1.5`"),
        ("\"1\"", "invalid type: string \"1\""),
        ("null", "invalid type: null"),
    ] {
        check(&format!("{{\"calls_max\": {value}}}"), &format!("{told}, {count}"));
    }
    check(
        r#"{"consecutive_errors_max": 4294967296}"#,
        "invalid value: integer `4294967296`, expected consecutive_errors_max, a whole number from \
         0 to 4294967295",
    );
    let time = "expected line_time_max, a number of seconds from 0 on";
    for (value, told) in [
        ("-1", "invalid value: integer `-1`"),
        ("-0.5", "invalid value: floating point `-0.5`"),
        ("\"10s\"", "invalid type: string \"10s\""),
    ] {
        check(&format!("{{\"line_time_max\": {value}}}"), &format!("{told}, {time}"));
    }
    check(r#"{"line_time_max": 1e20}"#, "invalid value: floating point `1e");
    check("[8192]", "invalid length 1, expected all limits, in their order");
    check("7", "invalid type: integer `7`, expected the limits that differ, by name");
}

#[track_caller]
fn check_refused(name: &str, limits: &Limits) {
    let error = limits.check().unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    assert!(error.text().starts_with(&format!("{name} (")), "{name}: {error}");
    #[cfg(feature = "io")]
    for text in [
        panic_of(|| drop(switchboard::Endpoint::new().with_limits(limits.clone()))),
        panic_of(|| {
            let (stream, _) = switchboard::transport::memory();
            drop(switchboard::Connection::connect_over(stream).with_limits(limits.clone()));
        }),
    ] {
        assert_eq!(text.as_deref(), Some(error.text()), "{name}");
    }
}

/// What is said when the program makes a mistake; nothing if it makes none.
#[cfg(feature = "io")]
fn panic_of(set: impl FnOnce()) -> Option<String> {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(set)).err()?;
    panic.downcast::<String>().ok().map(|text| *text)
}

/// Where zero is taken, it means that there is none of it, and everything else works.
#[cfg(all(feature = "bincode", feature = "json"))]
#[test]
fn a_text_needs_no_depth_no_spare_elements_and_little_memory() {
    fn check<F: Format<String>>(limits: &Limits) {
        let mut payload = BytesMut::new();
        F::encode(&"text".to_owned(), limits, &mut payload).unwrap();
        let budget = Budget::new(limits, payload.len());
        assert_eq!(F::decode(payload.freeze(), &budget).unwrap(), "text", "{}", F::NAME);
    }
    let limits = Limits::default().with(|limits| {
        limits.depth_max = 0;
        limits.spare_elements_max = 0;
        limits.definition_bytes_max = 0;
        limits.decode_bytes_max = 1024;
        limits.held_bytes_max = 0;
    });
    limits.check().unwrap();
    check::<format::Bincode>(&limits);
    check::<format::Json>(&limits);
    check::<format::Line>(&limits);
    #[cfg(feature = "postcard")]
    check::<format::Postcard>(&limits);
    #[cfg(feature = "gob")]
    check::<format::Gob>(&limits);
}

#[test]
fn what_every_peer_may_say_fits_in_the_least_line() {
    let mut metadata = Metadata::default();
    for number in 0..Metadata::KEYS_MAX {
        let key = format!("x-{}", (b'a' + u8::try_from(number).unwrap()) as char);
        metadata = metadata.with(&key, &"v".repeat(Metadata::BYTES_MAX / 16 - 3)).unwrap();
    }
    metadata.clone().with("x-", "").unwrap_err();
    let format = FormatWord::parse(&[b'f'; FormatWord::BYTES_MAX]).ok();
    let options = Options::new(format, Some(u64::MAX));
    let longest = format!("cc-{}1-{}1-01-", "0".repeat(31), "0".repeat(15));
    let longest = format!("{longest:x<0$}", Traceparent::BYTES_MAX);
    let options = options.with_trace(&longest.parse().unwrap());
    let word = CodeWord::parse(&[b'c'; CodeWord::BYTES_MAX]).unwrap();
    let error = Options::of_error(u64::MAX, Some(Duration::from_millis(u64::MAX)), true);
    let lines = [
        Line::Reply(u32::MAX, Part::Err(u64::MAX, word), error.with_metadata(&metadata)),
        Line::Call {
            name: Name::parse("N".repeat(Name::BYTES_MAX).as_bytes()).unwrap(),
            tag: u32::MAX,
            len: u64::MAX,
            options: options.with_metadata(&metadata),
        },
    ];
    let bytes = lines.iter().map(|line| {
        let mut out = BytesMut::new();
        line.encode(&mut out);
        // CR before LF.
        out.len() + 1
    });
    let least = Limits::default().with(|limits| limits.line_bytes_max = bytes.max().unwrap());
    assert!(least.check().is_err(), "shorter than the least that can be set");
}
