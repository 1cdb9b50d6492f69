//! Random pipelines of commands, what an endpoint must answer to them, and the endpoint itself.
//!
//! The expected answers come from a model that shares no code with the library: it knows which
//! commands there are and reads payloads by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use switchboard::format::{Bytes, Json, Line};
use switchboard::{Command, Connection, Endpoint, Error, Limits};
use switchboard_testing::random::Random;

/// The commands of the endpoint, and one that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    EchoLater,
    Pair,
    Flag,
    Nobody,
    PlainLine,
    PlainPair,
}

/// One command of a pipeline. Tag 0 wants no reply; plain calls have none.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) tag: u32,
    pub(crate) payload: Vec<u8>,
}

/// What is answered up to the next barrier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Replies to tagged calls, which come in any order: the value or the code of the error.
    replies: BTreeMap<u32, Result<Vec<u8>, String>>,
    barrier: Barrier,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Barrier {
    /// The peer ended its side.
    #[default]
    End,
    /// A plain call, and the bytes that it answers.
    Plain(Vec<u8>),
    /// The connection is closed with this code.
    Close(&'static str),
}

/// An endpoint with all of these commands, and with others that must never run.
pub(crate) struct Subject {
    pub(crate) endpoint: Endpoint,
    canaries: Arc<AtomicU64>,
}

impl Subject {
    pub(crate) fn new() -> Self {
        let canaries = Arc::new(AtomicU64::new(0));
        let (raw, typed) = (Arc::clone(&canaries), Arc::clone(&canaries));
        let limits = Limits::default().with(|limits| {
            limits.payload_bytes_max = PAYLOAD_BYTES_MAX;
            limits.connections_per_peer_max = 10_000;
        });
        let endpoint = Endpoint::new()
            .with_limits(limits)
            .on(ECHO, async |bytes: bytes::Bytes| Ok::<_, Error>(bytes))
            .on(ECHO_LATER, async |bytes: bytes::Bytes| {
                for _ in 0..bytes.len() % 4 {
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>(bytes)
            })
            .on(PAIR, async |_: (u32, String)| Ok::<_, Error>(true))
            .on(FLAG, async |flag: bool| Ok::<_, Error>(flag))
            .on(LINE, async |line: String| Ok::<_, Error>(line))
            .on(OWNED, move |_: bytes::Bytes| {
                typed.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, Error>(bytes::Bytes::new()) }
            })
            .on_raw("__pwned", Canary(raw));
        Self { endpoint, canaries }
    }

    /// How often something ran that must never run.
    pub(crate) fn canaries(&self) -> u64 {
        self.canaries.load(Ordering::Relaxed)
    }
}

struct Canary(Arc<AtomicU64>);

impl<'a> switchboard::RawHandler<'a, ()> for Canary {
    fn call(&self, _connection: &'a mut Connection) -> switchboard::RawFuture<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

/// Two to twenty commands, some with payloads that look like commands.
pub(crate) fn random(random: &mut Random) -> Vec<Item> {
    let count = 2 + random.below(19);
    let items = 1..=count as u32;
    items
        .map(|tag| {
            let kind = KINDS[random.below(KINDS.len())];
            let tag = if random.below(16) == 0 { 0 } else { tag };
            Item { kind, tag, payload: payload(kind, random) }
        })
        .collect()
}

fn payload(kind: Kind, random: &mut Random) -> Vec<u8> {
    let filled = |text: &[u8], len: usize| text.iter().copied().cycle().take(len).collect();
    let len = random.below(40);
    match (kind, random.below(3)) {
        (Kind::PlainLine, _) => filled(b"__pwned __owned 7 0 ", len),
        (_, 0) => filled(b"\n__pwned\n", len),
        (_, 1) => filled(b"\n__owned 7 0 f=bytes\n", len),
        (Kind::Pair | Kind::PlainPair, _) => {
            let text: Vec<u8> = filled(b"\n__pwned\n", len);
            [&[7, text.len() as u8], &*text].concat()
        }
        (Kind::Flag, _) => [&b"true"[..], b" false\n"][random.below(2)].to_vec(),
        _ => (0..len).map(|_| random.draw() as u8).collect(),
    }
}

/// Changes one byte of a payload, to what may hurt; not to what makes another stream of it, which
/// only the payload of a plain line can become.
pub(crate) fn corrupt(item: &mut Item, offset: usize, random: &mut Random) {
    let byte = &mut item.payload[offset];
    *byte = match random.below(4) {
        0 if item.kind != Kind::PlainLine => b'\n',
        1 => *byte ^ 0x80,
        2 => 0,
        _ => 0xff,
    };
}

/// The bytes of a pipeline.
pub(crate) fn bytes(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Item { kind, tag, payload } in items {
        let (name, len) = (kind.name(), payload.len());
        let line = match kind {
            Kind::PlainLine => format!("{name}\n"),
            Kind::PlainPair => format!("{name}\n{len}\n"),
            Kind::Echo | Kind::EchoLater => format!("{name} {tag} {len} f=bytes\n"),
            Kind::Flag => format!("{name} {tag} {len} f=json\n"),
            Kind::Pair | Kind::Nobody => format!("{name} {tag} {len}\n"),
        };
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(payload);
        if *kind == Kind::PlainLine {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// What must be answered.
pub(crate) fn model(items: &[Item]) -> Vec<Segment> {
    let mut segments = vec![Segment::default()];
    for Item { kind, tag, payload } in items {
        let segment = segments.last_mut().unwrap();
        let bad = || Err("bad_payload".to_owned());
        let reply = match kind {
            Kind::PlainLine | Kind::PlainPair => {
                segment.barrier = plain(*kind, payload);
                if matches!(segment.barrier, Barrier::Close(_)) {
                    return segments;
                }
                segments.push(Segment::default());
                continue;
            }
            Kind::Echo | Kind::EchoLater => Ok(payload.clone()),
            Kind::Pair if is_pair(payload) => Ok(vec![1]),
            Kind::Pair => bad(),
            Kind::Flag => flag(payload).map_or_else(bad, |flag| Ok(flag.to_vec())),
            Kind::Nobody => Err("unknown_command".to_owned()),
        };
        if *tag != 0 {
            segment.replies.insert(*tag, reply);
        }
    }
    segments
}

fn plain(kind: Kind, payload: &[u8]) -> Barrier {
    if kind == Kind::PlainPair {
        let is_pair = is_pair(payload);
        return if is_pair { Barrier::Plain(b"1\n\x01".to_vec()) } else { BAD_PAYLOAD };
    }
    let line = payload.strip_suffix(b"\r").unwrap_or(payload);
    let is_line = !line.iter().any(|byte| [0, b'\r'].contains(byte));
    match std::str::from_utf8(line) {
        Ok(text) if is_line => Barrier::Plain(format!("{text}\n").into()),
        _ => BAD_PAYLOAD,
    }
}

/// Whether this is a bincode `(u32, String)` and nothing more.
fn is_pair(payload: &[u8]) -> bool {
    let Some((number, rest)) = varint(payload) else { return false };
    let Some((len, text)) = varint(rest) else { return false };
    let is_u32 = payload[0] < 253 && number <= u64::from(u32::MAX);
    is_u32 && len == text.len() as u64 && std::str::from_utf8(text).is_ok()
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let width = match first {
        251 => 2,
        252 => 4,
        253 => 8,
        254.. => return None,
        small => return Some((u64::from(*small), rest)),
    };
    let (number, rest) = rest.split_at_checked(width)?;
    Some((number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest))
}

fn flag(payload: &[u8]) -> Option<&'static [u8]> {
    let is_space = |byte: &u8| b" \t\r\n".contains(byte);
    let begin = payload.iter().position(|byte| !is_space(byte))?;
    let end = payload.iter().rposition(|byte| !is_space(byte))?;
    match &payload[begin..=end] {
        b"true" => Some(b"true"),
        b"false" => Some(b"false"),
        _ => None,
    }
}

/// Reads what an endpoint answered, as far as it is what the model expects.
pub(crate) fn read(expected: &[Segment], mut bytes: &[u8]) -> Result<(), String> {
    for segment in expected {
        let mut replies = BTreeMap::new();
        for _ in 0..segment.replies.len() {
            let (tag, reply) = reply(&mut bytes)?;
            replies.insert(tag, reply);
        }
        if replies != segment.replies {
            return Err(format!("{replies:?} is not {:?}", segment.replies));
        }
        match &segment.barrier {
            Barrier::End => {}
            Barrier::Plain(plain) => {
                let rest = bytes.strip_prefix(&**plain);
                bytes = rest.ok_or_else(|| format!("{:?}", plain.escape_ascii().to_string()))?;
            }
            Barrier::Close(code) => {
                let told = reply(&mut bytes)?;
                if told != (0, Err((*code).to_owned())) {
                    return Err(format!("closed with {told:?}, expected {code}"));
                }
            }
        }
    }
    if bytes.is_empty() { Ok(()) } else { Err(format!("too much: {}", bytes.escape_ascii())) }
}

fn reply(bytes: &mut &[u8]) -> Result<(u32, Result<Vec<u8>, String>), String> {
    let wrong = || format!("no reply: {}", bytes.escape_ascii());
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(wrong)?;
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
    let words: Vec<_> = line.strip_prefix('<').ok_or_else(wrong)?.split(' ').collect();
    let number = |word: &&str| word.parse::<u32>().map_err(|_| wrong());
    let [tag, _, len, ..] = &words[..] else { return Err(wrong()) };
    let (tag, len) = (number(tag)?, number(len)? as usize);
    let body = bytes.get(end + 1..end + 1 + len).ok_or_else(wrong)?.to_vec();
    let reply = match words[1..] {
        ["ok", _] => Ok(body),
        ["err", _, code] => Err(code.to_owned()),
        _ => return Err(wrong()),
    };
    *bytes = &bytes[end + 1 + len..];
    Ok((tag, reply))
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Echo => "ECHO",
            Self::EchoLater => "ECHO_LATER",
            Self::Pair | Self::PlainPair => "PAIR",
            Self::Flag => "FLAG",
            Self::Nobody => "NOBODY",
            Self::PlainLine => "LINE",
        }
    }
}

const ECHO: Command<bytes::Bytes, bytes::Bytes, Bytes> = Command::new("ECHO");
const ECHO_LATER: Command<bytes::Bytes, bytes::Bytes, Bytes> = Command::new("ECHO_LATER");
const PAIR: Command<(u32, String), bool> = Command::new("PAIR");
const FLAG: Command<bool, bool, Json> = Command::new("FLAG");
const LINE: Command<String, String, Line> = Command::new("LINE");
const OWNED: Command<bytes::Bytes, bytes::Bytes, Bytes> = Command::new("__owned");

const BAD_PAYLOAD: Barrier = Barrier::Close("bad_payload");

const KINDS: [Kind; 8] = [
    Kind::Echo,
    Kind::Echo,
    Kind::EchoLater,
    Kind::Pair,
    Kind::Flag,
    Kind::Nobody,
    Kind::PlainLine,
    Kind::PlainPair,
];

const PAYLOAD_BYTES_MAX: usize = 4096;
