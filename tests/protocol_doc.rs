//! `docs/PROTOCOL.md` and the code say the same: every transcript is replayed against a real
//! endpoint, every line is read and printed back, and the tables are compared with the constants.
//!
//! The notation of transcripts is explained in the document itself. A transcript that differs is
//! shown as it should be written.

#![cfg(all(feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::format::Format as _;
use switchboard::transport::{MemoryStream, memory_listener};
use switchboard::wire::{Decoder, Event, FormatWord, Line, Metadata, Name};
use switchboard::{
    Code, Command, Connection, Context, Endpoint, Error, Fault, Limits, Receiver, Result, Sender,
    Streamed, format,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const ASK: Command<String, String> = Command::new("ASK");
const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
const DENY: Command<(), ()> = Command::new("DENY");
const ECHO: Command<String, String, format::Line> = Command::new("ECHO");
const FOLLOW: Command<(), Streamed<u32>> = Command::new("FOLLOW").resumable().endless();
const GREET: Command<String, String> = Command::new("GREET");
const PANIC: Command<(), ()> = Command::new("PANIC");
const SLEEP: Command<u64, ()> = Command::new("SLEEP");
const SUM: Command<Streamed<u32>, u64> = Command::new("SUM");
const UPPER: Command<String, String> = Command::new("UPPER");

fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(ASK, ask)
        .on(CHECK_STOCK, async |item: String| -> Result<u32> {
            Ok(if item == "item1" { 100 } else { 0 })
        })
        .on(COUNT, count)
        .on(SUM, sum)
        .on(DENY, async |(): ()| -> Result<()> {
            Err(Error::new(Code::Denied, "only the owner may do this"))
        })
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
        .on(FOLLOW, follow)
        .on(GREET, async |name: String| Ok::<_, Error>(format!("Hello, {name}!")))
        .on(PANIC, async |(): ()| -> Result<()> { panic!("as the document says") })
        .on(SLEEP, async |time_ms: u64| -> Result<()> {
            sleep(Duration::from_millis(time_ms)).await;
            Ok(())
        })
        .on_raw("STRING", strings)
}

async fn ask(text: String, context: Context) -> Result<String> {
    context.client().call(UPPER, &text).await
}

async fn count(end: u32, out: Sender<u32>) -> Result<()> {
    for number in 1..=end {
        out.send(&number).await?;
    }
    Ok(())
}

async fn follow(_: (), out: Sender<u32>, context: Context) -> Result<()> {
    let first = context.resume_at().unwrap_or(100);
    if !(100..=106).contains(&first) {
        return Err(Error::no_such_position(100..106));
    }
    out.open_at(first);
    for entry in [100, 101, 105].into_iter().filter(|entry| u64::from(*entry) >= first) {
        out.send_at(entry.into(), &entry).await?;
    }
    std::future::pending().await
}

async fn sum(_: (), mut numbers: Receiver<u32>) -> Result<u64> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await? {
        sum += u64::from(number);
    }
    Ok(sum)
}

async fn strings(connection: &mut Connection) -> Result<()> {
    connection.read_line().await?;
    connection.write_line("Thank you.").await
}

// --- transcripts ---

