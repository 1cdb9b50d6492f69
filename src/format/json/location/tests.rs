//! Locations in texts, by how far they were read.

use super::*;

/// Where reading stopped is marked; the way to the value, and what it begins with.
#[track_caller]
fn check(marked: &str, wanted: &str) {
    let read_bytes = marked.find('^').unwrap();
    let text = marked.replace('^', "");
    let found = locate(text.as_bytes(), read_bytes).map_or_else(String::new, |location| {
        let step = |step: &Step<'_>| match step {
            Step::Key(key) => format!(".{}", String::from_utf8_lossy(key)),
            Step::Index(index) => format!("[{index}]"),
        };
        let steps: String = location.steps.iter().map(step).collect();
        format!("{steps} {}", String::from_utf8_lossy(location.value))
    });
    assert_eq!(found, wanted, "{marked}");
}

#[test]
fn the_value_that_was_read_last_is_found() {
    check("true^", " true");
    check("^[1]", " [1]");
    check(" 7^ ", " 7 ");
    check(r#"{"a": "x"^, "b": 1}"#, r#".a "x", "b": 1}"#);
    check(r#"{"a": ^{"c": 1}, "b": 1}"#, r#".a {"c": 1}, "b": 1}"#);
    check(r#"{"a": {"c": 1}^, "b": 1}"#, r#".a {"c": 1}, "b": 1}"#);
    check(r#"{"a": {"c": 1^}, "b": 1}"#, r#".a.c 1}, "b": 1}"#);
    check(r#"{"a": {"c"^: 1}}"#, r#".a {"c": 1}}"#);
    check("[0, [1, 2], [3, [], 4^], 5]", "[2][2] 4], 5]");
    check(r#"[{"a": 1}, {"a": 1, "b": 2}^]"#, r#"[1] {"a": 1, "b": 2}]"#);
    check(r#"{"a\"]": "b\\", "c": [null^"#, ".c[0] null");
    check(r#"{"a": 1, ^"#, r#" {"a": 1, "#);
    check("^", "");
    check("1 ^2", "");
    check("[] ^2", "");
}

#[test]
fn what_lies_too_deep_is_not_looked_for() {
    let text = ["[".repeat(Limits::DEPTH_MOST + 1), "1".to_owned()].concat();
    assert_eq!(locate(text.as_bytes(), text.len()), None);
}

#[test]
fn the_keys_of_an_object_are_those_that_were_read() {
    let check = |marked: &str, wanted: &[(&str, bool)]| {
        let read_bytes = marked.find('^').unwrap();
        let text = marked.replace('^', "");
        let location = Location { steps: vec![], value: text.as_bytes(), read_bytes };
        let wanted: Vec<_> =
            wanted.iter().map(|(key, is_last)| (key.as_bytes(), *is_last)).collect();
        assert_eq!(keys(&location).collect::<Vec<_>>(), wanted, "{marked}");
    };
    check("{}^", &[]);
    check(r#"{"a": {"b": [1, {"c": 2}]}, "d": "e"}^, "f""#, &[("a", false), ("d", false)]);
    check(r#"{"a": [], "b": {}, "c"^: 1, "d": 2}"#, &[("a", false), ("b", false), ("c", true)]);
}
