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
use std::fmt::Write as _;
use std::time::Duration;

use bytes::BytesMut;
use switchboard::transport::{MemoryStream, memory_listener};
use switchboard::wire::{FormatWord, Line, Name};
use switchboard::{
    Code, Command, Connection, Context, Endpoint, Error, Fault, Limits, Result, format,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const ASK: Command<String, String> = Command::new("ASK");
const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
const DENY: Command<(), ()> = Command::new("DENY");
const ECHO: Command<String, String, format::Line> = Command::new("ECHO");
const GREET: Command<String, String> = Command::new("GREET");
const PANIC: Command<(), ()> = Command::new("PANIC");
const SLEEP: Command<u64, ()> = Command::new("SLEEP");
const UPPER: Command<String, String> = Command::new("UPPER");

fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(ASK, ask)
        .on(CHECK_STOCK, async |item: String| -> Result<u32> {
            Ok(if item == "item1" { 100 } else { 0 })
        })
        .on(DENY, async |(): ()| -> Result<()> {
            Err(Error::new(Code::Denied, "only the owner may do this"))
        })
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
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
        ("<1 ok 236", "<1 ok 264"),
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
    for (word, max) in [("name", Name::BYTES_MAX), ("format", FormatWord::BYTES_MAX)] {
        let rule = format!("{word}-first *{}VCHAR", max - 1);
        assert!(text.contains(&rule), "the ABNF of {word} should be {rule}");
    }
}

#[test]
fn the_table_of_commands_is_what_the_transcripts_are_played_against() {
    let rows = table("command");
    let in_document: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let debug = format!("{:?}", endpoint());
    for name in &in_document {
        assert!(debug.contains(&format!("Name({name})")), "{name} is not registered");
    }
    assert_eq!(debug.matches("Name(").count(), in_document.len());
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

/// The rows of the one table whose first heading is this, without their back quotes.
fn table(heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let mut lines = DOCUMENT.lines().skip_while(|line| {
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
