//! The vectors that Go made, the notation they are in, and Go itself where it is installed.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod oracle;

use std::collections::BTreeSet;
use std::fmt::Write;

use switchboard_gob::{Decoder, Limits, Progress, Result, Value};

/// A stream that Go wrote, and what Go reads from it.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    /// The names of Go's types for the values; the last one is for all further ones.
    pub(crate) types: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// In the notation of `tests/go/README.md`.
    pub(crate) values: Vec<&'static str>,
    /// With which message Go refuses what comes then.
    pub(crate) refusal: Option<&'static str>,
}

impl Vector {
    /// The part of the name before the slash.
    pub(crate) fn group(&self) -> &'static str {
        self.name.split('/').next().unwrap()
    }
}

pub(crate) fn vectors() -> Vec<Vector> {
    let lines = include_str!("../data/vectors.tsv").lines();
    lines.filter(|line| !line.starts_with('#')).map(vector).collect()
}

fn vector(line: &'static str) -> Vector {
    let mut columns = line.split('\t');
    let mut next = || columns.next().expect("a column");
    let (name, types, bytes) = (next(), next(), from_hex(next()));
    let mut values: Vec<_> = columns.collect();
    let refusal = values.last().and_then(|last| last.strip_prefix('!'));
    if refusal.is_some() {
        values.pop();
    }
    Vector { name, types, bytes, values, refusal }
}

pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What came of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading<T> {
    pub(crate) values: Vec<T>,
    pub(crate) end: End,
    /// Bytes up to the end of the last value.
    pub(crate) used_bytes: usize,
}

/// How a stream ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// Behind a value, or before the first one.
    Clean,
    /// In the middle of a value or a definition.
    Cut,
    /// With an error.
    Refused(String),
}

/// Deep enough for every vector; needs [`with_deep_stack`].
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.depth_max = 2_000;
    limits
}

/// Runs a test that goes in deeper than the stack of a test's thread allows.
pub(crate) fn with_deep_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Reads a whole stream, pushed in pieces of these sizes, up to the first error. `decode` gets the
/// decoder, and how many values there were before.
pub(crate) fn read<T>(
    bytes: &[u8],
    mut sizes: impl FnMut() -> usize,
    mut decode: impl FnMut(&mut Decoder, usize) -> Result<T>,
) -> Reading<T> {
    let mut decoder = Decoder::with_limits(limits());
    let mut reading = Reading { values: Vec::new(), end: End::Clean, used_bytes: 0 };
    let mut used = 0;
    while used < bytes.len() {
        let piece = &bytes[used..bytes.len().min(used.saturating_add(sizes()))];
        let pushed = decoder.push(piece).and_then(|progress| {
            if progress.is_complete {
                reading.values.push(decode(&mut decoder, reading.values.len())?);
            }
            Ok(progress)
        });
        match pushed {
            Ok(Progress { used_bytes, is_complete, .. }) => {
                assert!(is_complete || used_bytes == piece.len(), "what is not used is behind");
                used += used_bytes;
                if is_complete {
                    reading.used_bytes = used;
                }
            }
            Err(error) => {
                reading.end = End::Refused(error.to_string());
                return reading;
            }
        }
    }
    if !decoder.is_between_values() {
        reading.end = End::Cut;
    }
    reading
}

/// Literals, and behind `!` what ended them, if that is not the stream's end.
pub(crate) fn outcome(literals: impl Iterator<Item = String>, end: &End) -> Vec<String> {
    let end = match end {
        End::Clean => None,
        End::Cut => Some("!cut".to_owned()),
        End::Refused(text) => Some(format!("!{text}")),
    };
    literals.chain(end).collect()
}

/// Numbers that look random and are the same in each run.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to `end`, without the latter.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

/// The stream with one byte changed, for each of its bytes in several ways. Of a long one, for the
/// first 160 that chance picks.
pub(crate) fn mutations(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut random = Random::new(7);
    let places: Vec<_> = match bytes.len() {
        len @ ..=160 => (0..len).collect(),
        len => (0..160).map(|_| random.below(len)).collect(),
    };
    let mut all = Vec::new();
    for place in places.into_iter().step_by(one_in()) {
        let old = bytes[place];
        let any = u8::try_from(random.below(256)).unwrap();
        let (more, less) = (old.wrapping_add(1), old.wrapping_sub(1));
        let fresh = BTreeSet::from([more, less, old ^ 0x80, old ^ 1, 0, 0xff, any]);
        for byte in fresh.into_iter().filter(|byte| *byte != old) {
            let mut changed = bytes.to_vec();
            changed[place] = byte;
            all.push(changed);
        }
    }
    all
}

/// All streams that differ in one byte.
pub(crate) fn all_mutations(bytes: &[u8]) -> Vec<Vec<u8>> {
    let change = |(place, byte): (usize, u8)| {
        let mut changed = bytes.to_vec();
        changed[place] ^= byte;
        changed
    };
    let places = (0..bytes.len()).flat_map(|place| (1..=255).map(move |byte| (place, byte)));
    places.step_by(one_in()).map(change).collect()
}

