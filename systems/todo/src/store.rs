//! Where to-dos are kept: the trait that a store implements, and how it fails.
//!
//! The commands know this trait alone, so a store is replaced by writing another one. An answer of
//! a store is a promise: what was created, changed or deleted is so after a crash too, as far as
//! the store survives one at all.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::todo::{Change, Page, Todo};

/// Keeps to-dos, for many at once. `None` says that there is no such to-do.
///
/// Whoever asks may go away and drop the future. Then the store has done all of it or nothing.
pub trait Store: Send + Sync + 'static {
    /// Makes a to-do that is not completed, with the next id and the time of now.
    fn create(&self, title: String) -> impl Future<Output = Result<Todo, StoreError>> + Send;

    /// The to-dos behind this id, or all, in the order in which they were made: as many as are to
    /// be in one page ([`PAGE_TODOS_MAX`], [`PAGE_TITLES_BYTES_MAX`]).
    fn page(&self, after: Option<String>) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// The to-do with this id.
    fn find(&self, id: String) -> impl Future<Output = Result<Option<Todo>, StoreError>> + Send;

    /// Changes the fields that are given, and answers the to-do as it is then.
    fn update(
        &self,
        id: String,
        change: Change,
    ) -> impl Future<Output = Result<Option<Todo>, StoreError>> + Send;

    /// Deletes the to-do, and answers it as it was.
    fn delete(&self, id: String) -> impl Future<Output = Result<Option<Todo>, StoreError>> + Send;
}

/// The most to-dos of one page.
pub const PAGE_TODOS_MAX: usize = 500;

/// Bytes of titles after which a page ends. Its last title may go past it.
pub const PAGE_TITLES_BYTES_MAX: usize = 512 * 1024;

/// A store could not do it. Its callers get no reason: that is for the log.
#[derive(Clone, Debug)]
pub struct StoreError {
    // Shared by all the writes of a group that failed together.
    cause: Arc<dyn StdError + Send + Sync>,
}

impl StoreError {
    /// The error of a store that failed for this.
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into().into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.cause)
    }
}

impl StdError for StoreError {}

impl From<StoreError> for switchboard::Error {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

/// The page that these to-dos begin, which are all or more than one page.
pub(crate) fn page_of<E>(todos: impl IntoIterator<Item = Result<Todo, E>>) -> Result<Page, E> {
    let (mut page, mut bytes) = (Page::default(), 0_usize);
    for todo in todos {
        let todo = todo?;
        bytes = bytes.saturating_add(todo.title.len());
        page.todos.push(todo);
        if page.todos.len() >= PAGE_TODOS_MAX || bytes >= PAGE_TITLES_BYTES_MAX {
            page.next = page.todos.last().map(|todo| todo.id.clone());
            break;
        }
    }
    Ok(page)
}
