//! The words of Rust code: names, numbers and signs, without comments and what is in quotes.
//!
//! It is no parser. Signs of two characters are one word where one of them would mislead: `::`
//! joins a path, `->` closes no bracket, `..` is no field, `!=` calls no macro.

/// The words of a text, in order. What is in quotes is one word, `""`.
pub(super) fn words(text: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let len = match unsaid_bytes(rest) {
            0 if is_name(first) => {
                let len = rest.find(|symbol| !is_name(symbol)).unwrap_or(rest.len());
                words.push(&rest[..len]);
                len
            }
            0 => {
                let is_pair = SIGNS.iter().any(|sign| rest.starts_with(sign));
                let len = if is_pair { 2 } else { first.len_utf8() };
                words.push(&rest[..len]);
                len
            }
            len => {
                if rest[..len].ends_with(['"', '#', '\'']) {
                    words.push("\"\"");
                }
                len
            }
        };
        rest = &rest[len..];
    }
    words
}

/// How much at the beginning is space, a comment, in quotes or a lifetime.
fn unsaid_bytes(rest: &str) -> usize {
    let end = |found: Option<usize>| found.unwrap_or(rest.len());
    if rest.starts_with(char::is_whitespace) {
        return end(rest.find(|symbol: char| !symbol.is_whitespace()));
    }
    if rest.starts_with("//") {
        return end(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return end(rest.find("*/").map(|at| at + 2));
    }
    let quoted = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - quoted.len();
    if prefix <= 1 && quoted.starts_with('"') {
        return prefix + quoted_bytes(quoted, '"');
    }
    if prefix <= 1 && quoted.starts_with('\'') {
        let mut after = quoted.chars().skip(1);
        let is_symbol = after.next() == Some('\\') || after.next() == Some('\'');
        let lifetime =
            quoted[1..].find(|symbol| !is_name(symbol)).map_or(quoted.len(), |at| at + 1);
        return prefix + if is_symbol { quoted_bytes(quoted, '\'') } else { lifetime };
    }
    let hashes = quoted.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    match hashes {
        Some(hashes) if prefix <= 1 && quoted[1 + hashes..].starts_with('"') => {
            let close = format!("\"{}", "#".repeat(hashes));
            let begin = prefix + hashes + 2;
            end(rest[begin..].find(&close).map(|at| begin + at + close.len()))
        }
        _ => 0,
    }
}

/// Bytes up to the closing quote, with both.
fn quoted_bytes(quoted: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, symbol) in quoted.char_indices().skip(1) {
        if symbol == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = symbol == '\\' && !is_escaped;
    }
    quoted.len()
}

pub(super) fn is_name(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '_'
}

const SIGNS: [&str; 5] = ["::", "->", "=>", "..", "!="];

#[test]
fn words_are_told_from_what_is_not_code() {
    let cases = [
        ("use a::b; // c::d", "use a :: b ;"),
        ("/* a { */ b\n/// c\nd", "b d"),
        ("f(\"a \\\" {\", 'x', '\\'', b'y', '{')", "f ( \"\" , \"\" , \"\" , \"\" , \"\" )"),
        ("r#\"a \" {\"# b\"c\" br\"d\\\" r", "\"\" \"\" \"\" r"),
        ("impl<'a> A<'a, '_> for B", "impl < > A < , > for B"),
        ("fn f() -> u8 { 0..N }", "fn f ( ) -> u8 { 0 .. N }"),
        ("bar(c.x != b!(r))", "bar ( c . x != b ! ( r ) )"),
    ];
    for (text, expected) in cases {
        assert_eq!(words(text).join(" "), expected, "{text}");
    }
}
