//! Whether a text is one JSON value that may be a schema.

use std::fmt;

/// A text that is not a JSON Schema, since it is not one JSON object, `true` or `false`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJson {
    offset: usize,
    wanted: &'static str,
}

impl InvalidJson {
    /// How many bytes of the text are good.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {} at byte {} of a JSON Schema", self.wanted, self.offset)
    }
}

impl std::error::Error for InvalidJson {}

/// Objects and arrays inside each other.
const DEPTH_MAX: usize = 128;

pub(super) fn check(text: &str) -> Result<(), InvalidJson> {
    let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
    cursor.skip_space();
    match cursor.peek() {
        Some(b'{' | b't' | b'f') => cursor.value(0)?,
        _ => return cursor.fail("an object, true or false"),
    }
    cursor.skip_space();
    if cursor.peek().is_some() { cursor.fail("the end") } else { Ok(()) }
}

struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn value(&mut self, depth: usize) -> Result<(), InvalidJson> {
        self.skip_space();
        match self.peek() {
            _ if depth > DEPTH_MAX => self.fail("no more than 128 levels"),
            Some(b'{') => self.list(b'}', |cursor| {
                cursor.skip_space();
                cursor.string()?;
                cursor.skip_space();
                cursor.expect(b":", "`:`")?;
                cursor.value(depth.saturating_add(1))
            }),
            Some(b'[') => self.list(b']', |cursor| cursor.value(depth.saturating_add(1))),
            Some(b'"') => self.string(),
            Some(b't') => self.expect(b"true", "true"),
            Some(b'f') => self.expect(b"false", "false"),
            Some(b'n') => self.expect(b"null", "null"),
            _ => self.number(),
        }
    }

    /// Items with commas between them, from the bracket that is there to `end`.
    fn list(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), InvalidJson>,
    ) -> Result<(), InvalidJson> {
        self.next();
        self.skip_space();
        if self.take(end) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_space();
            if self.take(end) {
                return Ok(());
            }
            self.expect(b",", "`,` or a bracket")?;
        }
    }

    fn string(&mut self) -> Result<(), InvalidJson> {
        self.expect(b"\"", "a string")?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.next();
                    return Ok(());
                }
                Some(b'\\') => {
                    self.next();
                    self.escape()?;
                }
                Some(0x20..) => self.next(),
                _ => return self.fail("the rest of a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), InvalidJson> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.next(),
            Some(b'u') => {
                self.next();
                for _ in 0..4 {
                    match self.peek() {
                        Some(digit) if digit.is_ascii_hexdigit() => self.next(),
                        _ => return self.fail("four digits"),
                    }
                }
            }
            _ => return self.fail("an escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), InvalidJson> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits("a value")?;
        }
        if self.take(b'.') {
            self.digits("a digit")?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits("a digit")?;
        }
        Ok(())
    }

    fn digits(&mut self, wanted: &'static str) -> Result<(), InvalidJson> {
        let is_digit = |cursor: &Self| cursor.peek().is_some_and(|byte| byte.is_ascii_digit());
        if !is_digit(self) {
            return self.fail(wanted);
        }
        while is_digit(self) {
            self.next();
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.next();
        }
    }

    fn expect(&mut self, word: &[u8], wanted: &'static str) -> Result<(), InvalidJson> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail(wanted);
        }
        self.at = self.at.saturating_add(word.len());
        Ok(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.next();
        }
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn fail(&self, wanted: &'static str) -> Result<(), InvalidJson> {
        Err(InvalidJson { offset: self.at, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_schema_is_refused_with_its_place() {
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        // (text, the error; nothing if it is good)
        let cases = [
            ("{}".to_owned(), ""),
            (" true ".to_owned(), ""),
            ("false".to_owned(), ""),
            (r#"{"a": [1, -0.5e+7, 20E-1, "\u00e9\n", null, {}, []]}"#.to_owned(), ""),
            (deep(128), ""),
            (deep(129), "wanted no more than 128 levels at byte 133 of a JSON Schema"),
            (String::new(), "wanted an object, true or false at byte 0 of a JSON Schema"),
            ("[]".to_owned(), "wanted an object, true or false at byte 0 of a JSON Schema"),
            ("{} {}".to_owned(), "wanted the end at byte 3 of a JSON Schema"),
            ("{\"a\"}".to_owned(), "wanted `:` at byte 4 of a JSON Schema"),
            ("{\"a\":}".to_owned(), "wanted a value at byte 5 of a JSON Schema"),
            ("{\"a\":1,}".to_owned(), "wanted a string at byte 7 of a JSON Schema"),
            ("{\"a\":01}".to_owned(), "wanted `,` or a bracket at byte 6 of a JSON Schema"),
            ("{\"a\":1.}".to_owned(), "wanted a digit at byte 7 of a JSON Schema"),
            ("{\"a\":\"\n\"}".to_owned(), "wanted the rest of a string at byte 6 of a JSON Schema"),
            ("{\"\\x\":1}".to_owned(), "wanted an escape at byte 3 of a JSON Schema"),
            ("{\"\\u12\":1}".to_owned(), "wanted four digits at byte 6 of a JSON Schema"),
            ("tru".to_owned(), "wanted true at byte 0 of a JSON Schema"),
        ];
        for (text, wanted) in cases {
            let error = check(&text).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(error, wanted, "{text}");
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert!(!wanted.is_empty() || is_json || text == deep(128), "{text}");
        }
    }
}
