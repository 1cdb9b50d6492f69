//! The cache over a shelf that can be held, that fails and that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard_inventory::{Changes, LoadError, Shelf, StockCache, StoreError};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

/// Looks at the stock when it is asked, and answers when it may.
struct Held {
    stock: AtomicU64,
    may_answer: Semaphore,
    is_broken: AtomicU64,
}

const WORKS: u64 = 0;
const FAILS: u64 = 1;
const PANICS: u64 = 2;

impl Shelf for Held {
    async fn count(&self, item: &str) -> Result<Option<u64>, StoreError> {
        let stock = self.stock.load(Ordering::SeqCst);
        let how = self.is_broken.load(Ordering::SeqCst);
        drop(self.may_answer.acquire().await);
        assert!(how != PANICS, "on purpose");
        if how == FAILS {
            return Err(StoreError::new("on purpose"));
        }
        Ok(Some(stock).filter(|_| item.starts_with("item")))
    }
}

struct Try {
    shelf: Arc<Held>,
    changes: Arc<Changes>,
    cache: StockCache<Held>,
}

impl Try {
    fn new(how: u64, entries_max: u64, time_max: Duration) -> Self {
        let may_answer = Semaphore::new(0);
        let shelf = Held { stock: AtomicU64::new(100), may_answer, is_broken: how.into() };
        let (shelf, changes) = (Arc::new(shelf), Arc::new(Changes::new()));
        let cache =
            StockCache::new(Arc::clone(&shelf), Arc::clone(&changes), entries_max, time_max);
        Self { shelf, changes, cache }
    }

    /// One whose shelf answers at once.
    fn open(entries_max: u64, time_max: Duration) -> Self {
        let opened = Self::new(WORKS, entries_max, time_max);
        opened.let_answer();
        opened
    }

    fn let_answer(&self) {
        self.shelf.may_answer.add_permits(1_000_000);
    }

    /// Asks in a task of its own.
    fn ask(&self, item: &'static str) -> JoinHandle<Result<u64, LoadError>> {
        let cache = self.cache.clone();
        tokio::spawn(async move { cache.count(item).await })
    }

    fn loads(&self) -> u64 {
        self.cache.counted().loads
    }
}

/// Until all tasks of this thread wait for something. Time is paused meanwhile: a loader that is
/// held would else be given up.
async fn all_wait() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_wait_share_one_loader() {
    let held = Try::new(WORKS, 10, HOUR);
    let asked: Vec<_> = (0..100).map(|_| held.ask("item1")).collect();
    all_wait().await;
    held.let_answer();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap(), 100);
    }
    assert_eq!(held.cache.count("item1").await.unwrap(), 100);
    let counted = held.cache.counted();
    assert_eq!((counted.requests, counted.loads), (101, 1));
    println!("{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_fails_for_all_and_once() {
    check_broken(FAILS, "the store failed: on purpose").await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_fails_for_all_and_once() {
    check_broken(PANICS, "the loader panicked").await;
}

async fn check_broken(how: u64, expected: &str) {
    let held = Try::new(how, 10, HOUR);
    let asked: Vec<_> = (0..100).map(|_| held.ask("item1")).collect();
    all_wait().await;
    held.let_answer();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap_err().to_string(), expected);
    }
    assert_eq!(held.loads(), 1);
    // What failed is not kept.
    held.shelf.is_broken.store(WORKS, Ordering::SeqCst);
    assert_eq!(held.cache.count("item1").await.unwrap(), 100);
    assert_eq!(held.loads(), 2);
    println!("100 were told that {expected}, by one loader; the next one loaded anew");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_does_not_end_is_given_up() {
    let held = Try::new(WORKS, 10, HOUR);
    let asked: Vec<_> = (0..100).map(|_| held.ask("item1")).collect();
    for answer in asked {
        let error = answer.await.unwrap().unwrap_err().to_string();
        assert_eq!(error, "the loader took longer than 5s");
    }
    assert_eq!(held.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_leave_do_not_stop_the_loader_of_the_others() {
    let held = Try::new(WORKS, 10, HOUR);
    // The first one begins it, and more leave than moka bears.
    let leaving: Vec<_> = (0..300).map(|_| held.ask("item1")).collect();
    all_wait().await;
    let staying = held.ask("item1");
    all_wait().await;
    for asked in leaving {
        asked.abort();
        all_wait().await;
    }
    held.let_answer();
    assert_eq!(staying.await.unwrap().unwrap(), 100);
    assert_eq!(held.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_is_not_answered_after_it() {
    let held = Try::new(WORKS, 10, HOUR);
    let before = held.ask("item1");
    all_wait().await;
    // As the store does, while a loader is under way that has seen the stock of before.
    held.shelf.stock.store(90, Ordering::SeqCst);
    held.changes.note("item1");
    let after = held.ask("item1");
    all_wait().await;
    held.let_answer();
    assert_eq!(after.await.unwrap().unwrap(), 90);
    assert_eq!(before.await.unwrap().unwrap(), 100);
    // The loader of before is the last one that kept something.
    assert_eq!(held.cache.count("item1").await.unwrap(), 90);
    held.shelf.stock.store(80, Ordering::SeqCst);
    held.changes.note("item1");
    assert_eq!(held.cache.count("item1").await.unwrap(), 80);
    assert_eq!(held.loads(), 3);
}

#[tokio::test]
async fn a_change_of_one_item_leaves_most_others() {
    let held = Try::open(1000, HOUR);
    let names: Vec<_> = (0..100).map(|number| format!("item{number}")).collect();
    for name in &names {
        held.cache.count(name).await.unwrap();
    }
    held.changes.note("item1");
    for name in &names {
        held.cache.count(name).await.unwrap();
    }
    // Itself, and those few that share its count.
    let again = held.loads() - 100;
    assert!((1..20).contains(&again), "{again} of 100 were loaded again");
}

#[tokio::test]
async fn entries_get_old() {
    let held = Try::open(10, Duration::from_millis(1));
    // moka has a clock of its own, so this asks until it has gone on; without an age, for ever.
    let asking = async {
        while held.loads() < 3 {
            held.cache.count("item1").await.unwrap();
            yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("an old entry goes");
    let kept = Try::open(10, HOUR);
    for _ in 0..10_000 {
        kept.cache.count("item1").await.unwrap();
    }
    assert_eq!(kept.loads(), 1);
}

/// A change makes a new key, beside those that were asked for more often and nobody wants now.
#[tokio::test]
async fn what_is_new_finds_room() {
    let held = Try::open(10, HOUR);
    let names: Vec<_> = (0..10).map(|number| format!("item{number}")).collect();
    for name in names.iter().cycle().take(1000) {
        held.cache.count(name).await.unwrap();
    }
    names.iter().for_each(|name| held.changes.note(name));
    held.cache.entries().await;
    held.cache.count("item1").await.unwrap();
    held.cache.entries().await;
    let loads = held.loads();
    held.cache.count("item1").await.unwrap();
    assert_eq!(held.loads(), loads);
}

#[tokio::test]
async fn entries_are_bounded_and_names_of_nothing_are_none() {
    let held = Try::open(10, HOUR);
    for number in 0..1000 {
        held.cache.count(&format!("item{number}")).await.unwrap();
    }
    let entries = held.cache.entries().await;
    assert!((1..=10).contains(&entries), "{entries} entries");

    let held = Try::open(1_000_000, HOUR);
    for number in 0..1000 {
        let error = held.cache.count(&format!("no{number}")).await.unwrap_err();
        assert!(matches!(error, LoadError::Unknown), "{error}");
    }
    assert_eq!((held.cache.entries().await, held.loads()), (0, 1000));
}
