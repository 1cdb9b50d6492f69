//! One datagram as one call, and what is answered to it.
//!
//! ```text
//! NAME TAG LEN [KEY=VALUE ..] LF  LEN bytes                ──►  <TAG ok LEN LF  LEN bytes
//! NAME [FORMAT] LF  payload [LF [blanks]]                  ──►  <0 ok LEN LF  LEN bytes
//!                                          or, of either,  ──►  <TAG err LEN CODE LF  LEN bytes
//! ```
//!
//! **All answers begin with `<`, and nothing that does is answered.** So two doors that take each
//! other for callers, by mistake or because somebody has forged an address, fall silent after one
//! answer. A plain call gets the tag 0 for that: its bare reply could be read as a call.
//!
//! **An answer is no longer than it may be**: whoever sends it says how long, and that is mostly as
//! long as the call was. A caller that expects more makes its call longer. `pad=` does that, or any
//! other key that means nothing, and behind a plain payload blanks do. What does not fit is
//! shortened by what can be missed: first the text of an error goes, with all that is beside it,
//! and then the whole answer. A reply is never cut: an error says how long it would have been.
//!
//! The decoder of streams reads the line, so a line means the same in both. This knows neither
//! sockets nor addresses, nor how often somebody may call.

use bytes::{Bytes, BytesMut};

use super::{Decoder, Event, FormatWord, Line, Metadata, Name, Options, Part, Tag};
use crate::error::{Code, CodeWord, Error, Told};

/// A call that is a datagram by itself.
///
/// ```
/// use switchboard::wire::DatagramCall;
///
/// let call = DatagramCall::parse(b"ADD 7 5 f=json pad=......\n[1,2]", 8192).unwrap();
/// assert_eq!((call.name.as_str(), call.answer_tag()), ("ADD", Some(7)));
/// assert_eq!(call.payload, "[1,2]");
///
/// let call = DatagramCall::parse(b"ADD json\n[1,2]\n        ", 8192).unwrap();
/// assert_eq!((call.answer_tag(), &*call.payload), (Some(0), &b"[1,2]"[..]));
///
/// // An answer is not a call.
/// assert_eq!(DatagramCall::parse(b"<7 ok 1\n3", 8192), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramCall {
    /// The command.
    pub name: Name,
    /// The caller's number for it; `None` if it is plain.
    pub tag: Option<Tag>,
    /// What else the caller says. Of a plain call it is the format, if that.
    pub options: Options,
    /// The payload. Of a plain call it is a line without its end.
    pub payload: Bytes,
}

impl DatagramCall {
    /// Reads a datagram, of which the line may have so many bytes; `None` if it is not one whole
    /// call and nothing else.
    #[must_use]
    pub fn parse(datagram: &[u8], line_bytes_max: usize) -> Option<Self> {
        let mut decoder = Decoder::new(line_bytes_max, datagram.len());
        let mut input = BytesMut::from(datagram);
        let Ok(Some(Event::Line(line))) = decoder.decode(&mut input) else {
            return None;
        };
        match line {
            Line::Call { name, tag, len, options } => {
                let is_whole = usize::try_from(len).is_ok_and(|len| len == input.len());
                let payload = input.freeze();
                is_whole.then_some(Self { name, tag: Some(tag), options, payload })
            }
            Line::Plain { name, format } => {
                let payload = line_of(&input.freeze())?;
                Some(Self { name, tag: None, options: Options::new(format, None), payload })
            }
            Line::Request(..) | Line::Reply(..) => None,
        }
    }

    /// The format that it names.
    #[must_use]
    pub fn format(&self) -> Option<FormatWord> {
        self.options.format()
    }

    /// The tag of its answer; `None` if it wants none.
    #[must_use]
    pub fn answer_tag(&self) -> Option<Tag> {
        Some(self.tag.unwrap_or_default()).filter(|_| self.tag != Some(0))
    }
}

/// A reply as a datagram of at most `bytes_max` bytes. If that is too few, an error that says so,
/// if there is room for it.
///
/// With tag 0, for a person, a payload that does not end with a line end gets one.
#[must_use]
pub fn reply_datagram(
    tag: Tag,
    payload: &[u8],
    metadata: &Metadata,
    bytes_max: usize,
) -> Option<BytesMut> {
    let end = line_end(tag, payload);
    let len = payload.len().saturating_add(end.len());
    let options = Options::default().with_metadata(metadata);
    let mut datagram = BytesMut::new();
    Line::Reply(tag, Part::Ok(bytes(len)), options).encode(&mut datagram);
    let whole = datagram.len().saturating_add(len);
    if whole > bytes_max {
        let text =
            format!("the answer has {whole} bytes, and {bytes_max} may be sent: pad the call");
        return error_datagram(tag, &Error::found(Code::TooLarge, text).after_running(), bytes_max);
    }
    datagram.extend_from_slice(payload);
    datagram.extend_from_slice(end);
    Some(datagram)
}

