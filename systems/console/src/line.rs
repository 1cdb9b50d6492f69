//! What a person types: a text, or the call of a command with JSON.
//!
//! The rule must be one that fits on a line of `--help`, and must not take a text for a call: a
//! sentence seldom begins with a word in capitals before something that looks like JSON. What looks
//! like a call and has a mistake in its JSON is told, and not sent as a text.

use serde_json::Value;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// For the command `QUERY`.
    Text(String),
    /// For another one.
    Call {
        /// The command.
        name: String,
        /// Its request.
        request: Value,
    },
}

impl Line {
    /// What the line is; `None` if there is nothing on it.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let text = || Self::Text(line.trim().to_owned());
        let Some((name, rest)) = line.split_once(' ') else { return Ok(Some(text())) };
        let rest = rest.trim();
        if !is_name(name) || !begins_json(rest) {
            return Ok(Some(text()));
        }
        match serde_json::from_str(rest) {
            Ok(request) => Ok(Some(Self::Call { name: name.to_owned(), request })),
            Err(error) => Err(format!("what is behind {name} is not JSON: {error}")),
        }
    }
}

/// Capitals, digits, and the signs between the parts of a name. A prefix in small letters is part
/// of a name as well: `jobs.ADD`.
fn is_name(word: &str) -> bool {
    let (prefix, name) = word.rsplit_once('.').unwrap_or(("", word));
    let is_in = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_in_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.starts_with(|char: char| char.is_ascii_uppercase())
        && name.bytes().all(is_in)
        && prefix.bytes().all(is_in_prefix)
}

fn begins_json(text: &str) -> bool {
    let signs = ['{', '[', '"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
    text.starts_with(signs) || matches!(text, "null" | "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text stands as it is sent, a call as `NAME json`, and a mistake as `error`.
    fn check(line: &str, expected: &str) {
        let shown = match Line::parse(line) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(Line::Text(text))) => format!("text {text}"),
            Ok(Some(Line::Call { name, request })) => format!("call {name} {request}"),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(shown, expected, "{line:?}");
    }

    #[test]
    fn a_line_is_a_text_or_a_call() {
        check("", "nothing");
        check("  \t", "nothing");
        check("how are you?", "text how are you?");
        check("ADD [1, 2]", "call ADD [1,2]");
        check("ADD   [1, 2]  ", "call ADD [1,2]");
        check("CREATE_TODO {\"title\": \"milk\"}", "call CREATE_TODO {\"title\":\"milk\"}");
        check("jobs.ADD 7", "call jobs.ADD 7");
        check("STATUS null", "call STATUS null");
        check("NEGATE -1.5", "call NEGATE -1.5");
        check("SHOUT \"a b\"", "call SHOUT \"a b\"");
        // Nothing behind the name, or no JSON.
        check("STATUS", "text STATUS");
        check("STATUS nullable", "text STATUS nullable");
        check("I think so", "text I think so");
        check("Add [1, 2]", "text Add [1, 2]");
        check("add [1, 2]", "text add [1, 2]");
        check(" ADD [1, 2]", "text ADD [1, 2]");
        // It was to be a call.
        check("ADD [1, 2", "error");
        check("ADD {title: 1}", "error");
        check("ADD 1 2", "error");
    }
}
