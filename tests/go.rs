//! Real Go programs as peers, both ways; what they do is told in `tests/go/README.md`.
//!
//! A Go program has one of two habits: an encoder and a decoder for each value, or one of each for
//! the connection. Everything here is tried with both. Without Go only our two sides talk.

#![cfg(all(feature = "gob", feature = "io", feature = "bincode"))]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes wrong may panic, and shares what it has"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use switchboard::format::{Budget, Format, Gob};
use switchboard::{Code, Command, Connection, Endpoint, Error, Limits, Result, with_state};
use switchboard_testing::go_program;
use switchboard_testing::random::Random;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

const HABITS: [&str; 2] = ["fresh", "connection"];

const COMMANDS: usize = 1000;

// --- mixed: STRING and GOB ---

#[tokio::test]
async fn go_sends_strings_and_gobs_mixed_and_nothing_is_lost() {
    for habit in HABITS {
        for depth in ["1", "100", "1000"] {
            let (record, address) = serve_mixed().await;
            let args = ["client", &address, "-encoder", habit, "-depth", depth];
            let Some(heard) = run_go("mixed", &args).await else { return };
            let here = record.lock().unwrap().to_string();
            assert_eq!(heard, format!("sent: {here}\n"), "{habit}, depth {depth}");
            assert_eq!(record.lock().unwrap().commands(), COMMANDS);
        }
    }
}

#[tokio::test]
async fn go_takes_strings_and_gobs_mixed_and_nothing_is_lost() {
    for habit in HABITS {
        for depth in [1, 100, COMMANDS] {
            let args = ["server", "-connections", "1", "-decoder", habit];
            let Some(mut server) = Server::start("mixed", &args).await else { return };
            let sent = send_mixed(&server.address, depth).await.unwrap();
            let expected = format!("connection done: {sent}\n");
            assert_eq!(server.rest().await, expected, "{habit}, depth {depth}");
            assert_eq!(sent.commands(), COMMANDS);
        }
    }
}

#[tokio::test]
async fn our_sides_send_strings_and_gobs_mixed_and_nothing_is_lost() {
    let (record, address) = serve_mixed().await;
    let sent = send_mixed(&address, 100).await.unwrap();
    assert_eq!(record.lock().unwrap().to_string(), sent.to_string());
    assert_eq!(sent.commands(), COMMANDS);
}

/// Byte for byte, but that Go's name for the struct begins with a small letter, and that Go's maps
/// have no order.
#[test]
fn the_article_s_struct_is_187_bytes() {
    let text = include_str!("data/golden/gob.txt");
    let digits = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars);
    let digits: Vec<_> = digits.filter_map(|digit| digit.to_digit(16)).collect();
    let golden: Vec<_> = digits.chunks(2).map(|byte| (byte[0] << 4 | byte[1]) as u8).collect();
    assert_eq!(golden.len(), 187);

    let map = |pairs: [(&str, i64); 3]| pairs.map(|(key, n)| (key.to_owned(), n)).into();
    let inner = ComplexData {
        n: 256,
        s: "Recursive structs? Piece of cake!".to_owned(),
        m: map([("01", 1), ("10", 2), ("11", 3)]),
        ..ComplexData::default()
    };
    let data = ComplexData {
        n: 23,
        s: "string data".to_owned(),
        m: map([("one", 1), ("two", 2), ("three", 3)]),
        p: b"abc".to_vec(),
        c: Some(Box::new(inner)),
    };
    let budget = Budget::new(&Limits::default(), golden.len());
    let read: ComplexData = Gob::decode(golden.clone().into(), &budget).unwrap();
    assert_eq!(read, data);
    let mut written = BytesMut::new();
    Gob::encode(&data, &Limits::default(), &mut written).unwrap();
    let written = replaced(&written, b"ComplexData", b"complexData");
    let written = replaced(&written, b"\x05three\x06\x03two\x04", b"\x03two\x04\x05three\x06");
    assert_eq!(written, golden);
}

