//! Lines to requests.
//!
//! Each level is read by itself: first the line, as an object or a list of raw entries, and then
//! each entry, as an object of raw members. So the texts are looked at twice, and no more.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Asked, Called, Dialect, Flaw, Line, Place};

/// What a line asks for. A batch may have at most `entries_max` entries.
///
/// ```
/// use switchboard::envelope::{Dialect, Flaw, Line, parse};
///
/// let Line::One(asked) = parse(br#"{"Method":"CheckStock","Params":"item1"}"#, 10) else {
///     panic!("it is one request");
/// };
/// let call = asked.call?;
/// assert_eq!(asked.dialect, Dialect::Bare);
/// assert_eq!((&*call.method, call.params), ("CheckStock", "\"item1\""));
/// # Ok::<(), Flaw>(())
/// ```
#[must_use]
pub fn parse(line: &[u8], entries_max: usize) -> Line<'_> {
    if is_other_protocol(line) {
        return Line::Bad(None, Flaw::OtherProtocol);
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Line::Bad(guess(line), Flaw::NotUtf8);
    };
    match first(text) {
        Some(b'{') => match members(text) {
            Ok(members) => members.line(),
            Err(flaw) => Line::Bad(guess(line), flaw),
        },
        Some(b'[') => match read_batch(text, entries_max) {
            Ok(entries) => Line::Batch(entries),
            Err(flaw) => Line::Bad(Some(Dialect::V2), flaw),
        },
        _ => {
            let read = read(text, |decoder| IgnoredAny::deserialize(decoder));
            let flaw = read.err().unwrap_or(Flaw::NoObject);
            Line::Bad(guess(line), flaw)
        }
    }
}

/// The dialect that a line shows which cannot be read, or not to its end.
///
/// ```
/// use switchboard::envelope::{Dialect, guess};
///
/// assert_eq!(guess(br#"{"jsonrpc":"2.0","meth"#), Some(Dialect::V2));
/// assert_eq!(guess(b"GET / HTTP/1.1"), None);
/// ```
#[must_use]
pub fn guess(line: &[u8]) -> Option<Dialect> {
    let is_list = line.trim_ascii_start().first() == Some(&b'[');
    let is_named = || memchr::memmem::find(line, br#""jsonrpc""#).is_some();
    (is_list || is_named()).then_some(Dialect::V2)
}

/// Whether a line is the first of a request of HTTP, or of TLS. Of one that is cut off, the method
/// is enough.
///
/// ```
/// use switchboard::envelope::is_other_protocol;
///
/// assert!(is_other_protocol(b"POST / HTTP/1.1\r"));
/// assert!(!is_other_protocol(br#"{"Method":"POST / HTTP/1.1"}"#));
/// ```
#[must_use]
pub fn is_other_protocol(line: &[u8]) -> bool {
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let is_method = (1..=METHOD_BYTES_MAX).contains(&method) && line.get(method) == Some(&b' ');
    let last = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let is_http = is_method && (last.starts_with(b"HTTP/") || line.len() > REQUEST_BYTES_USUAL);
    is_http || line.first() == Some(&TLS)
}

/// Where the one element of a list is in its text, if that is a list of one.
///
/// ```
/// use switchboard::envelope::lone;
///
/// assert_eq!(lone(r#"[ "item1" ]"#), Some(2..9));
/// assert_eq!(lone("[1,2]"), None);
/// assert_eq!(lone("1"), None);
/// ```
#[must_use]
pub fn lone(params: &str) -> Option<Place> {
    let inner = params.strip_prefix('[')?;
    let entries = read(params, |decoder| decoder.deserialize_any(Entries { max: 1 })).ok()?;
    let ([raw], 1) = (&entries.raw[..], entries.count) else { return None };
    let raw = raw.get();
    let blank = inner.len().saturating_sub(inner.trim_start_matches(is_blank).len());
    let begin = blank.saturating_add(1);
    Some(begin..begin.saturating_add(raw.len()))
}

/// The first byte that is not white space.
fn first(text: &str) -> Option<u8> {
    text.trim_start_matches(is_blank).bytes().next()
}

/// White space of JSON.
fn is_blank(symbol: char) -> bool {
    matches!(symbol, ' ' | '\t' | '\n' | '\r')
}

fn members(text: &str) -> Result<Members<'_>, Flaw> {
    read(text, |decoder| decoder.deserialize_any(Members::default()))
}

