//! Handlers of one endpoint that another answers as well, under the same names or behind a prefix.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use switchboard::format::{Json, Line};
use switchboard::{Code, Command, Connection, Context, Endpoint, Error, Limits, Result};

use super::support::*;

const RUN: Command<String, String, Line> =
    Command::new("RUN").about("Runs a job.").idempotent().payload_bytes_max(4);
const JOBS_RUN: Command<String, String, Line> = RUN.under("jobs.");
const NAME: Command<(), String, Json> = Command::new("NAME");
const DESCRIBE: &str = "?DESCRIBE";

/// `RUN`, which doubles a text, `NAME`, which answers with the name it is called by, and the raw
/// `LOG`.
fn jobs() -> Endpoint {
    Endpoint::new()
        .on(RUN, async |text: String| Ok::<_, Error>(text.repeat(2)))
        .on(NAME, async |(), context: Context| Ok::<_, Error>(context.command().to_owned()))
        .on_raw("LOG", log)
}

async fn log(connection: &mut Connection) -> Result<()> {
    connection.write_line("It ran.").await
}

fn names(endpoint: &Endpoint) -> Vec<String> {
    endpoint.commands().into_iter().map(|command| command.name).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_merged_is_answered_beside_the_rest() {
    let endpoint = endpoint().merge(jobs());
    let expected = ["ADD", "CHECK_STOCK", "ECHO", "LETTERS", "LOG", "NAME", "RUN", "STRING"];
    assert_eq!(names(&endpoint), expected);
    check(&endpoint, "RUN\nab\n", "abab\n").await;
    check(&endpoint, "RUN 1 2 f=line\nab", "<1 ok 4\nabab").await;
    check(&endpoint, "LOG\n", "It ran.\n").await;
    check(&endpoint, "ECHO\na\n", "a\n").await;
    assert_eq!(endpoint.client().call(NAME, &()).await.unwrap(), "NAME");
}

#[tokio::test(start_paused = true)]
async fn what_is_nested_is_called_by_its_longer_name_alone() {
    let endpoint = endpoint().nest("jobs.", jobs());
    check(&endpoint, "jobs.RUN\nab\n", "abab\n").await;
    check(&endpoint, "jobs.RUN 1 2 f=line\nab", "<1 ok 4\nabab").await;
    check(&endpoint, "jobs.LOG\n", "It ran.\n").await;
    let client = client(&endpoint);
    assert_eq!(client.call(JOBS_RUN, &"x".to_owned()).await.unwrap(), "xx");
    assert_eq!(client.call(NAME.under("jobs."), &()).await.unwrap(), "jobs.NAME");
    let error = client.call(RUN, &"x".to_owned()).await.unwrap_err();
    assert_eq!(error.code(), Code::UnknownCommand);

    // Grouped again, and twice in one place.
    let outer = Endpoint::new().nest("v1/", endpoint.clone()).nest("v2/", endpoint);
    let client = outer.client();
    for version in ["v1/", "v2/"] {
        let nested = JOBS_RUN.under(version);
        assert_eq!(client.call(nested, &"x".to_owned()).await.unwrap(), "xx", "{nested:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn facts_go_along() {
    let there = jobs();
    let endpoint = Endpoint::new().nest("jobs.", there.clone());
    let list = exchange(&there, "?\n").await;
    let told = list.lines().find(|line| line.starts_with("RUN ")).unwrap();
    assert!(told.ends_with(", idempotent, payload_bytes_max 4: Runs a job."), "{told}");
    let told = format!("jobs.{told}\n");
    let list = exchange(&endpoint, "?\n").await;
    assert!(list.contains(&told), "{list}");
    check(&endpoint, &format!("{DESCRIBE}\njobs.RUN\n"), &told).await;
    assert_eq!(JOBS_RUN.facts(), RUN.facts());
    // A payload over the fact does not fit behind the prefix either.
    let sent = "jobs.RUN 1 5 f=line\nabcde";
    let got = exchange(&endpoint, sent).await;
    assert!(got.starts_with("<1 err ") && got.contains(" too_large"), "{got}");

    let client = client(&endpoint);
    client.check(JOBS_RUN).await.unwrap();
    assert_eq!(client.check(RUN).await.unwrap_err().code(), Code::Conflict);
}

/// What is known of a handler is found once, and its names are not a part of that.
#[tokio::test(start_paused = true)]
async fn each_name_of_a_handler_is_described_as_itself() {
    let there = jobs();
    let endpoint = Endpoint::new().nest("jobs.", there.clone()).merge(there.clone());
    for (endpoint, name) in
        [(&there, "NAME"), (&endpoint, "jobs.NAME"), (&endpoint, "NAME"), (&there, "NAME")]
    {
        let reply = exchange(endpoint, format!("{DESCRIBE} json\n{name:?}\n")).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["name"], name);
        assert_eq!(reply["reply"]["type"], "String");
    }
}

/// What `other` is beside its handlers is not taken, and what becomes of it is not seen.
#[tokio::test(start_paused = true)]
async fn handlers_are_taken_as_they_are_and_nothing_else_is() {
    let small = Limits::default().with(|limits| limits.payload_bytes_max = 1);
    let there = jobs().with_limits(small);
    let endpoint = Endpoint::new().nest("jobs.", there.clone());
    check(&endpoint, "jobs.RUN\nab\n", "abab\n").await;
    assert!(there.remove("RUN"));
    there.add(ECHO, async |text: String| Ok::<_, Error>(text)).unwrap();
    assert_eq!(names(&endpoint), ["jobs.LOG", "jobs.NAME", "jobs.RUN"]);
    check(&endpoint, "jobs.RUN\nab\n", "abab\n").await;
    assert!(endpoint.remove("jobs.LOG"));
    assert_eq!(names(&there), ["ECHO", "LOG", "NAME"]);
}

#[test]
fn what_cannot_be_grouped_is_refused_as_a_whole() {
    let long = "x".repeat(61);
    let cases = [
        // The last of the names.
        ("", "a handler is registered under RUN already"),
        ("a b.", "LOG cannot be nested under \"a b.\": a space in a word"),
        ("7.", "LOG cannot be nested under \"7.\": a name cannot begin with '7'"),
        (
            "\u{e9}.",
            "LOG cannot be nested under \"\u{e9}.\": byte 0xc3 in a line, which is printable ASCII",
        ),
        ("?", "LOG cannot be nested under \"?\": names that begin with `?` belong to the endpoint"),
        // `LOG` and `RUN` still fit.
        (&long, &format!("NAME cannot be nested under {long:?}: the name is longer than 64 bytes")),
    ];
    for (prefix, expected) in cases {
        let endpoint = Endpoint::new().on_raw("RUN", log);
        let nest = || endpoint.clone().nest(prefix, jobs());
        assert_eq!(panic_of(nest), expected);
        assert_eq!(names(&endpoint), ["RUN"], "{expected}");
    }
    let endpoint = jobs();
    let with_itself = || endpoint.clone().merge(endpoint.clone());
    assert_eq!(panic_of(with_itself), "a handler is registered under LOG already");
}

#[test]
fn a_command_behind_a_prefix_has_a_name() {
    assert_eq!(RUN.under("").name(), RUN.name());
    assert_eq!(RUN.under(&"x".repeat(61)).name().as_bytes().len(), 64);
    let rules = "a command name is 1 to 64 printable ASCII bytes without space, not beginning with \
                 `<`, `>`, `{`, `[` or a digit";
    for prefix in [&*"x".repeat(62), &"x".repeat(64), &"x".repeat(65), "a b", "\u{e9}", "7", "<"] {
        assert_eq!(panic_of(|| RUN.under(prefix)), rules, "{prefix}");
    }
    let reserved = "command names that begin with `?` belong to the endpoint";
    assert_eq!(panic_of(|| RUN.under("?")), reserved);
}

/// What is said of a mistake in the program.
fn panic_of<T>(make: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(make()))).unwrap_err();
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}