/// An error as a datagram of at most `bytes_max` bytes: without its text and all that is beside it
/// if there is no room for them, and none at all if there is none for its code.
#[must_use]
pub fn error_datagram(tag: Tag, error: &Error, bytes_max: usize) -> Option<BytesMut> {
    let Told { word, text, retry_after, details } = said(error);
    let whole = |text: &str, details: &[u8], metadata: &Metadata| {
        let end = line_end(tag, text.as_bytes());
        let len = text.len().saturating_add(end.len()).saturating_add(details.len());
        let options = Options::of_error(bytes(details.len()), retry_after, error.has_run());
        let mut datagram = BytesMut::new();
        let part = Part::Err(bytes(len), word);
        Line::Reply(tag, part, options.with_metadata(metadata)).encode(&mut datagram);
        for part in [text.as_bytes(), end, details] {
            datagram.extend_from_slice(part);
        }
        Some(datagram).filter(|datagram| datagram.len() <= bytes_max)
    };
    whole(text, details, &error.metadata()).or_else(|| whole("", &[], &Metadata::default()))
}

/// What is said of an error. One that a handler's caller within this process was told is told on.
fn said(error: &Error) -> Told<'_> {
    if !error.is_from_peer() {
        return error.told();
    }
    let word = CodeWord::parse(error.code_word().as_bytes());
    let details = error.encoded_details();
    Told {
        word: word.unwrap_or_else(|| error.code().into()),
        text: error.text(),
        retry_after: error.retry_after(),
        details: details.map_or(&[], |(_, bytes)| bytes),
    }
}

/// The payload in what is left of a datagram: a line, and nothing but blanks behind it.
fn line_of(rest: &Bytes) -> Option<Bytes> {
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return Some(rest.clone());
    };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    if !rest.get(end..).unwrap_or_default().iter().all(is_blank) {
        return None;
    }
    let line = rest.slice(..end);
    let text_bytes = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
    Some(line.slice(..text_bytes))
}