fn read_batch(text: &str, entries_max: usize) -> Result<Vec<Asked<'_>>, Flaw> {
    let entries = Entries { max: entries_max };
    let List { raw, count } = read(text, |decoder| decoder.deserialize_any(entries))?;
    if count == 0 {
        return Err(Flaw::EmptyBatch);
    }
    if count > entries_max {
        return Err(Flaw::LongBatch(count, entries_max));
    }
    Ok(raw.into_iter().map(entry).collect())
}

/// One entry of a batch.
fn entry(raw: &RawValue) -> Asked<'_> {
    match members(raw.get()) {
        Ok(members) => members.v2(),
        Err(_) => flawed(Dialect::V2, None, Flaw::NoObject),
    }
}

fn flawed(dialect: Dialect, id: Option<&str>, flaw: Flaw) -> Asked<'_> {
    Asked { dialect, id, is_answered: true, call: Err(flaw) }
}

type Decoder<'l> = serde_json::Deserializer<StrRead<'l>>;

/// Reads the whole of a text, one level of it: `read` must not go into any further.
fn read<'l, T>(
    text: &'l str,
    read: impl FnOnce(&mut Decoder<'l>) -> serde_json::Result<T>,
) -> Result<T, Flaw> {
    let mut decoder = Decoder::from_str(text);
    let value = read(&mut decoder).and_then(|value| decoder.end().map(|()| value));
    value.map_err(|cause| match cause.classify() {
        Category::Eof => Flaw::Unfinished,
        // Of a text with line ends in it the column says nothing.
        _ if cause.line() > 1 => Flaw::Syntax(text.len()),
        Category::Io | Category::Syntax | Category::Data => Flaw::Syntax(cause.column()),
    })
}

/// The elements of a list, of which so many are kept.
struct Entries {
    max: usize,
}

struct List<'l> {
    raw: Vec<&'l RawValue>,
    count: usize,
}

impl<'l> Visitor<'l> for Entries {
    type Value = List<'l>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<List<'l>, A::Error> {
        let mut raw = Vec::new();
        while raw.len() < self.max
            && let Some(entry) = list.next_element()?
        {
            raw.push(entry);
        }
        let mut count = raw.len();
        // At the end of a list that was not too long there is one question more, which is allowed.
        while list.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(List { raw, count })
    }
}

/// The members of an object that some dialect knows, each as its text.
#[derive(Default)]
struct Members<'l> {
    texts: [Option<&'l str>; NAMES.len()],
    twice: [bool; NAMES.len()],
}

/// One of them, by its place in [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
    BareMethod,
    BareParams,
}

const NAMES: [(&str, Member); 6] = [
    ("jsonrpc", Member::Jsonrpc),
    ("id", Member::Id),
    ("method", Member::Method),
    ("params", Member::Params),
    ("Method", Member::BareMethod),
    ("Params", Member::BareParams),
];

/// A key of an object: a member, or another.
struct Key(Option<Member>);

impl<'l> Deserialize<'l> for Key {
    fn deserialize<D: Deserializer<'l>>(decoder: D) -> Result<Self, D::Error> {
        struct Named;

        impl Visitor<'_> for Named {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                let known = NAMES.iter().find(|(name, _)| *name == key);
                Ok(Key(known.map(|(_, member)| *member)))
            }
        }

        decoder.deserialize_identifier(Named)
    }
}

impl<'l> Visitor<'l> for Members<'l> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(mut self, mut object: A) -> Result<Self, A::Error> {
        while let Some(Key(member)) = object.next_key()? {
            let Some(member) = member else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let text: &RawValue = object.next_value()?;
            if let Some(place) = self.texts.get_mut(member as usize)
                && place.replace(text.get()).is_some()
                && let Some(twice) = self.twice.get_mut(member as usize)
            {
                *twice = true;
            }
        }
        Ok(self)
    }
}