#[tokio::test(start_paused = true)]
async fn every_transcript_happens_as_it_is_written() {
    let mut transcripts = blocks("transcript");
    if cfg!(feature = "gob") {
        transcripts.extend(blocks("transcript-gob"));
    }
    assert!(transcripts.len() >= 20, "only {} transcripts were found", transcripts.len());
    let mut wrong = String::new();
    for (line, transcript) in &transcripts {
        let transcript: Vec<_> = transcript.iter().map(|line| with_gob(line)).collect();
        let transcript: Vec<_> = transcript.iter().map(String::as_str).collect();
        if let Err(seen) = replay(&transcript).await {
            let _ = write!(wrong, "\nthe transcript in line {line} should be\n{seen}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{} transcripts replayed", transcripts.len());
}

#[tokio::test(start_paused = true)]
async fn a_transcript_that_is_wrong_is_noticed() {
    let cases = [
        // Another byte, a byte too few, a byte too many, an end that does not come.
        (vec!["> STRING\\nhi\\n", "< Thank you!\\n"], "< Thank you.\\n"),
        (vec!["> STRING\\nhi\\n", "< Thank you."], "< \\n"),
        (vec!["> STRING\\nhi\\n", "< Thank you.\\n\\n"], "< Thank you.\\n"),
        (vec!["> STRING\\nhi\\n", "< Thank you.\\n", "<|"], "(no end came)"),
        (vec!["> STRING\\nhi\\n"], "< Thank you.\\n"),
    ];
    for (transcript, expected) in cases {
        let seen = replay(&transcript).await.unwrap_err();
        assert!(seen.lines().any(|line| line == expected), "{transcript:?} gave\n{seen}");
    }
}

/// The document speaks of a build without the feature `gob`.
fn with_gob(line: &str) -> String {
    let replaced = [
        (",json ", ",json,gob "),
        ("<1 ok 374", "<1 ok 414"),
        ("36 unsupported_format", "44 unsupported_format"),
        ("73 unsupported_format", "81 unsupported_format"),
        ("bincode and json", "bincode and json and gob"),
        ("line and json", "line and json and gob"),
    ];
    let replaced = if cfg!(feature = "gob") { replaced.as_slice() } else { &[] };
    replaced.iter().fold(line.to_owned(), |line, (word, new)| line.replace(word, new))
}

/// Plays a transcript; if something else is received, answers what it should say up to there.
async fn replay(transcript: &[&str]) -> Result<(), String> {
    let (listener, dialer) = memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move { endpoint().serve_until(listener, stopped).await });
    let mut stop = Some(stop);
    let mut stream = dialer.dial().await.unwrap();
    let mut seen = String::new();
    let mut has_ended = false;
    for line in transcript {
        if let Some(text) = line.strip_prefix("> ") {
            stream.write_all(&unescape(text)).await.unwrap();
        } else if let Some(text) = line.strip_prefix("< ") {
            let expected = unescape(text);
            let mut received = receive(&mut stream, expected.len()).await;
            if received != expected {
                received.extend(receive(&mut stream, 4096).await);
                let _ = writeln!(seen, "< {}", escape(&received));
                return Err(seen);
            }
        } else {
            match *line {
                ">|" => stream.shutdown().await.unwrap(),
                "!drain" => {
                    // Paused time goes on when everybody waits: all that was sent has been read.
                    sleep(Duration::from_millis(1)).await;
                    drop(stop.take());
                }
                "<|" => {
                    has_ended = true;
                    expect_end(&mut stream, &mut seen).await?;
                }
                other => panic!("no line of a transcript: {other}"),
            }
        }
        let _ = writeln!(seen, "{line}");
    }
    if !has_ended {
        stream.shutdown().await.unwrap();
        expect_end(&mut stream, &mut seen).await?;
    }
    drop((stream, stop));
    served.await.unwrap().unwrap();
    Ok(())
}

async fn expect_end(stream: &mut MemoryStream, seen: &mut String) -> Result<(), String> {
    let mut byte = [0];
    match timeout(PATIENCE, stream.read(&mut byte)).await {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(_)) => {
            let rest = receive(stream, 4096).await;
            let _ = writeln!(seen, "< {}{}", escape(&byte), escape(&rest));
            Err(std::mem::take(seen))
        }
        Ok(Err(error)) => Err(format!("{seen}({error})\n")),
        Err(_) => Err(format!("{seen}(no end came)\n")),
    }
}

