//! Errors of a program's own: what of them reaches a caller, whichever handler returns them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard::format::Json;
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, blocking, with_state};

use super::support::*;

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("there is no job {0}")]
    Missing(u32),
    #[error("a secret")]
    Damaged(#[from] std::num::ParseIntError),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Missing {
    id: u32,
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Missing(id) => {
                Self::new(Code::NotFound, error.to_string()).with_details(Missing { id })
            }
            JobError::Damaged(_) => Self::internal(error),
        }
    }
}

type Open = Command<String, u32>;

/// Finds no job that there is.
fn find(text: &str) -> Result<u32, JobError> {
    Err(JobError::Missing(text.parse()?))
}

struct Jobs;

impl Jobs {
    async fn open(self: Arc<Self>, text: String) -> Result<u32, JobError> {
        find(&text)
    }

    fn open_blocking(self: Arc<Self>, text: String) -> Result<u32, JobError> {
        find(&text)
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_becomes_ours_reaches_the_caller_from_every_handler() {
    async fn raw(_: &mut Connection) -> Result<(), JobError> {
        find("7").map(drop)
    }
    async fn damaged_raw(_: &mut Connection) -> Result<(), JobError> {
        find("x").map(drop)
    }
    let jobs = Arc::new(Jobs);
    let endpoint = Endpoint::new()
        .on(Open::new("ASYNC"), async |text: String| find(&text))
        .on(Open::new("BLOCKING"), blocking(|text: String| find(&text)))
        .on(Open::new("STATE"), with_state(&jobs, Jobs::open))
        .on(Open::new("BOTH"), with_state(&jobs, blocking(Jobs::open_blocking)))
        // The way of `?` through an error of ours.
        .on(Open::new("OURS"), async |text: String| Ok::<_, Error>(find(&text)?))
        .on_raw("RAW", raw)
        .on_raw("DAMAGED", damaged_raw);
    let client = client(&endpoint);
    for name in ["ASYNC", "BLOCKING", "STATE", "BOTH", "OURS"] {
        let command = Open::new(name);
        let error = client.call(command, &"7".to_owned()).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::NotFound, "there is no job 7"), "{name}");
        assert_eq!(error.details::<Missing>().unwrap().unwrap(), Missing { id: 7 }, "{name}");
        let error = client.call(command, &"x".to_owned()).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Failed, "the handler failed"), "{name}");
        assert!(error.details::<Missing>().is_none(), "{name}");
    }
    check(&endpoint, "RAW\n", &ran(0, Code::NotFound, "there is no job 7")).await;
    check(&endpoint, "DAMAGED\n", &ran(0, Code::Failed, "the handler failed")).await;
}

/// Whatever its type, an error that derefs to any error is the log's.
#[tokio::test(start_paused = true)]
async fn an_error_in_a_box_is_kept_unless_it_is_one_of_ours() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let endpoint = Endpoint::new()
        .on(Open::new("PARSE"), async |text: String| Ok::<u32, Boxed>(text.parse()?))
        .on(Open::new("KEPT"), async |text: String| text.parse().map_err(Error::internal))
        .on(Open::new("INSIDE"), async |_| Err(Error::internal(Error::new(Code::Denied, "no"))))
        .on(Open::new("OURS"), async |_| Err::<_, Boxed>(Error::new(Code::Denied, "no").into()));
    let client = client(&endpoint);
    for (name, code, text) in [
        ("PARSE", Code::Failed, "the handler failed"),
        ("KEPT", Code::Failed, "the handler failed"),
        ("INSIDE", Code::Failed, "the handler failed"),
        ("OURS", Code::Denied, "no"),
    ] {
        let error = client.call(Open::new(name), &String::new()).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (code, text), "{name}");
    }
}

/// Errors that are part of what a command says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refused {
    Missing { id: u32 },
    Closed,
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_a_result_says_each_error_as_a_value() {
    type Size<F> = Command<u32, Result<u64, Refused>, F>;
    async fn size(id: u32) -> switchboard::Result<Result<u64, Refused>> {
        Ok(match id {
            0 => return Err(Error::new(Code::Denied, "not you")),
            1 => Ok(64),
            2 => Err(Refused::Closed),
            id => Err(Refused::Missing { id }),
        })
    }
    async fn check<F>(client: &Client, command: Size<F>)
    where
        F: switchboard::format::Format<u32>
            + switchboard::format::Format<Result<u64, Refused>>
            + 'static,
    {
        for (id, expected) in
            [(1, Ok(64)), (2, Err(Refused::Closed)), (7, Err(Refused::Missing { id: 7 }))]
        {
            assert_eq!(client.call(command, &id).await.unwrap(), expected, "{id}");
        }
        assert_eq!(client.call(command, &0).await.unwrap_err().code(), Code::Denied);
    }
    let endpoint = Endpoint::new().on(Size::<switchboard::format::Bincode>::new("SIZE"), size);
    let client = client(&endpoint);
    check(&client, Size::<switchboard::format::Bincode>::new("SIZE")).await;
    check(&client, Size::<Json>::new("SIZE")).await;
}
