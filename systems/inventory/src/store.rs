//! Stock and reservations in a file of SQLite.
//!
//! ```text
//!   reserve      ──queue──► the writer: a group, one commit, the changes ──► an answer to each
//!   count, total ──queue──► the reader, beside it                        ──► an answer
//! ```
//!
//! A reservation and the lowered stock are one transaction, which is on the disk before the answer
//! (WAL, `synchronous` FULL). A crash leaves both or neither, and whoever got no answer may ask
//! again: the row of the order says what was answered.
//!
//! SQLite blocks, so it has two threads of its own. What waits for the writer is written as one
//! transaction; each reservation in it has a savepoint, so that one that fails leaves the rest
//! alone. Both queues are bounded, and a reservation whose caller has left before the writer came
//! to it is not made.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::changes::Changes;
use crate::commands::{Refused, Reservation, Reserved};

/// Stock in a file. When the last clone is dropped, its threads end behind what is in their queues.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writes: mpsc::Sender<Job<Reservation, Outcome>>,
    reads: mpsc::Sender<Read>,
}

/// What becomes of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Now or at an earlier time.
    Reserved(Reserved),
    Refused(Refused),
    /// There is no such item.
    Unknown,
}

/// The store could not do it. Callers get no reason: that is for the log.
#[derive(Clone, Debug)]
pub struct StoreError {
    // Shared by all who waited for what failed.
    cause: Arc<dyn StdError + Send + Sync>,
}