/// Reads up to `len` bytes, fewer if the stream ends or nothing comes any more.
async fn receive(stream: &mut MemoryStream, len: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < len {
        let mut bytes = vec![0; len - received.len()];
        match timeout(PATIENCE, stream.read(&mut bytes)).await {
            Ok(Ok(count)) if count > 0 => received.extend_from_slice(&bytes[..count]),
            _ => break,
        }
    }
    received
}

/// Longer than any command of the transcripts takes, and shorter than any limit. Paused time jumps.
const PATIENCE: Duration = Duration::from_secs(5);

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        assert!(first.is_ascii_graphic() || first == ' ', "{first:?} in a transcript: {text}");
        if first != '\\' {
            bytes.push(rest.as_bytes()[0]);
            rest = &rest[1..];
            continue;
        }
        let escaped = rest.chars().nth(1).expect("something after a backslash");
        rest = &rest[2..];
        match escaped {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let byte = u8::from_str_radix(&rest[..2], 16).expect("two digits after \\x");
                rest = &rest[2..];
                let count = match rest.strip_prefix('{') {
                    None => 1,
                    Some(count) => {
                        let (count, after) = count.split_once('}').expect("a } after the {");
                        rest = after;
                        count.parse().expect("a number in {}")
                    }
                };
                bytes.extend(std::iter::repeat_n(byte, count));
            }
            other => panic!("\\{other} in a transcript: {text}"),
        }
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

#[test]
fn the_notation_is_read_as_it_is_written() {
    let text = r"a\\b\r\n\x00\xff";
    assert_eq!(unescape(text), b"a\\b\r\n\x00\xff");
    assert_eq!(escape(&unescape(text)), text);
    assert_eq!(unescape(r"\x2e{3}!"), b"...!");
}

// --- lines ---

#[test]
fn every_line_is_one_and_every_other_is_none() {
    let lines = blocks("lines");
    for line in lines.iter().flat_map(|(_, lines)| lines) {
        let parsed = Line::parse(line.as_bytes());
        let parsed = parsed.unwrap_or_else(|flaw| panic!("{line:?} is no line: {flaw}"));
        let mut printed = BytesMut::new();
        parsed.encode(&mut printed);
        assert_eq!(printed, format!("{line}\n").as_bytes());
    }
    let no_lines = blocks("no-lines");
    for line in no_lines.iter().flat_map(|(_, lines)| lines) {
        assert!(Line::parse(line.as_bytes()).is_err(), "{line:?} is a line");
    }
    assert!(!lines.is_empty() && !no_lines.is_empty());
}

/// Each byte in each place of a word, and its length, by the rules of the ABNF.
#[test]
fn words_are_what_the_grammar_says() {
    let vchar: Vec<_> = (0x21..=0x7e).collect();
    let plain = |text: &[u8]| line_of(text).is_some();
    let with_format = |text: &[u8]| {
        let line = line_of(&[b"A ", text].concat());
        matches!(line, Some(Line::Plain { format: Some(_), .. }))
    };
    let code = |text: &[u8]| line_of(&[b"<1 err 0 ", text].concat()).is_some();
    let key = |text: &[u8]| line_of(&[b"A 1 0 ", text, b"="].concat()).is_some();
    let value = |text: &[u8]| line_of(&[b"A 1 0 key=", text].concat()).is_some();
    let word = rule("word");
    for byte in 0..=255 {
        let cases = [
            (plain([byte, b'A'].as_slice()), &rule("name-first"), "a name's first"),
            (plain([b'A', byte].as_slice()), &vchar, "a name's second"),
            (with_format([byte, b'A'].as_slice()), &rule("format-first"), "a format's first"),
            (with_format([b'A', byte].as_slice()), &vchar, "a format's second"),
            (code([byte, b'a'].as_slice()), &word, "a code's first"),
            (code([b'a', byte].as_slice()), &word, "a code's second"),
            (key([byte, b'a'].as_slice()), &word, "a key's first"),
            (value([byte, b'a'].as_slice()), &vchar, "a value's first"),
        ];
        for (is_taken, rule, place) in cases {
            assert_eq!(is_taken, rule.contains(&byte), "{place} byte {byte:#04x}");
        }
    }
    assert!(grammar().contains("word        = 1*32("), "the length of a word");
    for (bytes, is_word) in [(0, false), (1, true), (32, true), (33, false)] {
        let text = vec![b'x'; bytes];
        assert_eq!((code(&text), key(&text)), (is_word, is_word), "{bytes} bytes");
    }
}

