//! The vectors that Go made, the notation they are in, and Go itself where it is installed.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fmt::Write;

use switchboard_gob::Value;

/// A stream that Go wrote, and what Go reads from it.
#[derive(Debug)]
pub struct Vector {
    pub name: &'static str,
    /// The names of Go's types for the values; the last one is for all further ones.
    pub types: &'static str,
    pub bytes: Vec<u8>,
    /// In the notation of `tests/go/README.md`.
    pub values: Vec<&'static str>,
    /// With which message Go refuses what comes then.
    pub refusal: Option<&'static str>,
}

impl Vector {
    /// The part of the name before the slash.
    pub fn group(&self) -> &'static str {
        self.name.split('/').next().unwrap()
    }
}

pub fn vectors() -> Vec<Vector> {
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

pub fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value in the notation of `tests/go/README.md`.
pub fn literal(value: &Value) -> String {
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
