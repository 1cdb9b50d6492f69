//! Which value of a JSON text an error speaks of: `serde_json` says how far it had read.
//!
//! It is asked only about texts that were refused, so reading costs nothing for it. What comes
//! behind the error has not been read by anybody and may be no JSON.

use crate::limits::Limits;

/// The way to a value, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location<'p> {
    pub(super) steps: Vec<Step<'p>>,
    /// The text from the value on.
    pub(super) value: &'p [u8],
    /// How much of that had been read.
    pub(super) read_bytes: usize,
}

/// From a value to one within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'p> {
    /// Of an object: the key as it stands there, with its escapes.
    Key(&'p [u8]),
    /// Of a list.
    Index(usize),
}

/// The value that was being read when `read_bytes` had been read: the innermost one that had begun
/// by then and had not ended before. A value that begins just there is it, too. `None` if it lies
/// too deep, or behind the text's own value.
pub(super) fn locate(text: &[u8], read_bytes: usize) -> Option<Location<'_>> {
    let mut around: Vec<Around<'_>> = Vec::new();
    for token in tokens(text) {
        let is_last = token.end >= read_bytes;
        match token.kind {
            Kind::Close if is_last => break,
            Kind::Close => {
                around.pop();
                around.last_mut()?.go_on();
            }
            Kind::Scalar if around.last().is_some_and(|around| around.is_key_next) => {
                if let Some(object) = around.last_mut() {
                    object.step = Step::Key(token.content(text));
                    object.is_key_next = false;
                }
                if is_last {
                    break;
                }
            }
            _ if token.begin > read_bytes => break,
            Kind::Scalar if !is_last => around.last_mut()?.go_on(),
            Kind::Open { is_object } if token.begin < read_bytes => {
                if around.len() >= Limits::DEPTH_MOST {
                    return None;
                }
                around.push(Around::new(token.begin, is_object));
            }
            Kind::Scalar | Kind::Open { .. } => {
                return Some(value(text, read_bytes, &around, token.begin));
            }
        }
    }
    let begin = around.pop()?.begin;
    Some(value(text, read_bytes, &around, begin))
}

/// The keys of the object at a location, as far as it was read; each with whether it was the last
/// thing that was read.
pub(super) fn keys<'p>(
    location: &Location<'p>,
) -> impl Iterator<Item = (&'p [u8], bool)> + use<'p> {
    let (text, read_bytes) = (location.value, location.read_bytes);
    let (mut tokens, mut depth, mut is_key_next, mut is_over) =
        (tokens(text), 0_usize, true, false);
    std::iter::from_fn(move || {
        while !is_over {
            let token = tokens.next()?;
            let is_last = token.end >= read_bytes;
            let is_key = matches!(token.kind, Kind::Scalar) && depth == 1 && is_key_next;
            match token.kind {
                Kind::Open { .. } => depth = depth.saturating_add(1),
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Scalar => {}
            }
            if depth == 1 {
                // After a key comes its value, and after that the next key; first comes the object.
                is_key_next = !is_key;
            }
            is_over = is_last || depth == 0;
            if is_key {
                return Some((token.content(text), is_last));
            }
        }
        None
    })
}

fn value<'p>(
    text: &'p [u8],
    read_bytes: usize,
    around: &[Around<'p>],
    begin: usize,
) -> Location<'p> {
    Location {
        steps: around.iter().map(|around| around.step).collect(),
        value: text.get(begin..).unwrap_or_default(),
        read_bytes: read_bytes.saturating_sub(begin),
    }
}

/// A list or an object that a value lies in, and where in it.
struct Around<'p> {
    begin: usize,
    step: Step<'p>,
    is_key_next: bool,
}

impl Around<'_> {
    fn new(begin: usize, is_object: bool) -> Self {
        let step = if is_object { Step::Key(b"") } else { Step::Index(0) };
        Self { begin, step, is_key_next: is_object }
    }

    /// A value has ended.
    fn go_on(&mut self) {
        match &mut self.step {
            Step::Key(_) => self.is_key_next = true,
            Step::Index(index) => *index = index.saturating_add(1),
        }
    }
}

/// A bracket, or a text, a number or a word.
struct Token {
    begin: usize,
    end: usize,
    kind: Kind,
}

enum Kind {
    Open { is_object: bool },
    Close,
    Scalar,
}

impl Token {
    /// What is between the quotes of a text.
    fn content<'p>(&self, text: &'p [u8]) -> &'p [u8] {
        let end = self.end.saturating_sub(1);
        text.get(self.begin.saturating_add(1)..end).unwrap_or_default()
    }
}

fn tokens(text: &[u8]) -> impl Iterator<Item = Token> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_between = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b':');
        let begin = skip(text, at, is_between);
        let kind = match text.get(begin)? {
            b'[' => Kind::Open { is_object: false },
            b'{' => Kind::Open { is_object: true },
            b']' | b'}' => Kind::Close,
            _ => Kind::Scalar,
        };
        let next = begin.saturating_add(1);
        at = match (&kind, text.get(begin)) {
            (Kind::Scalar, Some(b'"')) => string_end(text, next),
            (Kind::Scalar, _) => {
                let is_end = |byte| is_between(byte) || matches!(byte, b'[' | b']' | b'{' | b'}');
                skip(text, next, |byte| !is_end(byte))
            }
            _ => next,
        };
        Some(Token { begin, end: at, kind })
    })
}

fn skip(text: &[u8], at: usize, is_skipped: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let count = rest.iter().position(|byte| !is_skipped(*byte)).unwrap_or(rest.len());
    at.saturating_add(count)
}

/// Behind the quote that ends a string.
fn string_end(text: &[u8], mut at: usize) -> usize {
    loop {
        at = skip(text, at, |byte| !matches!(byte, b'"' | b'\\'));
        match text.get(at) {
            Some(b'\\') => at = at.saturating_add(2),
            Some(_) => return at.saturating_add(1),
            None => return text.len(),
        }
    }
}

#[cfg(test)]
mod tests;