/// The line that is written exactly so.
fn line_of(text: &[u8]) -> Option<Line> {
    let text = [text, b"\n"].concat();
    let mut decoder = Decoder::new(8192, 0);
    let Ok(Some(Event::Line(line))) = decoder.decode(&mut BytesMut::from(&*text)) else {
        return None;
    };
    let mut printed = BytesMut::new();
    line.encode(&mut printed);
    (printed == text).then_some(line)
}

/// The bytes that stand for a rule of one byte in the ABNF.
fn rule(name: &str) -> Vec<u8> {
    let grammar = grammar();
    let rule = grammar.lines().find_map(|line| {
        let (left, right) = line.split(';').next()?.split_once('=')?;
        (left.trim() == name).then_some(right)
    });
    let rule = rule.unwrap_or_else(|| panic!("no rule {name}"));
    let hex = |text: &str| u8::from_str_radix(text, 16).expect("two digits");
    let parts = rule.trim().trim_start_matches("1*32(").trim_end_matches(')').split(" / ");
    let bytes = parts.flat_map(|part| match part.trim().strip_prefix("%x") {
        Some(range) => {
            let (first, last) = range.split_once('-').expect("%xAA-BB");
            hex(first)..=hex(last)
        }
        None => {
            let byte = part.trim().trim_matches('"').as_bytes()[0];
            byte..=byte
        }
    });
    bytes.collect()
}

fn grammar() -> String {
    let lines = blocks("abnf").into_iter().flat_map(|(_, lines)| lines);
    lines.map(|line| format!("{line}\n")).collect()
}

/// The protocol's own keys: once, in their form, on their lines. On the others they mean nothing.
#[test]
fn each_option_is_checked_on_its_own_lines_and_ignored_on_others() {
    const LINES: [(&str, &[&str]); 5] = [
        ("a call", &["GREET 1 9", "GREET 0 9"]),
        ("<TAG err", &["<1 err 9 failed"]),
        ("item, open", &[">1 item 9", "<1 item 9", "<1 open"]),
        (">TAG cancel", &[">1 cancel"]),
        ("none", &["<1 ok 9", ">1 end", ">1 credit 9", "<1 credit 9"]),
    ];
    let rows = table("line");
    assert_eq!(rows.len(), 11, "the protocol's own keys");
    for row in rows {
        let [of, key, form, ..] = &row[..] else { panic!("{row:?}") };
        let (good, bad) = forms(form);
        let is_own = |kind: &str| kind == of;
        assert!(LINES.iter().any(|(kind, _)| is_own(kind)), "a line for {of}");
        for (kind, line) in LINES.iter().flat_map(|(of, lines)| lines.iter().map(move |l| (of, l)))
        {
            let check = |options: String, is_line: bool| {
                let text = format!("{line} {options}");
                let parsed = Line::parse(text.as_bytes());
                assert_eq!(parsed.is_ok(), is_line, "{text}: {parsed:?}");
            };
            for value in good {
                check(format!("{key}={value}"), true);
                check(format!("{key}={value} {key}={value}"), !is_own(kind));
            }
            for value in bad {
                check(format!("{key}={value}"), !is_own(kind));
            }
        }
    }
}