/// With `old`, which is in it once, as `new`.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// So that equal records mean something: the example in the comment of `tests/go/mixed/main.go`.
#[test]
fn the_record_is_as_go_s() {
    let data = ComplexData {
        n: 17,
        s: "x".to_owned(),
        m: BTreeMap::from([("b".to_owned(), -2), ("a".to_owned(), 1)]),
        p: b"abc".to_vec(),
        c: Some(Box::default()),
    };
    let mut record = Record::default();
    record.add_struct(&data);
    assert_eq!(record.to_string(), "strings=0 structs=1 digest=b34a371d9cf9f4a4");
}

/// An endpoint that keeps a record of what comes, and its address.
async fn serve_mixed() -> (Arc<Mutex<Record>>, String) {
    let record = Arc::default();
    let endpoint = Endpoint::new()
        .on_raw("STRING", with_state(&record, take_string))
        .on_raw("GOB", with_state(&record, take_struct));
    (record, serve(endpoint).await)
}

async fn take_string(record: Arc<Mutex<Record>>, connection: &mut Connection) -> Result<()> {
    let line = connection.read_line().await?.unwrap();
    record.lock().unwrap().add_string(&line);
    connection.write_line(REPLY).await
}

async fn take_struct(record: Arc<Mutex<Record>>, connection: &mut Connection) -> Result<()> {
    let data = connection.read_value::<Gob, ComplexData>().await?.unwrap();
    record.lock().unwrap().add_struct(&data);
    Ok(())
}

/// Sends `depth` commands at a time before it reads their answers.
async fn send_mixed(address: &str, depth: usize) -> Result<Record> {
    let mut connection = Connection::connect(address).await?;
    let (mut record, mut random) = (Record::default(), Random::new(1));
    let numbers: Vec<_> = (0..COMMANDS).collect();
    for batch in numbers.chunks(depth) {
        let mut replies = 0;
        for number in batch {
            if random.below(2) == 0 {
                let line = format!("GOB {number}{}", " STRING".repeat(number % 100));
                record.add_string(&line);
                connection.write_line("STRING").await?;
                connection.write_line(&line).await?;
                replies += 1;
            } else {
                let data = ComplexData::numbered(*number);
                record.add_struct(&data);
                connection.write_line("GOB").await?;
                connection.write_value::<Gob, _>(&data).await?;
            }
        }
        for _ in 0..replies {
            let reply = timeout(PATIENCE, connection.read_line()).await.unwrap()?;
            assert_eq!(reply.as_deref(), Some(REPLY));
        }
    }
    connection.finish().await?;
    assert_eq!(timeout(PATIENCE, connection.read_line()).await.unwrap()?, None);
    Ok(record)
}

const REPLY: &str = "Thank you.";

/// What went over one connection, as `mixed` writes it down.
struct Record {
    strings: usize,
    structs: usize,
    digest: u64,
}

impl Record {
    fn add_string(&mut self, line: &str) {
        self.strings += 1;
        self.add(&format!("S{line}\n"));
    }

    fn add_struct(&mut self, data: &ComplexData) {
        self.structs += 1;
        self.add(&format!("G{}\n", data.text()));
    }

    /// FNV-1a.
    fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn commands(&self) -> usize {
        self.strings + self.structs
    }
}

