//! The parser and the printer, line by line.

use super::*;
use crate::error::{Code, Error};

#[test]
fn lines_are_what_they_say() {
    // (line, what it is; `!` before what is not answered)
    let cases = [
        (r#"{"Method":"CheckStock","Params":"item1"}"#, r#"Bare - CheckStock "item1""#),
        (r#" {"Params" : [1, 2] , "Method": "A"} "#, "Bare - A [1, 2]"),
        (r#"{"method":"A","params":1}"#, "Bare - A 1"),
        (r#"{"Method":"A"}"#, "Bare - A null"),
        (r#"{"Method":"A","else":{"Method":"B"}}"#, "Bare - A null"),
        (r#"{"\u004dethod":"\u0041"}"#, "Bare - A null"),
        (
            r#"{"method":"Arith.Multiply","params":[{"A":7}],"id":0}"#,
            r#"V1 0 Arith.Multiply [{"A":7}]"#,
        ),
        (r#"{"method":"A","params":[],"id":{"a":1}}"#, r#"V1 {"a":1} A []"#),
        (r#"{"method":"A","params":[],"id":null}"#, "!V1 null A []"),
        (r#"{"jsonrpc":"2.0","method":"A","params":[1],"id":"x"}"#, r#"V2 "x" A [1]"#),
        (r#"{"jsonrpc":"2.0","method":"A","params":{"a":1}}"#, r#"!V2 - A {"a":1}"#),
        (r#"{"jsonrpc":"2.0","method":"A","id":null}"#, "V2 null A null"),
        (r#"{"jsonrpc":"2.0","method":"A","id":-1.5e3}"#, "V2 -1.5e3 A null"),
        (r#"{"jsonrpc":"2.0","method":"A","Method":"B","id":1}"#, "V2 1 A null"),
        (r#"[{"jsonrpc":"2.0","method":"A","id":1}]"#, "[V2 1 A null]"),
    ];
    for (line, expected) in cases {
        assert_eq!(told(line.as_bytes(), 10), expected, "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_right_dialect() {
    use Flaw::{BadId, BadMethod, BadVersion, EmptyBatch, LongBatch, NoMethod, NoObject};
    use Flaw::{NotUtf8, OtherProtocol, Syntax, Twice, Unfinished};
    // (line, what is wrong, what it is answered as)
    let cases: [(&[u8], Flaw, &str); 38] = [
        (b"", Unfinished, "?"),
        (b"{", Unfinished, "?"),
        (br#"{"Method":"A""#, Unfinished, "?"),
        (br#"{"Method":"A"}}"#, Syntax(15), "?"),
        (b"GET / HTTP/1.1", OtherProtocol, "?"),
        (b"PRI * HTTP/2.0\r", OtherProtocol, "?"),
        (b"\x16\x03\x01\x02", OtherProtocol, "?"),
        (b"GET the stock of item1", Syntax(1), "?"),
        (b"get / HTTP/1.1", Syntax(1), "?"),
        (b"{'Method':1}", Syntax(2), "?"),
        (br#"{"Method":01}"#, Syntax(12), "?"),
        (b"{\"Method\":\"\x80\"}", NotUtf8, "?"),
        (br#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, Syntax(40), "V2 -"),
        (br#"[{"jsonrpc":"2.0","method":"sum"},{"jsonrpc":"2.0","method""#, Unfinished, "V2 -"),
        (b"[", Unfinished, "V2 -"),
        (b"[]", EmptyBatch, "V2 -"),
        (b" [ ] ", EmptyBatch, "V2 -"),
        (b"[1,2,3,4]", LongBatch(4, 3), "V2 -"),
        (b"1", NoObject, "?"),
        (b"null", NoObject, "?"),
        (br#""CheckStock""#, NoObject, "?"),
        (b"{}", NoMethod, "?"),
        (br#"{"foo":"boo"}"#, NoMethod, "?"),
        (br#"{"Params":1}"#, NoMethod, "Bare -"),
        (br#"{"Method":1}"#, BadMethod, "Bare -"),
        (br#"{"Method":"\ud800"}"#, BadMethod, "Bare -"),
        (br#"{"Method":"A","Method":"B"}"#, Twice("Method"), "Bare -"),
        (br#"{"Method":"A","method":"B"}"#, Twice("Method"), "Bare -"),
        (br#"{"Method":"A","Params":1,"params":2}"#, Twice("Params"), "Bare -"),
        (br#"{"id":7}"#, NoMethod, "V1 7"),
        (br#"{"id":7,"method":null}"#, BadMethod, "V1 7"),
        (br#"{"id":7,"id":8,"method":"A"}"#, Twice("id"), "V1 -"),
        (br#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, BadMethod, "V2 -"),
        (br#"{"jsonrpc":"2.0","method":"A","id":[1]}"#, BadId, "V2 -"),
        (br#"{"jsonrpc":"2.0","method":"A","id":true}"#, BadId, "V2 -"),
        (br#"{"jsonrpc":"1.0","method":"A","id":1}"#, BadVersion, "V2 1"),
        (br#"{"jsonrpc":2.0,"method":"A","id":1}"#, BadVersion, "V2 1"),
        (br#"{"jsonrpc":"2.0","params":1,"params":1,"id":1}"#, Twice("params"), "V2 1"),
    ];
    for (line, flaw, place) in cases {
        let shown = String::from_utf8_lossy(line);
        assert_eq!(told(line, 3), format!("{place} {flaw:?}"), "{shown}");
    }
}

#[test]
fn entries_of_a_batch_are_of_jsonrpc_2_and_stand_alone() {
    let line = br#"[1,{"foo":"boo"},{"method":"A","id":5},[],{"jsonrpc":"2.0","method":"A"}]"#;
    let expected = "[V2 - NoObject, V2 - BadVersion, V2 5 BadVersion, V2 - NoObject, !V2 - A null]";
    assert_eq!(told(line, 5), expected);
}

#[test]
fn one_element_is_found_in_a_list_of_one() {
    let cases = [
        ("[1]", Some("1")),
        (r#"[ {"a":[1,2]} ]"#, Some(r#"{"a":[1,2]}"#)),
        ("[\n\t\"x\"\r]", Some("\"x\"")),
        ("[[]]", Some("[]")),
        ("[]", None),
        ("[1,2]", None),
        (r#"{"a":1}"#, None),
        ("1", None),
        ("", None),
        ("[1", None),
        ("[1]]", None),
    ];
    for (params, expected) in cases {
        assert_eq!(lone(params).map(|place| &params[place]), expected, "{params}");
    }
}

/// A parser that calls itself would end the process.
#[test]
fn depth_takes_no_stack() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for levels in [1000, 100_000] {
            let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            for line in [
                deep.clone(),
                format!(r#"{{"Method":"A","Params":{deep}}}"#),
                format!(r#"{{"jsonrpc":"2.0","method":"A","id":{deep}}}"#),
                format!("[{deep}]"),
                open.repeat(levels),
            ] {
                let _ = parse(line.as_bytes(), 10);
            }
            let _ = lone(&deep);
        }
    }
}

#[test]
fn no_more_entries_are_kept_than_may_be() {
    let line = format!("[{}1]", "1,".repeat(999_999));
    assert_eq!(told(line.as_bytes(), 1024), "V2 - LongBatch(1000000, 1024)");
}

#[test]
fn an_id_comes_back_as_it_came() {
    for id in ["1", "1.0", "1e400", "-0", "\"\\u00e9\\ud800\"", "null", &"9".repeat(100_000)] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"A"}}"#);
        let Line::One(asked) = parse(line.as_bytes(), 1) else { panic!("{id}") };
        let mut out = Vec::new();
        put_reply(&mut out, asked.dialect, asked.id, b"1");
        let expected = format!(r#"{{"jsonrpc":"2.0","result":1,"id":{id}}}"#);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn answers_have_the_members_of_their_dialect() {
    let denied = Error::new(Code::Denied, "not \"you\"");
    // (dialect, id, a reply, an error, a flaw)
    let cases = [
        (
            Dialect::Bare,
            None,
            r#"{"Result":[1],"Error":""}"#,
            r#"{"Result":null,"Error":"not \"you\""}"#,
            r#"{"Result":null,"Error":"a request has a method"}"#,
        ),
        (
            Dialect::V1,
            Some("7"),
            r#"{"id":7,"result":[1],"error":null}"#,
            r#"{"id":7,"result":null,"error":"not \"you\""}"#,
            r#"{"id":7,"result":null,"error":"a request has a method"}"#,
        ),
        (
            Dialect::V2,
            None,
            r#"{"jsonrpc":"2.0","result":[1],"id":null}"#,
            "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32009,\"message\":\"not \\\"you\\\"\",\
             \"data\":{\"code\":\"denied\"}},\"id\":null}",
            "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\
             \"message\":\"a request has a method\"},\"id\":null}",
        ),
    ];
    for (dialect, id, reply, error, flaw) in cases {
        let check = |expected: &str, put: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            put(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(reply, &|out| put_reply(out, dialect, id, b"[1]"));
        check(error, &|out| put_error(out, dialect, id, &denied));
        check(flaw, &|out| put_flaw(out, dialect, id, Flaw::NoMethod));
    }
}

#[test]
fn an_error_is_never_without_a_text() {
    for dialect in [Dialect::Bare, Dialect::V1, Dialect::V2] {
        let mut out = Vec::new();
        put_error(&mut out, dialect, None, &Error::new(Code::Denied, ""));
        assert!(String::from_utf8(out).unwrap().contains(r#":"denied""#), "{dialect:?}");
    }
}

#[test]
fn every_code_has_a_number_of_its_own() {
    let tables = [include_str!("print.rs"), include_str!("../../docs/PROTOCOL.md")];
    let mut numbers = Vec::new();
    for code in Code::ALL.iter().copied().filter(|code| code.is_on_wire()) {
        let mut out = Vec::new();
        put_error(&mut out, Dialect::V2, None, &Error::new(code, "x"));
        let text = String::from_utf8(out).unwrap();
        let (_, rest) = text.split_once(r#""code":"#).unwrap();
        let number: i32 = rest.split(',').next().unwrap().parse().unwrap();
        let (word, digits) = (format!("`{code}`"), format!("{number} |"));
        for table in tables {
            let is_row = |line: &&str| line.contains(&word) && line.contains(&digits);
            assert!(
                table.lines().any(|line| is_row(&line)),
                "a table does not say {code} {number}"
            );
        }
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    // `invalid` is one with `bad_payload`.
    assert_eq!(numbers.len(), Code::ALL.len() - 2);
}

#[test]
fn details_that_are_no_line_of_json_are_left_out() {
    for (details, is_put) in [
        (&b"{\"a\":1}"[..], true),
        (b"", false),
        (b"{\"a\":\n1}", false),
        (b"{\"a\"", false),
        (b"\"\x80\"", false),
        (b"1}", false),
    ] {
        let error = Error::from_peer(Code::Failed.into(), b"so");
        let error = error.with_encoded_details(bytes::Bytes::from_static(details));
        let mut out = Vec::new();
        put_error(&mut out, Dialect::V2, None, &error);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.contains("details"), is_put, "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}

/// A line in short.
fn told(line: &[u8], entries_max: usize) -> String {
    match parse(line, entries_max) {
        Line::One(asked) => told_of(&asked),
        Line::Batch(entries) => {
            let entries: Vec<_> = entries.iter().map(told_of).collect();
            format!("[{}]", entries.join(", "))
        }
        Line::Bad(None, flaw) => format!("? {flaw:?}"),
        Line::Bad(Some(dialect), flaw) => format!("{dialect:?} - {flaw:?}"),
    }
}

fn told_of(asked: &Asked<'_>) -> String {
    let Asked { dialect, id, is_answered, call } = asked;
    let (mark, id) = (if *is_answered { "" } else { "!" }, id.unwrap_or("-"));
    match call {
        Ok(Called { method, params }) => format!("{mark}{dialect:?} {id} {method} {params}"),
        Err(flaw) => format!("{mark}{dialect:?} {id} {flaw:?}"),
    }
}