/// Values that are in this form, and values that are not.
fn forms(form: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match form {
        "a format's name" => (&["json", "x"], &["", "7z", "abcdefghijklmnopq"]),
        "milliseconds, decimal, below 2^64" | "decimal, below 2^64" => {
            (&["0", "18446744073709551615"], &["", "01", "-1", "+1", "1s", "18446744073709551616"])
        }
        "a W3C traceparent" => {
            (&["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "x"], &[])
        }
        "1" => (&["1"], &["", "0", "2", "01", "yes"]),
        "bytes, from 1, below 2^32" => (&["1", "4294967295"], &["", "0", "01", "4294967296"]),
        "bytes, decimal, at most LEN" => (&["0", "9"], &["", "10", "09", "-1"]),
        "a code" => (&["failed", "too-late_for_that"], &["", "7", "Failed"]),
        other => panic!("values for {other:?}"),
    }
}

// --- tables ---

#[test]
fn the_table_of_codes_is_the_list_of_codes() {
    let rows = table("code");
    let words: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let expected: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words, expected, "all codes, in the order of Code::ALL");
    for (row, code) in rows.iter().zip(Code::ALL) {
        let fault = match code.fault() {
            Fault::Caller => "caller",
            Fault::Callee => "callee",
            Fault::Connection => "connection",
            other => panic!("a word for {other:?}"),
        };
        assert_eq!(row[2], fault, "the fault of {code}");
        let is_never_sent = row[1].contains("never sent");
        assert_eq!(is_never_sent, !code.is_on_wire(), "whether {code} is sent");
    }
}

#[test]
fn the_table_of_limits_has_every_limit_and_its_default() {
    let debug = format!("{:?}", Limits::default());
    let fields = debug.trim_start_matches("Limits { ").trim_end_matches(" }");
    let expected: Vec<_> = fields.split(", ").map(|field| field.replace(": ", " = ")).collect();
    let written: Vec<_> = table("limit")
        .iter()
        .map(|row| format!("{} = {}", row[0], row[1].replace([',', ' '], "")))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn the_numbers_that_the_protocol_fixes_are_those_of_the_code() {
    let expected = format!(
        "Fixed by the protocol: a name has at most {} bytes, a format's name at most {},",
        Name::BYTES_MAX,
        FormatWord::BYTES_MAX
    );
    let text = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&expected), "{expected}");
    assert!(text.contains(&format!("a tag is at most {}.", thousands(u64::from(u32::MAX)))));
    let (keys, bytes) = (Metadata::KEYS_MAX, thousands(Metadata::BYTES_MAX as u64));
    let expected =
        format!("A line has at most {keys} such keys, each once, and at most {bytes} bytes");
    assert!(text.contains(&expected), "{expected}");
    for (word, max) in [("name", Name::BYTES_MAX), ("format", FormatWord::BYTES_MAX)] {
        let rule = format!("{word}-first *{}VCHAR", max - 1);
        assert!(text.contains(&rule), "the ABNF of {word} should be {rule}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_text_of_an_error_is_as_long_as_the_protocol_says() {
    const LONG: Command<(), ()> = Command::new("LONG");
    let long = async |(): ()| Err::<(), _>(Error::new(Code::Denied, "x".repeat(100_000)));
    let (mut stream, served) = switchboard::transport::memory();
    tokio::spawn(async move { Endpoint::new().on(LONG, long).serve_stream(served).await });
    stream.write_all(b"LONG 1 0\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    let (line, body) = told.split_once('\n').unwrap();
    assert_eq!(line, format!("<1 err {} denied ran=1", body.len()));
    let text = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    for begin in ["a text for people: UTF-8, at most", "an error's text at most"] {
        let expected = format!("{begin} {}", thousands(body.len() as u64));
        assert!(text.contains(&expected), "{expected}");
    }
}

#[test]
fn the_table_of_commands_is_what_the_transcripts_are_played_against() {
    let written: Vec<_> = table("command")
        .iter()
        .map(|row| match &row[..] {
            [name, raw, ..] if raw == "raw" => format!("{name} raw"),
            [name, request, reply, format, ..] => format!("{name} {format} {request} -> {reply}"),
            short => panic!("{short:?}"),
        })
        .collect();
    let registered: Vec<_> = endpoint()
        .commands()
        .iter()
        .map(|command| {
            let line = command.to_string();
            let others = command.formats.iter().skip(1).map(|format| format!(",{format}"));
            line.replacen(&others.collect::<String>(), "", 1)
        })
        .collect();
    assert_eq!(written, registered);
}

#[test]
fn the_table_of_formats_has_the_names_and_framings_of_the_code() {
    fn row<F: format::Format<T>, T>() -> (String, String) {
        let framing = match F::FRAMING {
            format::Framing::Line => "line",
            format::Framing::Counted => "counted",
            #[cfg(feature = "gob")]
            format::Framing::Gob => "gob",
            other => panic!("a word for {other:?}"),
        };
        (F::NAME.to_owned(), framing.to_owned())
    }
    let rows = table("name");
    let written: BTreeMap<_, _> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let mut expected = BTreeMap::from([
        row::<format::Line, String>(),
        row::<format::Json, u8>(),
        row::<format::Bincode, u8>(),
        row::<format::Bytes, bytes::Bytes>(),
    ]);
    #[cfg(feature = "postcard")]
    expected.extend([row::<format::Postcard, u8>()]);
    #[cfg(feature = "gob")]
    expected.extend([row::<format::Gob, u8>()]);
    // Said also by those who cannot compile it.
    expected.entry("postcard".to_owned()).or_insert_with(|| "counted".to_owned());
    expected.entry("gob".to_owned()).or_insert_with(|| "gob".to_owned());
    assert_eq!(written, expected);
}

/// A value of each shape, as it is written and read back.
#[test]
fn the_table_of_json_says_what_is_written_and_read() {
    let shapes: &[(&str, fn())] = &[
        ("unit, ()", || check_json(&(), "null")),
        ("bool", || {
            check_json(&true, "true");
            check_json(&false, "false");
        }),
        ("integers, up to 128 bits", || {
            check_json(&u128::MAX, "340282366920938463463374607431768211455");
            check_json(&i128::MIN, "-170141183460469231731687303715884105728");
            check_json(&9_007_199_254_740_993_u64, "9007199254740993");
        }),
        ("f32, f64", || {
            check_json(&1.5_f32, "1.5");
            check_json(&-0.25_f64, "-0.25");
            for not_finite in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut out = BytesMut::new();
                format::Json::encode(&not_finite, &Limits::default(), &mut out).unwrap_err();
            }
            assert!(from_json::<f64>("null").is_err());
        }),
        ("char, text", || {
            check_json(&'\u{20ac}', "\"\u{20ac}\"");
            check_json(&"a\n\"b\"".to_owned(), r#""a\n\"b\"""#);
        }),
        ("byte string", || check_json(&serde_bytes::ByteBuf::from([0, 255]), "[0,255]")),
        ("option", || {
            check_json(&None::<u8>, "null");
            check_json(&Some(7_u8), "7");
        }),
        ("sequence, tuple, array", || {
            check_json(&vec![1_u8, 2], "[1,2]");
            check_json(&(1_u8, "a".to_owned()), "[1,\"a\"]");
            check_json(&[1_u8, 2], "[1,2]");
        }),
        ("struct", || {
            check_json(&Point { x: 1, y: -2 }, r#"{"x":1,"y":-2}"#);
            let more = from_json(r#"{"x":1,"colour":{"name":["red"]},"y":-2}"#);
            assert_eq!(more, Ok(Point { x: 1, y: -2 }), "a field that is not known is skipped");
        }),
        ("struct around one value", || check_json(&Meters(7), "7")),
        ("map", || {
            check_json(&BTreeMap::from([(1_u8, 2_u8)]), r#"{"1":2}"#);
            check_json(&BTreeMap::from([(false, 2_u8)]), r#"{"false":2}"#);
            check_json(&BTreeMap::from([('a', 2_u8)]), r#"{"a":2}"#);
        }),
        ("variant without fields", || check_json(&Shape::Nothing, r#""Nothing""#)),
        ("variant with one value", || check_json(&Shape::Circle(9), r#"{"Circle":9}"#)),
        ("variant with several values", || {
            check_json(&Shape::Segment(1, 2), r#"{"Segment":[1,2]}"#);
        }),
        ("variant with named fields", || {
            check_json(&Shape::Named { corners: 3 }, r#"{"Named":{"corners":3}}"#);
        }),
    ];
    // The table of bincode begins alike.
    let rows = table_behind("## JSON", "shape");
    let written: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(written, shapes.iter().map(|(shape, _)| *shape).collect::<Vec<_>>());
    shapes.iter().for_each(|(_, check)| check());
    assert_eq!(from_json(" 7\t\n"), Ok(7_u8), "white space round the value is allowed");
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Point {
    x: i8,
    y: i8,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Meters(u8);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Shape {
    Nothing,
    Circle(u8),
    Segment(u8, u8),
    Named { corners: u8 },
}

fn check_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, text: &str) {
    assert_eq!(json(value), text);
    assert_eq!(from_json::<T>(text).as_ref(), Ok(value));
}

fn json<T: Serialize + DeserializeOwned>(value: &T) -> String {
    let mut out = BytesMut::new();
    format::Json::encode(value, &Limits::default(), &mut out).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

fn from_json<T: Serialize + DeserializeOwned>(text: &str) -> Result<T, String> {
    let budget = format::Budget::new(&Limits::default(), text.len());
    format::Json::decode(text.to_owned().into(), &budget).map_err(|error| error.to_string())
}

#[test]
fn the_go_that_is_shown_is_part_of_a_program() {
    let (page, program) =
        (include_str!("../docs/GO.md"), include_str!("go/typed/main.go").replace("\r\n", "\n"));
    let shown = page.split("```go\n").filter_map(|part| part.split("```").next());
    let shown: Vec<_> = shown.filter(|block| block.starts_with("func ")).collect();
    assert_eq!(shown.len(), 1);
    assert!(program.contains(shown[0]), "docs/GO.md shows what is not in tests/go/typed");
}

#[test]
fn the_golden_lines_are_in_the_golden_file() {
    let golden = include_str!("data/golden/bincode.txt");
    let quoted = blocks("golden");
    let quoted: Vec<_> = quoted.iter().flat_map(|(_, lines)| lines).collect();
    assert!(quoted.len() >= 20, "only {} lines are quoted", quoted.len());
    for line in quoted {
        let (name, hex) = line.split_once(": ").expect("name: hex");
        let line = format!("{name}: {}", hex.replace(' ', ""));
        assert!(golden.lines().any(|golden| golden == line), "not in the file: {line}");
    }
}

// --- the document ---

const DOCUMENT: &str = include_str!("../docs/PROTOCOL.md");

/// The fenced blocks of a kind, with the number of their first line.
fn blocks(kind: &str) -> Vec<(usize, Vec<&'static str>)> {
    let fence = format!("```{kind}");
    let mut blocks = Vec::new();
    let mut lines = DOCUMENT.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line == fence {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            blocks.push((index + 2, body.collect()));
        }
    }
    blocks
}

/// The rows of the first table whose first heading is this, without their back quotes.
fn table(heading: &str) -> Vec<Vec<String>> {
    table_behind("", heading)
}

fn table_behind(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, document) = DOCUMENT.split_once(text).expect("text of the document");
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let mut lines = document.lines().skip_while(|line| {
        !(line.starts_with('|') && cells(line).first().is_some_and(|cell| cell == heading))
    });
    assert!(lines.next().is_some(), "no table begins with {heading}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(cells).collect()
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups = groups.iter().map(|group| std::str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}
