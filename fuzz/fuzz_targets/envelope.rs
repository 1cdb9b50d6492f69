//! Arbitrary bytes as a line of JSON-RPC: what is found in it is in it, is JSON, and comes back in
//! an answer that is one line of JSON.
//!
//! Byte 0: how many entries a batch may have. The rest is the line. `serde_json`'s own `Value` is
//! asked the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use switchboard::envelope::{Asked, Dialect, Flaw, Line, guess, lone, parse};
use switchboard::envelope::{put_error, put_flaw, put_reply};
use switchboard::{Code, Error};

fuzz_target!(|data: &[u8]| {
    let [entries_max, line @ ..] = data else {
        return;
    };
    let entries_max = usize::from(*entries_max);
    let _ = guess(line);
    // It refuses what is deeper than 127 levels, and text with half a pair in it.
    let value: Option<Value> = serde_json::from_slice(line).ok();
    match parse(line, entries_max) {
        Line::One(asked) => {
            assert!(value.as_ref().is_none_or(Value::is_object));
            check(&asked, line, value.as_ref());
        }
        Line::Batch(entries) => {
            assert!((1..=entries_max).contains(&entries.len()));
            let values = value.as_ref().map(|value| value.as_array().unwrap());
            assert!(values.is_none_or(|values| values.len() == entries.len()));
            for (index, asked) in entries.iter().enumerate() {
                assert_eq!(asked.dialect, Dialect::V2);
                check(asked, line, values.map(|values| &values[index]));
            }
        }
        Line::Bad(dialect, flaw) => {
            let is_unread = matches!(flaw, Flaw::NotUtf8 | Flaw::Unfinished | Flaw::Syntax(_));
            let is_unread = is_unread || flaw == Flaw::OtherProtocol;
            assert!(!is_unread || value.is_none(), "{flaw}");
            check_answers(dialect.unwrap_or_default(), None, flaw);
        }
        _ => unreachable!(),
    }
});

fn check(asked: &Asked<'_>, line: &[u8], value: Option<&Value>) {
    if let Some(id) = asked.id {
        assert!(is_in(id, line));
        let is_same =
            |value: &Value| serde_json::from_str::<Value>(id).is_ok_and(|id| id == value["id"]);
        assert!(value.is_none_or(is_same), "{id}");
    }
    check_answers(
        asked.dialect,
        asked.id,
        asked.call.as_ref().err().copied().unwrap_or(Flaw::BadId),
    );
    let Ok(call) = &asked.call else {
        assert!(asked.is_answered);
        return;
    };
    assert!(call.params == "null" || is_in(call.params, line));
    assert!(!call.params.contains('\n') || line.contains(&b'\n'));
    let Some(value) = value else { return };
    let of = |name: &str| value.get(name);
    let (method, params) = match asked.dialect {
        Dialect::Bare => (of("Method").or(of("method")), of("Params").or(of("params"))),
        _ => (of("method"), of("params")),
    };
    assert_eq!(method.and_then(Value::as_str), Some(&*call.method));
    let read: Value = serde_json::from_str(call.params).unwrap();
    assert_eq!(&read, params.unwrap_or(&Value::Null));
    match (lone(call.params), read.as_array().map(Vec::as_slice)) {
        (Some(place), Some([element])) => {
            assert_eq!(&serde_json::from_str::<Value>(&call.params[place]).unwrap(), element);
        }
        (Some(_), _) | (None, Some([_])) => panic!("{}", call.params),
        (None, _) => {}
    }
}

/// Whatever is answered is JSON, and is one line if the id is.
fn check_answers(dialect: Dialect, id: Option<&str>, flaw: Flaw) {
    let (mut reply, mut error, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    put_reply(&mut reply, dialect, id, b"[1]");
    put_error(&mut error, dialect, id, &Error::new(Code::Denied, "\"no\"\n"));
    put_flaw(&mut wrong, dialect, id, flaw);
    for answer in [reply, error, wrong] {
        let text = std::str::from_utf8(&answer).unwrap();
        let is_line = !text.contains('\n') || id.is_some_and(|id| id.contains('\n'));
        assert!(is_line && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
    }
}

fn is_in(text: &str, line: &[u8]) -> bool {
    line.as_ptr_range().contains(&text.as_ptr())
}
