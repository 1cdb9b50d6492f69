//! The commands, and the endpoint that answers them from a store.
//!
//! They are the service: the HTTP routes and the command port only lead here, and each rule of a
//! to-do (its title is trimmed, and not blank) is kept in this file, once.

use std::sync::Arc;
use std::time::Duration;

use switchboard::format::Json;
use switchboard::{Code, Command, Endpoint, Error, Limits, Result, with_state};

use crate::store::{PAGE_TITLES_BYTES_MAX, PAGE_TODOS_MAX, Store};
use crate::todo::{Change, NewTodo, Page, Todo, TodoChange, TodoId, TodosAfter, trimmed};

/// Makes a to-do.
pub const CREATE_TODO: Command<NewTodo, Todo, Json> =
    Command::new("CREATE_TODO").about("Makes a to-do of a title.");

/// Answers a page of the to-dos.
pub const LIST_TODOS: Command<TodosAfter, Page, Json> = Command::new("LIST_TODOS")
    .about("Lists to-dos in pages, in the order in which they were made.")
    .read_only();

/// Answers one to-do.
pub const GET_TODO: Command<TodoId, Todo, Json> =
    Command::new("GET_TODO").about("Answers the to-do with this id.").read_only();

/// Changes the fields of a to-do that are given.
pub const UPDATE_TODO: Command<TodoChange, Todo, Json> =
    Command::new("UPDATE_TODO").about("Changes what is given of a to-do.").idempotent();

/// Deletes a to-do.
pub const DELETE_TODO: Command<TodoId, Todo, Json> =
    Command::new("DELETE_TODO").about("Deletes a to-do, and answers it as it was.");

/// An endpoint that answers the commands from this store.
pub fn endpoint<S: Store>(store: &Arc<S>) -> Endpoint {
    Endpoint::new()
        .with_limits(limits())
        .on(CREATE_TODO, with_state(store, create::<S>))
        .on(LIST_TODOS, with_state(store, list::<S>))
        .on(GET_TODO, with_state(store, find::<S>))
        .on(UPDATE_TODO, with_state(store, update::<S>))
        .on(DELETE_TODO, with_state(store, delete::<S>))
}

async fn create<S: Store>(store: Arc<S>, new: NewTodo) -> Result<Todo> {
    Ok(store.create(title_of(&new.title)?).await?)
}

async fn list<S: Store>(store: Arc<S>, request: TodosAfter) -> Result<Page> {
    Ok(store.page(request.after).await?)
}

async fn find<S: Store>(store: Arc<S>, request: TodoId) -> Result<Todo> {
    store.find(request.id).await?.ok_or_else(missing)
}

async fn update<S: Store>(store: Arc<S>, request: TodoChange) -> Result<Todo> {
    let title = request.title.as_deref().map(title_of).transpose()?;
    let change = Change { title, completed: request.completed };
    store.update(request.id, change).await?.ok_or_else(missing)
}

async fn delete<S: Store>(store: Arc<S>, request: TodoId) -> Result<Todo> {
    store.delete(request.id).await?.ok_or_else(missing)
}

fn title_of(title: &str) -> Result<String> {
    if title.len() > TITLE_BYTES_MAX {
        return Err(Error::new(Code::TooLarge, "the title has over 1 MiB"));
    }
    trimmed(title).ok_or_else(|| Error::new(Code::Invalid, "the title is blank"))
}

fn missing() -> Error {
    Error::new(Code::NotFound, "there is no such to-do")
}

/// A page must be told whatever its titles are: one of the longest goes past the end of a page, and
/// in JSON each byte of a title may become six.
fn limits() -> Limits {
    let titles_bytes_max = PAGE_TITLES_BYTES_MAX.saturating_add(TITLE_BYTES_MAX);
    Limits::default().with(|limits| {
        limits.drain_time_max = DRAIN_TIME_MAX;
        limits.payload_bytes_max =
            titles_bytes_max.saturating_mul(6).saturating_add(REST_BYTES_MAX);
    })
}

/// Bytes of a title. More than the body of an HTTP request can hold, which has the same limit.
const TITLE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a page beside its titles: up to 128 for each to-do.
const REST_BYTES_MAX: usize = PAGE_TODOS_MAX * 128;

/// The time that requests under way have when the service stops.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