impl<'l> Members<'l> {
    fn text(&self, member: Member) -> Option<&'l str> {
        self.texts.get(member as usize).copied().flatten()
    }

    fn is_twice(&self, member: Member) -> bool {
        self.twice.get(member as usize).copied().unwrap_or_default()
    }

    /// One of these that is there twice.
    fn find_twice(&self, is_meant: fn(Member) -> bool) -> Option<Member> {
        let members = NAMES.iter().map(|(_, member)| *member);
        members.into_iter().find(|member| is_meant(*member) && self.is_twice(*member))
    }

    /// What an object is that has a line to itself.
    fn line(self) -> Line<'l> {
        if self.text(Member::Jsonrpc).is_some() {
            return Line::One(self.v2());
        }
        if let Some(id) = self.text(Member::Id) {
            return Line::One(self.v1(id));
        }
        if self.texts.iter().all(Option::is_none) {
            return Line::Bad(None, Flaw::NoMethod);
        }
        Line::One(self.bare())
    }

    fn v2(&self) -> Asked<'l> {
        let given = self.text(Member::Id);
        let id = given.filter(|id| !self.is_twice(Member::Id) && is_id(id));
        let twice = self.find_twice(Member::is_of_json_rpc);
        let flaw = match (self.text(Member::Jsonrpc), twice) {
            (_, Some(member)) => Some(Flaw::Twice(member.name())),
            (Some(r#""2.0""#), _) if given.is_some() && id.is_none() => Some(Flaw::BadId),
            (Some(r#""2.0""#), _) => None,
            _ => Some(Flaw::BadVersion),
        };
        let call = match flaw {
            Some(flaw) => Err(flaw),
            None => called(self.text(Member::Method), self.text(Member::Params)),
        };
        // Without an id it is a notification, if it is sound.
        Asked { dialect: Dialect::V2, id, is_answered: id.is_some() || call.is_err(), call }
    }

    fn v1(&self, given: &'l str) -> Asked<'l> {
        let id = (!self.is_twice(Member::Id)).then_some(given);
        let call = match self.find_twice(Member::is_of_json_rpc) {
            Some(member) => Err(Flaw::Twice(member.name())),
            None => called(self.text(Member::Method), self.text(Member::Params)),
        };
        Asked { dialect: Dialect::V1, id, is_answered: given != "null" || call.is_err(), call }
    }

    fn bare(&self) -> Asked<'l> {
        let (upper, lower) = (self.text(Member::BareMethod), self.text(Member::Method));
        let (params, lower_params) = (self.text(Member::BareParams), self.text(Member::Params));
        let twice = match self.find_twice(|_| true) {
            Some(member) => Some(member),
            None if upper.and(lower).is_some() => Some(Member::BareMethod),
            None => params.and(lower_params).map(|_| Member::BareParams),
        };
        let call = match twice {
            Some(member) => Err(Flaw::Twice(member.name())),
            None => called(upper.or(lower), params.or(lower_params)),
        };
        Asked { dialect: Dialect::Bare, id: None, is_answered: true, call }
    }
}

impl Member {
    fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(name, _)| name)
    }

    /// Whether it is more to JSON-RPC than any other key.
    fn is_of_json_rpc(self) -> bool {
        !matches!(self, Self::BareMethod | Self::BareParams)
    }
}

/// Whether a text of JSON is what an id can be.
fn is_id(text: &str) -> bool {
    text == "null" || text.starts_with(['"', '-']) || text.starts_with(|c: char| c.is_ascii_digit())
}

fn called<'l>(method: Option<&'l str>, params: Option<&'l str>) -> Result<Called<'l>, Flaw> {
    let quoted = method.ok_or(Flaw::NoMethod)?;
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.ok_or(Flaw::BadMethod)?;
    let method = if inner.contains('\\') {
        let unescaped: String = serde_json::from_str(quoted).map_err(|_| Flaw::BadMethod)?;
        Cow::Owned(unescaped)
    } else {
        Cow::Borrowed(inner)
    };
    Ok(Called { method, params: params.unwrap_or("null") })
}

/// A word of HTTP such as `OPTIONS`, and longer ones that nobody uses.
const METHOD_BYTES_MAX: usize = 32;

/// No person types a longer line that is not JSON.
const REQUEST_BYTES_USUAL: usize = 8 * 1024;

/// The first byte of a handshake.
const TLS: u8 = 0x16;
