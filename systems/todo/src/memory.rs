//! The store that forgets: to-dos in the memory of the process, for tests and for trying out.
//!
//! One lock, held for as long as it takes to copy what is asked for, and never across an await.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Store, StoreError, page_of};
use crate::todo::{Change, Page, Todo, now, number};

/// To-dos in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    todos: Mutex<Todos>,
}

#[derive(Debug, Default)]
struct Todos {
    // Of the to-do that was made last, also if it is deleted.
    last: i64,
    by_number: BTreeMap<i64, Todo>,
}

impl Store for MemoryStore {
    async fn create(&self, title: String) -> Result<Todo, StoreError> {
        let mut todos = self.lock();
        let Some(next) = todos.last.checked_add(1) else {
            return Err(StoreError::new("there are no more ids"));
        };
        let todo = Todo { id: next.to_string(), title, completed: false, created_at: now() };
        todos.last = next;
        todos.by_number.insert(next, todo.clone());
        Ok(todo)
    }

    async fn page(&self, after: Option<String>) -> Result<Page, StoreError> {
        let after = match after.as_deref().map(number) {
            None => 0,
            Some(Some(number)) => number,
            Some(None) => return Ok(Page::default()),
        };
        let todos = self.lock();
        let behind = todos.by_number.range((Bound::Excluded(after), Bound::Unbounded));
        page_of(behind.map(|(_, todo)| Ok(todo.clone())))
    }

    async fn find(&self, id: String) -> Result<Option<Todo>, StoreError> {
        Ok(number(&id).and_then(|number| self.lock().by_number.get(&number).cloned()))
    }

    async fn update(&self, id: String, change: Change) -> Result<Option<Todo>, StoreError> {
        let mut todos = self.lock();
        let todo = number(&id).and_then(|number| todos.by_number.get_mut(&number));
        Ok(todo.map(|todo| {
            todo.title = change.title.unwrap_or_else(|| std::mem::take(&mut todo.title));
            todo.completed = change.completed.unwrap_or(todo.completed);
            todo.clone()
        }))
    }

    async fn delete(&self, id: String) -> Result<Option<Todo>, StoreError> {
        Ok(number(&id).and_then(|number| self.lock().by_number.remove(&number)))
    }
}

impl MemoryStore {
    /// No lock is held where a panic could come from, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Todos> {
        self.todos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
