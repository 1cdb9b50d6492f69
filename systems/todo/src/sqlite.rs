//! The store that remembers: to-dos in a file of SQLite.
//!
//! ```text
//!   create, update, delete ──queue──► the writer: a group, one commit ──► an answer to each
//!   find, page             ──queue──► the reader, beside it           ──► an answer
//! ```
//!
//! SQLite blocks, so it has threads of its own: two, however many ask. There is one writer, as
//! SQLite takes one at a time. What waits when it begins is written as one transaction, and every
//! one of them is answered when that has reached the disk (WAL, `synchronous` FULL). So a hundred
//! who write at once share the cost of a commit, and one alone waits for nobody. The reader sees
//! what was committed, and so whatever was answered.
//!
//! Both queues are bounded: who finds one full waits for room, no longer than its call may take.
//! A write whose caller has gone before the writer came to it is not done.
//!
//! A statement that fails leaves the rest of its group alone. If SQLite gave up the transaction as
//! well, or cannot commit it, nothing of the group is in the file and all of it fails.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::store::{Store, StoreError, page_of};
use crate::todo::{Change, Page, Todo, now, number};

/// To-dos in a file. When it is dropped, its threads end behind what is in their queues.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writes: mpsc::Sender<Job<Write, Option<Todo>>>,
    reads: mpsc::Sender<Read>,
}

/// Something to do, and who waits for it.
#[derive(Debug)]
struct Job<What, Answer> {
    what: What,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

#[derive(Debug)]
enum Write {
    Create { title: String },
    Update { number: i64, change: Change },
    Delete { number: i64 },
}

#[derive(Debug)]
enum Read {
    Find(Job<i64, Option<Todo>>),
    Page(Job<i64, Page>),
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// What kept it from being opened, or a file that cannot have a write-ahead log.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let (writer, reader) = open_both(path.as_ref()).map_err(StoreError::new)?;
        let (writes, jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        start("todo-writer", move || write_in_groups(writer, jobs))?;
        let (reads, jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        start("todo-reader", move || read_in_turn(&reader, jobs))?;
        Ok(Self { writes, reads })
    }

    async fn write(&self, what: Write) -> Result<Option<Todo>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Job { what, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn read<Answer>(
        &self,
        what: i64,
        read: fn(Job<i64, Answer>) -> Read,
    ) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.reads.send(read(Job { what, reply })).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Store for SqliteStore {
    async fn create(&self, title: String) -> Result<Todo, StoreError> {
        let created = self.write(Write::Create { title }).await?;
        created.ok_or_else(|| StoreError::new("an insert gave no row"))
    }

    async fn page(&self, after: Option<String>) -> Result<Page, StoreError> {
        match after.as_deref().map(number) {
            None => self.read(0, Read::Page).await,
            Some(Some(number)) => self.read(number, Read::Page).await,
            Some(None) => Ok(Page::default()),
        }
    }

    async fn find(&self, id: String) -> Result<Option<Todo>, StoreError> {
        match number(&id) {
            Some(number) => self.read(number, Read::Find).await,
            None => Ok(None),
        }
    }

    async fn update(&self, id: String, change: Change) -> Result<Option<Todo>, StoreError> {
        match number(&id) {
            Some(number) => self.write(Write::Update { number, change }).await,
            None => Ok(None),
        }
    }

    async fn delete(&self, id: String) -> Result<Option<Todo>, StoreError> {
        match number(&id) {
            Some(number) => self.write(Write::Delete { number }).await,
            None => Ok(None),
        }
    }
}

fn open_both(path: &Path) -> rusqlite::Result<(Connection, Connection)> {
    let writer = open(path)?;
    let mode: String =
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(mode, "this file cannot have a write-ahead log: readers hold up the writer");
    }
    writer.execute_batch(SCHEMA)?;
    Ok((writer, open(path)?))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(BUSY_TIME_MAX)?;
    Ok(connection)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(StoreError::new)
}

/// The writer, for as long as somebody may write.
fn write_in_groups(mut connection: Connection, mut jobs: mpsc::Receiver<Job<Write, Option<Todo>>>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_JOBS_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        group.retain(|job| !job.reply.is_closed());
        let written = write(&mut connection, &group);
        let failed = written.as_ref().err().cloned();
        let results = written.unwrap_or_default().into_iter().map(Some);
        for (job, result) in group.into_iter().zip(results.chain(std::iter::repeat(None))) {
            let failed = || Err(failed.clone().unwrap_or_else(stopped));
            // Whoever is gone meanwhile wants no answer.
            let _ = job.reply.send(result.unwrap_or_else(failed));
        }
    }
}

/// Writes a group as one transaction, and answers once for each of it, or for all.
fn write(
    connection: &mut Connection,
    group: &[Job<Write, Option<Todo>>],
) -> Result<Vec<Result<Option<Todo>, StoreError>>, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(StoreError::new)?;
    let mut results = Vec::with_capacity(group.len());
    for job in group {
        let result = write_one(&transaction, &job.what).map_err(StoreError::new);
        if transaction.is_autocommit() {
            let given_up = "SQLite gave the transaction up";
            return Err(result.err().unwrap_or_else(|| StoreError::new(given_up)));
        }
        results.push(result);
    }
    transaction.commit().map_err(StoreError::new)?;
    Ok(results)
}

fn write_one(connection: &Connection, what: &Write) -> rusqlite::Result<Option<Todo>> {
    match what {
        Write::Create { title } => {
            let mut statement = connection.prepare_cached(INSERT)?;
            statement.query_row(params![title, now()], todo_of).optional()
        }
        Write::Update { number, change } => {
            let mut statement = connection.prepare_cached(UPDATE)?;
            let Change { title, completed } = change;
            statement.query_row(params![title, completed, number], todo_of).optional()
        }
        Write::Delete { number } => {
            connection.prepare_cached(DELETE)?.query_row([number], todo_of).optional()
        }
    }
}

/// The reader, for as long as somebody may read.
fn read_in_turn(connection: &Connection, mut jobs: mpsc::Receiver<Read>) {
    while let Some(read) = jobs.blocking_recv() {
        match read {
            Read::Find(job) => answer(job, |number| find(connection, number)),
            Read::Page(job) => answer(job, |after| page(connection, after)),
        }
    }
}

fn answer<A>(job: Job<i64, A>, read: impl FnOnce(i64) -> rusqlite::Result<A>) {
    if !job.reply.is_closed() {
        // Whoever is gone meanwhile wants no answer.
        let _ = job.reply.send(read(job.what).map_err(StoreError::new));
    }
}

fn find(connection: &Connection, number: i64) -> rusqlite::Result<Option<Todo>> {
    connection.prepare_cached(FIND)?.query_row([number], todo_of).optional()
}

fn page(connection: &Connection, after: i64) -> rusqlite::Result<Page> {
    let mut statement = connection.prepare_cached(PAGE)?;
    // Its rows come one by one, so those behind the page are not read.
    page_of(statement.query_map([after], todo_of)?)
}

fn todo_of(row: &Row<'_>) -> rusqlite::Result<Todo> {
    Ok(Todo {
        id: row.get::<_, i64>(0)?.to_string(),
        title: row.get(1)?,
        completed: row.get(2)?,
        created_at: row.get(3)?,
    })
}

fn stopped() -> StoreError {
    StoreError::new("a thread of the store has stopped")
}

/// `AUTOINCREMENT` gives no id twice, also after the last to-do was deleted.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS todos (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    completed INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT";

const INSERT: &str = "INSERT INTO todos (title, completed, created_at) VALUES (?1, 0, ?2)
    RETURNING number, title, completed, created_at";

const UPDATE: &str = "UPDATE todos SET title = coalesce(?1, title),
    completed = coalesce(?2, completed) WHERE number = ?3
    RETURNING number, title, completed, created_at";

const DELETE: &str = "DELETE FROM todos WHERE number = ?1
    RETURNING number, title, completed, created_at";

const FIND: &str = "SELECT number, title, completed, created_at FROM todos WHERE number = ?1";

const PAGE: &str = "SELECT number, title, completed, created_at FROM todos WHERE number > ?1
    ORDER BY number";

/// Jobs that wait for the writer, and as many for the reader. A title is in each: of a mebibyte at
/// most, and of few bytes with most.
const QUEUE_JOBS_MAX: usize = 256;

/// Writes of one commit.
const GROUP_JOBS_MAX: usize = 128;

/// Time to wait for another process that has the file locked.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: &str = "
        CREATE TRIGGER bad BEFORE INSERT ON todos WHEN new.title = 'bad'
            BEGIN SELECT raise(ABORT, 'on purpose'); END;
        CREATE TRIGGER worst BEFORE INSERT ON todos WHEN new.title = 'worst'
            BEGIN SELECT raise(ROLLBACK, 'on purpose'); END;";