/// Something to do, and who waits for it.
#[derive(Debug)]
struct Job<What, Answer> {
    what: What,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

#[derive(Debug)]
enum Read {
    Count(Job<String, Option<u64>>),
    Total(Job<(), u64>),
}

impl SqliteStore {
    /// Opens the file, or makes it. Items that it does not have yet come into it with this stock.
    /// What is reserved is noted in `changes`, before anybody is told of it.
    ///
    /// # Errors
    ///
    /// What kept it from being opened.
    pub fn open(
        path: impl AsRef<Path>,
        first_stock: &[(&str, u32)],
        changes: &Arc<Changes>,
    ) -> Result<Self, StoreError> {
        let (writer, reader) = open_both(path.as_ref(), first_stock).map_err(StoreError::new)?;
        let (writes, jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        let changes = Arc::clone(changes);
        start("stock-writer", move || write_in_groups(writer, jobs, &changes))?;
        let (reads, jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        start("stock-reader", move || read_in_turn(&reader, jobs))?;
        Ok(Self { writes, reads })
    }

    pub(crate) async fn reserve(&self, what: Reservation) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Job { what, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// How many pieces there are of this item.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn count(&self, item: &str) -> Result<Option<u64>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read = Read::Count(Job { what: item.to_owned(), reply });
        self.reads.send(read).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// How many pieces there are of all items.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn total(&self) -> Result<u64, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read = Read::Total(Job { what: (), reply });
        self.reads.send(read).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
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

fn open_both(
    path: &Path,
    first_stock: &[(&str, u32)],
) -> rusqlite::Result<(Connection, Connection)> {
    let mut writer = open(path)?;
    writer.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let begun = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    begun.execute_batch(SCHEMA)?;
    for (item, count) in first_stock {
        begun.execute(ADD_ITEM, params![item, count])?;
    }
    begun.commit()?;
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
fn write_in_groups(
    mut connection: Connection,
    mut jobs: mpsc::Receiver<Job<Reservation, Outcome>>,
    changes: &Changes,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_JOBS_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        group.retain(|job| !job.reply.is_closed());
        let asked: Vec<_> = group.iter().map(|job| &job.what).collect();
        let written = write(&mut connection, &asked);
        let failed = written.as_ref().err().cloned();
        let results = written.unwrap_or_default().into_iter().map(Some);
        let results = results.chain(std::iter::repeat_with(|| None));
        for (job, result) in group.into_iter().zip(results) {
            // If all of them failed, nobody knows whether it is on the disk.
            if matches!(&result, None | Some(Ok(Outcome::Reserved(_)))) {
                changes.note(&job.what.item);
            }
            let failed = || Err(failed.clone().unwrap_or_else(stopped));
            // Whoever is gone meanwhile wants no answer.
            let _ = job.reply.send(result.unwrap_or_else(failed));
        }
    }
}

/// Writes a group as one transaction, with an outcome for each of it, or an error for all.
fn write(
    connection: &mut Connection,
    group: &[&Reservation],
) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(StoreError::new)?;
    let mut results = Vec::new();
    for reservation in group {
        let savepoint = transaction.savepoint().map_err(StoreError::new)?;
        let result = reserve(&savepoint, reservation)
            .and_then(|outcome| savepoint.commit().map(|()| outcome))
            .map_err(StoreError::new);
        if transaction.is_autocommit() {
            let given_up = "SQLite gave the transaction up";
            return Err(result.err().unwrap_or_else(|| StoreError::new(given_up)));
        }
        results.push(result);
    }
    transaction.commit().map_err(StoreError::new)?;
    Ok(results)
}

fn reserve(connection: &Connection, asked: &Reservation) -> rusqlite::Result<Outcome> {
    let Reservation { order, item, count } = asked;
    if let Some(made) = find(connection, order)? {
        let is_same = (&made.item, made.count) == (item, *count);
        let Reserved { order, item, count, .. } = made.clone();
        let refused = || Outcome::Refused(Refused::OtherContent { order, item, count });
        return Ok(if is_same { Outcome::Reserved(made) } else { refused() });
    }
    // More than it can say is more than there is.
    let wanted = i64::try_from(*count).unwrap_or(i64::MAX);
    let lowered = connection
        .prepare_cached(LOWER)?
        .query_row(params![wanted, item], |row| row.get(0))
        .optional()?;
    let Some(left) = lowered else {
        return Ok(match count_of(connection, item)? {
            Some(left) => {
                let (item, wanted) = (item.clone(), *count);
                Outcome::Refused(Refused::TooLittle { item, wanted, left })
            }
            None => Outcome::Unknown,
        });
    };
    connection.prepare_cached(INSERT)?.execute(params![order, item, wanted, left])?;
    let (order, item, left) = (order.clone(), item.clone(), pieces(left));
    Ok(Outcome::Reserved(Reserved { order, item, count: *count, left }))
}

fn find(connection: &Connection, order: &str) -> rusqlite::Result<Option<Reserved>> {
    let reserved = |row: &rusqlite::Row<'_>| {
        Ok(Reserved {
            order: row.get(0)?,
            item: row.get(1)?,
            count: pieces(row.get(2)?),
            left: pieces(row.get(3)?),
        })
    };
    connection.prepare_cached(FIND)?.query_row([order], reserved).optional()
}

/// The reader, for as long as somebody may read.
fn read_in_turn(connection: &Connection, mut jobs: mpsc::Receiver<Read>) {
    while let Some(read) = jobs.blocking_recv() {
        match read {
            Read::Count(job) => answer(job, |item| count_of(connection, &item)),
            Read::Total(job) => answer(job, |()| {
                connection.prepare_cached(TOTAL)?.query_row([], |row| row.get(0).map(pieces))
            }),
        }
    }
}

fn answer<W, A>(job: Job<W, A>, read: impl FnOnce(W) -> rusqlite::Result<A>) {
    if !job.reply.is_closed() {
        // Whoever is gone meanwhile wants no answer.
        let _ = job.reply.send(read(job.what).map_err(StoreError::new));
    }
}

fn count_of(connection: &Connection, item: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached(COUNT)?;
    statement.query_row([item], |row| row.get(0).map(pieces)).optional()
}

/// No number in the file is below 0: the schema sees to it.
fn pieces(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn stopped() -> StoreError {
    StoreError::new("a thread of the store has stopped")
}

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS stock (
    item TEXT PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS reservations (
    \"order\" TEXT PRIMARY KEY,
    item TEXT NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    \"left\" INTEGER NOT NULL CHECK (\"left\" >= 0)
) STRICT;";

const ADD_ITEM: &str = "INSERT OR IGNORE INTO stock (item, count) VALUES (?1, ?2)";

const FIND: &str = "SELECT \"order\", item, count, \"left\" FROM reservations WHERE \"order\" = ?1";

const LOWER: &str = "UPDATE stock SET count = count - ?1 WHERE item = ?2 AND count >= ?1
    RETURNING count";

const INSERT: &str =
    "INSERT INTO reservations (\"order\", item, count, \"left\") VALUES (?1, ?2, ?3, ?4)";

const COUNT: &str = "SELECT count FROM stock WHERE item = ?1";

const TOTAL: &str = "SELECT coalesce(sum(count), 0) FROM stock";

/// Jobs that wait for the writer, and as many for the reader.
const QUEUE_JOBS_MAX: usize = 256;

/// Reservations of one commit.
const GROUP_JOBS_MAX: usize = 128;

/// Time to wait for another process that has the file locked.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: &str = "
        CREATE TRIGGER bad BEFORE INSERT ON reservations WHEN new.\"order\" = 'bad'
            BEGIN SELECT raise(ABORT, 'on purpose'); END;
        CREATE TRIGGER worst BEFORE INSERT ON reservations WHEN new.\"order\" = 'worst'
            BEGIN SELECT raise(ROLLBACK, 'on purpose'); END;";

    /// A group of such reservations, on a stock of 100, has these outcomes and leaves as much.
    #[track_caller]
    fn check(group: &[(&str, &str, u64)], expected: &str, left: i64) {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch(TRIGGERS).unwrap();
        connection.execute(ADD_ITEM, params!["item1", 100]).unwrap();
        let group: Vec<_> = group
            .iter()
            .map(|(order, item, count)| Reservation::new(*order, *item, *count))
            .collect();
        let results = write(&mut connection, &group.iter().collect::<Vec<_>>());
        let words = results.map(|results| results.iter().map(word).collect::<Vec<_>>().join(" "));
        assert_eq!(words.unwrap_or_else(|_| "failed".to_owned()), expected);
        let (count, sum): (i64, i64) = connection
            .query_row(
                "SELECT count, (SELECT coalesce(sum(count), 0) FROM reservations) FROM stock",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!((count, count.saturating_add(sum)), (left, 100), "{group:?}");
        assert!(connection.is_autocommit(), "{group:?} left a transaction open");
    }

    fn word(result: &Result<Outcome, StoreError>) -> String {
        match result {
            Ok(Outcome::Reserved(reserved)) => reserved.left.to_string(),
            Ok(Outcome::Refused(Refused::TooLittle { left, .. })) => format!("only-{left}"),
            Ok(Outcome::Refused(Refused::OtherContent { count, .. })) => format!("other-{count}"),
            Ok(Outcome::Unknown) => "unknown".to_owned(),
            Err(_) => "-".to_owned(),
        }
    }

    #[test]
    fn an_order_is_reserved_once_or_not_at_all() {
        check(&[], "", 100);
        check(&[("a", "item1", 1), ("b", "item1", 2)], "99 97", 97);
        // The same again, also when less is left by then.
        check(&[("a", "item1", 60), ("b", "item1", 30), ("a", "item1", 60)], "40 10 40", 10);
        check(&[("a", "item1", 60), ("a", "item1", 61)], "40 other-60", 40);
        check(&[("a", "item1", 60), ("a", "item2", 60)], "40 other-60", 40);
        check(&[("a", "item2", 1), ("A", "Item1", 1)], "unknown unknown", 100);
        check(&[("a", "item1", 101), ("a", "item1", 100)], "only-100 0", 0);
        check(&[("a", "item1", 100), ("b", "item1", 1)], "0 only-0", 0);
        check(&[("a", "item1", u64::MAX), ("b", "item1", 1 << 63)], "only-100 only-100", 100);
    }

    #[test]
    fn a_failure_is_that_of_its_reservation_or_of_the_group() {
        let one = |order| (order, "item1", 1);
        // Its stock was lowered when it failed.
        check(&[one("a"), one("bad"), one("b")], "99 - 98", 98);
        check(&[one("a"), one("worst"), one("b")], "failed", 100);
    }
}