/// One in so many changes is tried every day. All are where `SWITCHBOARD_SCALE` is 4 or more.
fn one_in() -> usize {
    let scale = std::env::var("SWITCHBOARD_SCALE").ok().and_then(|scale| scale.parse().ok());
    4_usize.checked_div(scale.unwrap_or(1)).unwrap_or(1).max(1)
}

/// The stream with a part of one of its definitions taken out, or another number in the place of a
/// byte; the lengths of the messages are right.
pub(crate) fn other_definitions(bytes: &[u8]) -> Vec<Vec<u8>> {
    const NUMBERS: [&[u8]; 8] = [
        &[],
        &[0],
        &[1, 0],
        &[0xff, 0x82],
        // Around 2^31, doubled as signed numbers are.
        &[0xfc, 0xff, 0xff, 0xff, 0xfe],
        &[0xfb, 0x01, 0, 0, 0, 0],
        &[0xfc, 0xff, 0xff, 0xff, 0xff],
        &[0xfb, 0x01, 0, 0, 0, 1],
    ];
    let messages = messages(bytes);
    let mut all = Vec::new();
    for (at, message) in messages.iter().enumerate().filter(|(_, message)| is_definition(message)) {
        for place in 0..message.len() {
            for (taken, number) in NUMBERS.iter().flat_map(|n| [(1, n), (2, n), (3, n)]) {
                let rest = &message[message.len().min(place + taken)..];
                let changed = [&message[..place], number, rest].concat();
                let mut stream: Vec<_> = messages.iter().map(|message| message.to_vec()).collect();
                stream[at] = changed;
                all.push(stream.iter().flat_map(|message| with_length(message)).collect());
            }
        }
    }
    all
}

/// The messages of a stream whose lengths are of one or two bytes.
fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (len, rest) = match first {
            0xff => (rest[0], &rest[1..]),
            len => (*len, rest),
        };
        let (message, behind) = rest.split_at(len.into());
        messages.push(message);
        bytes = behind;
    }
    messages
}

/// Whether it begins with a negative number.
fn is_definition(message: &[u8]) -> bool {
    let number = if message[0] < 0x80 { message[0] } else { message[usize::from(!message[0]) + 1] };
    number % 2 == 1
}

fn with_length(message: &[u8]) -> Vec<u8> {
    let len = u8::try_from(message.len()).unwrap();
    [if len < 0x80 { &[][..] } else { &[0xff] }, &[len], message].concat()
}

/// The value without what Go's literals leave out: zeros in fields, and entries of a map whose key
/// came once more.
pub(crate) fn as_go_shows(value: Value) -> Value {
    let inside = |values: Vec<Value>| values.into_iter().map(as_go_shows).collect();
    match value {
        Value::Array(elements) => Value::Array(inside(elements)),
        Value::Slice(elements) => Value::Slice(inside(elements)),
        Value::Map(entries) => {
            let mut last: Vec<(Value, Value)> = Vec::new();
            for (key, value) in entries {
                let entry = (as_go_shows(key), as_go_shows(value));
                match last.iter_mut().find(|(key, _)| *key == entry.0) {
                    Some(before) => *before = entry,
                    None => last.push(entry),
                }
            }
            Value::Map(last)
        }
        Value::Struct(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, as_go_shows(value)));
            Value::Struct(fields.filter(|(_, value)| !is_zero(value)).collect())
        }
        Value::Interface(mut interface) => {
            interface.value = as_go_shows(interface.value);
            Value::Interface(interface)
        }
        other => other,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Float(value) => *value == 0.0,
        Value::Complex(value) => (value.re, value.im) == (0.0, 0.0),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Slice(elements) => elements.is_empty(),
        _ => false,
    }
}

/// A value in the notation of `tests/go/README.md`.
pub(crate) fn literal(value: &Value) -> String {
    let joined = |values: &[Value]| values.iter().map(literal).collect::<Vec<_>>().join(" ");
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Float(value) => format!("f:{}", float(*value)),
        Value::Complex(value) => format!("c:{},{}", float(value.re), float(value.im)),
        Value::Bytes(bytes) => format!("x:{}", to_hex(bytes)),
        Value::String(text) => quoted(text),
        Value::Array(elements) => format!("[{}|{}]", elements.len(), joined(elements)),
        Value::Slice(elements) => format!("[{}]", joined(elements)),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|(key, value)| (literal(key), literal(value))).collect();
            entries.sort();
            let entries: Vec<_> =
                entries.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{{{}}}", entries.join(" "))
        }
        Value::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}={}", literal(value))).collect();
            format!("({})", fields.join(" "))
        }
        Value::Opaque(bytes) => format!("o:{}", to_hex(bytes)),
        Value::Interface(interface) => {
            format!("<{}>{}", interface.name, literal(&interface.value))
        }
        other => panic!("a new kind of value: {other:?}"),
    }
}

fn float(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{:016x}", value.to_bits()) }
}

fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            0x20..=0x7e => quoted.push(char::from(byte)),
            _ => write!(quoted, "\\x{byte:02x}").unwrap(),
        }
    }
    quoted + "\""
}