/// For a person who called by hand.
fn line_end(tag: Tag, body: &[u8]) -> &'static [u8] {
    if tag != 0 || body.is_empty() || body.ends_with(b"\n") { b"" } else { b"\n" }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_BYTES_MAX: usize = 8192;

    #[test]
    fn a_datagram_is_one_whole_call_or_nothing() {
        // (datagram, name, tag of the call, its options, payload), or nothing if it is no call
        type Call = (&'static str, Option<Tag>, &'static str, &'static str);
        let check = |datagram: &str, expected: Option<Call>| {
            let call = DatagramCall::parse(datagram.as_bytes(), LINE_BYTES_MAX);
            let expected = expected.map(|(name, tag, options, payload)| {
                let call = call.clone().unwrap_or_else(|| panic!("{datagram:?} is no call"));
                assert_eq!(call.options.as_bytes(), options.as_bytes(), "{datagram:?}");
                let name = Name::parse(name.as_bytes()).unwrap();
                DatagramCall { name, tag, options: call.options, payload: payload.into() }
            });
            assert_eq!(call, expected, "{datagram:?}");
        };
        check("ADD 7 5 f=json\n[1,2]", Some(("ADD", Some(7), "f=json", "[1,2]")));
        check("ADD 7 5 f=json\r\n[1,2]", Some(("ADD", Some(7), "f=json", "[1,2]")));
        check("ADD 0 0\n", Some(("ADD", Some(0), "", "")));
        check("ADD 7 0 pad=xxx\n", Some(("ADD", Some(7), "pad=xxx", "")));
        check("?\n", Some(("?", None, "", "")));
        check(" ? \n", Some(("?", None, "", "")));
        check("ADD json\n[1,2]\n", Some(("ADD", None, "f=json", "[1,2]")));
        check("ADD json\n[1,2]", Some(("ADD", None, "f=json", "[1,2]")));
        check("ADD json\n[1,2]\r\n  \n \r\n", Some(("ADD", None, "f=json", "[1,2]")));
        check("ECHO\n", Some(("ECHO", None, "", "")));
        check("ECHO\n\n", Some(("ECHO", None, "", "")));
        check("ECHO\n  hi \n", Some(("ECHO", None, "", "  hi ")));
        let none = [
            "",
            "\n",
            "?",
            "ADD",
            "ADD 7 5\n[1,2",
            "ADD 7 5\n[1,2]\n",
            "ADD 7 5\n[1,2]ADD 8 0\n",
            "ADD 7 18446744073709551615\n",
            "ADD 7\n",
            "ECHO\nhi\nECHO\nho\n",
            "ECHO\nhi\n\0",
            "<7 ok 1\n3",
            "<0 err 0 failed\n",
            "<7 open\n",
            ">7 cancel\n",
            ">7 item 1\nx",
            "7UP\n",
            "{\"jsonrpc\":\"2.0\"}\n",
            "GET / HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "ä\n",
        ];
        none.into_iter().for_each(|datagram| check(datagram, None));
        let long = format!("ADD 7 0 pad={}\n", "x".repeat(LINE_BYTES_MAX - 13));
        assert_eq!(long.len(), LINE_BYTES_MAX);
        assert!(DatagramCall::parse(long.as_bytes(), LINE_BYTES_MAX).is_some());
        assert!(DatagramCall::parse(long.as_bytes(), LINE_BYTES_MAX - 1).is_none());
    }

    #[test]
    fn whose_answer_goes_under_which_tag() {
        for (datagram, tag) in [("A 7 0\n", Some(7)), ("A 0 0\n", None), ("A\n", Some(0))] {
            let call = DatagramCall::parse(datagram.as_bytes(), LINE_BYTES_MAX).unwrap();
            assert_eq!(call.answer_tag(), tag, "{datagram:?}");
        }
    }

    #[test]
    fn a_reply_is_whole_or_an_error_says_how_long_it_is() {
        let check = |tag, payload: &str, bytes_max, expected: Option<&str>| {
            let metadata = Metadata::default().with("a-b", "1").unwrap();
            let metadata = if tag == 9 { metadata } else { Metadata::default() };
            let datagram = reply_datagram(tag, payload.as_bytes(), &metadata, bytes_max);
            let datagram = datagram.as_deref().map(|bytes| std::str::from_utf8(bytes).unwrap());
            assert_eq!(datagram, expected, "{tag} {payload} {bytes_max}");
        };
        check(7, "144", 11, Some("<7 ok 3\n144"));
        check(9, "144", 17, Some("<9 ok 3 a-b=1\n144"));
        check(0, "144", 12, Some("<0 ok 4\n144\n"));
        check(0, "144\n", 12, Some("<0 ok 4\n144\n"));
        check(0, "", 8, Some("<0 ok 0\n"));
        check(7, "144", 10, None);
        check(9, "144", 16, None);
        check(7, &"x".repeat(30), 26, Some("<7 err 0 too_large ran=1\n"));
        check(7, &"x".repeat(30), 24, None);
        let told = "the answer has 210 bytes, and 84 may be sent: pad the call";
        check(7, &"x".repeat(200), 84, Some(&format!("<7 err 58 too_large ran=1\n{told}")));
    }

    #[test]
    fn an_error_keeps_its_code_as_long_as_it_can() {
        let error = Error::new(Code::Overloaded, "there is no room").after_running();
        let error = error.with_retry_after(std::time::Duration::from_millis(250));
        let check = |tag, bytes_max, expected: Option<&str>| {
            let datagram = error_datagram(tag, &error, bytes_max);
            let datagram = datagram.as_deref().map(|bytes| std::str::from_utf8(bytes).unwrap());
            assert_eq!(datagram, expected, "{tag} {bytes_max}");
        };
        let whole = "<7 err 16 overloaded retry=250 ran=1\nthere is no room";
        check(7, whole.len(), Some(whole));
        check(7, whole.len() - 1, Some("<7 err 0 overloaded retry=250 ran=1\n"));
        check(7, 36, Some("<7 err 0 overloaded retry=250 ran=1\n"));
        check(7, 35, None);
        check(0, 99, Some("<0 err 17 overloaded retry=250 ran=1\nthere is no room\n"));
    }

    #[test]
    fn nothing_that_is_answered_is_a_call() {
        let payloads = ["", "ECHO\nhi\n", "A 1 0\n", "\n", "<", "100"];
        for (tag, payload) in
            [0, 1, Tag::MAX].into_iter().flat_map(|tag| payloads.map(|p| (tag, p)))
        {
            let reply = reply_datagram(tag, payload.as_bytes(), &Metadata::default(), 999).unwrap();
            assert_eq!(DatagramCall::parse(&reply, LINE_BYTES_MAX), None);
            let error = Error::new(Code::Failed, payload.to_owned());
            let error = error_datagram(tag, &error, 999).unwrap();
            assert_eq!(DatagramCall::parse(&error, LINE_BYTES_MAX), None);
        }
    }
}
