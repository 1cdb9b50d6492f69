//! A to-do, and what is asked for about one: the types that the commands and the HTTP routes share.
//!
//! They are JSON on both ways in. Nothing in here knows where to-dos are kept.
//!
//! A change has the fields that are given and no others. A field that is given as `null` is not the
//! same as one that is missing, and is refused: a to-do without a title is none.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

/// A to-do, as it is stored and told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Todo {
    /// Letters and digits; counted from "1" by the stores in here, and never given twice.
    pub id: String,
    /// Never blank, and without white space at its ends.
    pub title: String,
    /// Whether it is done.
    pub completed: bool,
    /// When it was made, in UTC, as RFC 3339 writes it.
    pub created_at: String,
}

/// The request of `CREATE_TODO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewTodo {
    /// What is to be done.
    pub title: String,
}

/// The request of `GET_TODO` and `DELETE_TODO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TodoId {
    /// Whose.
    pub id: String,
}

/// The request of `LIST_TODOS`: a list has pages, so that no list is too long for a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TodosAfter {
    /// The [`next`](Page::next) of the page before; without it the first page is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The reply of `LIST_TODOS`: to-dos in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page {
    /// The to-dos.
    pub todos: Vec<Todo>,
    /// Where the next page begins, if there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a to-do is to become: the fields that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// What is to be done.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it is done.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
}

/// The request of `UPDATE_TODO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TodoChange {
    /// Whose.
    pub id: String,
    /// What is to be done.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it is done.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
}

/// A title as it is stored; `None` if it is blank.
pub(crate) fn trimmed(title: &str) -> Option<String> {
    Some(title.trim()).filter(|title| !title.is_empty()).map(str::to_owned)
}

/// The time as to-dos tell it, to the millisecond.
pub(crate) fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// The number that an id is, where ids are counted; none has a sign or zeros in front.
pub(crate) fn number(id: &str) -> Option<i64> {
    let is_canonical = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    id.parse().ok().filter(|_| is_canonical)
}

/// The value of a field that is there, which `null` is none of.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_title(title: &str, expected: Option<&str>) {
        assert_eq!(trimmed(title).as_deref(), expected, "{title:?}");
    }

    #[test]
    fn titles_are_trimmed() {
        check_title("milk", Some("milk"));
        check_title(" \t milk and\nbread\u{a0}\r\n", Some("milk and\nbread"));
        check_title(" \n", None);
        check_title("\u{2003}", None);
        check_title("", None);
    }

    fn check_number(id: &str, expected: Option<i64>) {
        assert_eq!(number(id), expected, "{id:?}");
    }

    #[test]
    fn an_id_is_one_number_in_one_way() {
        check_number("1", Some(1));
        check_number("9223372036854775807", Some(i64::MAX));
        check_number("9223372036854775808", None);
        for id in ["", "0", "01", "+1", "-1", "1 ", "1.0", "a", "\u{661}"] {
            check_number(id, None);
        }
    }

    #[test]
    fn the_time_is_in_utc() {
        let now = now();
        assert_eq!(
            (now.len(), now.ends_with('Z')),
            ("2026-01-02T03:04:05.678Z".len(), true),
            "{now}"
        );
        assert!(now.parse::<Timestamp>().is_ok());
    }

    fn check_change(json: &str, expected: Option<(Option<&str>, Option<bool>)>) {
        let change: Option<Change> = serde_json::from_str(json).ok();
        let fields = change.as_ref().map(|change| (change.title.as_deref(), change.completed));
        assert_eq!(fields, expected, "{json}");
    }

    #[test]
    fn a_change_has_the_fields_that_are_given() {
        check_change("{}", Some((None, None)));
        check_change(r#"{"title":"a"}"#, Some((Some("a"), None)));
        check_change(r#"{"completed":false,"more":1}"#, Some((None, Some(false))));
        check_change(r#"{"title":null}"#, None);
        check_change(r#"{"completed":"yes"}"#, None);
        check_change("[]", Some((None, None)));
    }
}