    /// A group of these titles gives these ids, `-` for one that fails, and leaves as many to-dos.
    fn check_group(titles: &[&str], expected: &str, left: i64) {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch(TRIGGERS).unwrap();
        let jobs = titles.iter().map(|title| {
            let (reply, _) = oneshot::channel();
            Job { what: Write::Create { title: (*title).to_owned() }, reply }
        });
        let results = write(&mut connection, &jobs.collect::<Vec<_>>());
        let ids = results.map(|results| {
            let id = |result: Result<Option<Todo>, StoreError>| {
                result.map_or_else(|_| "-".to_owned(), |todo| todo.unwrap().id)
            };
            results.into_iter().map(id).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(ids.unwrap_or_else(|_| "failed".to_owned()), expected, "{titles:?}");
        let count = connection.query_row("SELECT count(*) FROM todos", [], |row| row.get(0));
        assert_eq!(count, Ok(left), "{titles:?}");
        assert!(connection.is_autocommit(), "{titles:?} left a transaction open");
    }

    #[test]
    fn a_failure_is_that_of_its_write_or_of_the_group() {
        check_group(&[], "", 0);
        check_group(&["a", "b"], "1 2", 2);
        check_group(&["a", "bad", "b"], "1 - 2", 2);
        check_group(&["a", "worst", "b"], "failed", 0);
    }
}