impl Default for Record {
    fn default() -> Self {
        Self { strings: 0, structs: 0, digest: 0xcbf2_9ce4_8422_2325 }
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { strings, structs, digest } = self;
        write!(f, "strings={strings} structs={structs} digest={digest:016x}")
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ComplexData {
    n: i64,
    s: String,
    m: BTreeMap<String, i64>,
    p: Vec<u8>,
    c: Option<Box<Self>>,
}

impl ComplexData {
    /// As `peer.Numbered`: zero, empty and negative fields, up to three structs inside, 10,000
    /// bytes.
    fn numbered(number: usize) -> Self {
        Self::nested(i64::try_from(number).unwrap(), number % 4)
    }

    fn nested(number: i64, levels: usize) -> Self {
        let mut data = Self { n: number, s: format!("string {number}"), ..Self::default() };
        if number % 5 == 0 {
            data.s.push_str(" ü€😀");
        }
        if number % 3 != 0 {
            let key = format!("key {number}");
            data.m =
                [(key, number), ("negative".to_owned(), -number), ("zero".to_owned(), 0)].into();
        }
        if number % 50 == 7 {
            data.p = b"0123456789".repeat(1000);
        } else if number % 2 == 0 {
            data.p = [b"bytes\n\0\xff", number.to_string().as_bytes()].concat();
        }
        if levels > 0 {
            data.c = Some(Box::new(Self::nested(number * -1000, levels - 1)));
        } else if number % 7 == 0 {
            data.c = Some(Box::default());
        }
        data
    }

    /// As `Text` in `tests/go/peer/data.go`.
    fn text(&self) -> String {
        let pairs: Vec<_> = self.m.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut text = format!("{}|{}|{}|", self.n, self.s, pairs.join(","));
        for byte in &self.p {
            write!(text, "{byte:02x}").unwrap();
        }
        let inner = self.c.as_ref().map_or_else(|| "-".to_owned(), |inner| inner.text());
        format!("{text}|{inner}")
    }
}

// --- typed: plain calls in gob ---

const ECHO: Command<ComplexData, ComplexData> = Command::new("ECHO");
const SUM: Command<Vec<i64>, i64> = Command::new("SUM");
const COUNT: Command<String, Counts> = Command::new("COUNT");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    length: i64,
    words: Vec<String>,
}

impl Counts {
    fn of(text: &str) -> Self {
        let words = text.split_whitespace().map(str::to_owned).collect();
        Self { length: i64::try_from(text.len()).unwrap(), words }
    }
}

#[tokio::test]
async fn go_calls_typed_commands_in_gob() {
    let address = serve(typed()).await;
    for habit in HABITS {
        let args = ["-address", &address, "-habit", habit];
        let Some(heard) = run_go("typed", &args).await else { return };
        assert_eq!(heard, "typed: 1000 calls ok\n", "{habit}");
    }
}

#[tokio::test]
async fn we_call_typed_commands_of_go_in_gob() {
    for habit in HABITS {
        let args = ["-serve", "-habit", habit];
        let Some(server) = Server::start("typed", &args).await else { return };
        call_typed(&server.address).await.unwrap();
    }
}

#[tokio::test]
async fn we_call_typed_commands_of_our_own_in_gob() {
    call_typed(&serve(typed()).await).await.unwrap();
}

fn typed() -> Endpoint {
    Endpoint::new()
        .on(ECHO, async |data: ComplexData| Ok::<_, Error>(data))
        .on(SUM, async |numbers: Vec<i64>| Ok::<_, Error>(numbers.iter().sum()))
        .on(COUNT, async |text: String| Ok::<_, Error>(Counts::of(&text)))
}

async fn call_typed(address: &str) -> Result<()> {
    let mut connection = Connection::connect(address).await?;
    for number in 0..COMMANDS / 3 {
        let data = ComplexData::numbered(number);
        let reply: ComplexData = call(&mut connection, "ECHO gob", &data).await?;
        assert_eq!(reply, data);
        let numbers: Vec<_> = (0..i64::try_from(number % 40).unwrap()).collect();
        let reply: i64 = call(&mut connection, "SUM gob", &numbers).await?;
        assert_eq!(reply, numbers.iter().sum::<i64>());
        let text = format!("größer {number} ").repeat(number % 20);
        let reply: Counts = call(&mut connection, "COUNT gob", &text).await?;
        assert_eq!(reply, Counts::of(&text));
    }
    Ok(())
}

async fn call<Req, Rep>(connection: &mut Connection, line: &str, request: &Req) -> Result<Rep>
where
    Gob: Format<Req> + Format<Rep>,
{
    connection.write_line(line).await?;
    connection.write_value::<Gob, Req>(request).await?;
    Ok(timeout(PATIENCE, connection.read_value::<Gob, Rep>()).await.unwrap()?.unwrap())
}

// --- article: whole sessions with its server, and with ours ---

/// What the article's server does: a line of any bytes is answered, and a struct that does not
/// decode is not the end.
fn like_the_article() -> Endpoint {
    let string = async |caller: &mut Connection| {
        caller.read_line_bytes().await?;
        caller.write_line(REPLY).await
    };
    let gob = async |caller: &mut Connection| match caller.read_value::<Gob, ComplexData>().await {
        Err(error) if error.code() == Code::BadPayload => Ok(()),
        read => read.map(|_| ()),
    };
    Endpoint::new().without_notices().on_raw("STRING", string).on_raw("GOB", gob)
}

#[tokio::test]
async fn sessions_are_answered_as_by_the_article_s_server() {
    let ours = serve(like_the_article()).await;
    let go = Server::start("article", &["-port", "0"]).await;
    let go = go.as_ref().map(|server| server.address.replace("[::]", "127.0.0.1"));
    let gob = |bytes: Vec<u8>| [b"GOB\n".as_slice(), &bytes, b"STRING\nx\n"].concat();
    let sessions: [(Vec<u8>, usize); 13] = [
        (b"".into(), 0),
        (b"STRING\nAdditional data.\n".into(), 1),
        (b"STRING\na\nSTRING\nb\nSTRING\nc\n".into(), 3),
        // Blanks round a name, CR, and bytes that are not UTF-8.
        (b" STRING  \na\nSTRING \n b \n".into(), 2),
        (b"STRING\na\r\nSTRING\n\r\n".into(), 2),
        (b"STRING\n\xff\xfe\0\nSTRING\nb\n".into(), 2),
        (gob(switchboard_gob::to_vec(&ComplexData::numbered(3)).unwrap()), 1),
        // Of other types: the value is read whole.
        (gob(switchboard_gob::to_vec(&7_i64).unwrap()), 1),
        (gob(switchboard_gob::to_vec(&Counts::of("a b")).unwrap()), 1),
        // Both end without a word.
        (b"NOTHING\n".into(), 0),
        (b"STRING json\n".into(), 0),
        (b"\n".into(), 0),
        (b"STRING\na\nNOTHING\n".into(), 1),
    ];
    for (sent, replies) in sessions {
        let expected = format!("{REPLY}\n").repeat(replies);
        for address in go.iter().chain([&ours]) {
            let case = format!("{address}: {:?}", String::from_utf8_lossy(&sent));
            assert_eq!(session(address, &sent).await, expected, "{case}");
        }
    }
    // What is left of a gob that is none is never a command, whatever the handler makes of it.
    assert_eq!(session(&ours, b"GOB\n\x02\xff\xff\nSTRING\nx\n").await, "");
}

/// What is answered until the end to these bytes, which are sent before that.
async fn session(address: &str, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut heard)).await.unwrap().unwrap();
    heard
}

// --- processes ---

/// No test waits longer for bytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves as long as the test runs; the address.
async fn serve(endpoint: Endpoint) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { endpoint.serve(listener).await });
    address
}

/// What a Go program prints, which must end well; `None` without Go.
async fn run_go(name: &str, args: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(go_program!(name)?);
    let output = command.args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(2 * PATIENCE, output).await.unwrap().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name} {args:?}: {complaints}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A Go program that serves, killed when dropped.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    async fn start(name: &str, args: &[&str]) -> Option<Self> {
        let mut command = tokio::process::Command::new(go_program!(name)?);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(PATIENCE, stdout.read_line(&mut line)).await.unwrap().unwrap();
        let address = line.strip_prefix("listening on ").unwrap().trim_end().to_owned();
        Some(Self { child, stdout, address })
    }

    /// What it still prints; it must end, and well.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        timeout(PATIENCE, self.stdout.read_to_string(&mut rest)).await.unwrap().unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}
