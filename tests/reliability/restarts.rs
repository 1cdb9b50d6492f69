//! G19: a process is killed again and again while streams and calls are under way, and the books of
//! its callers are right.
//!
//! The child keeps a journal in a file: a line for each number that it was told, by a call or as an
//! item of an upload. What its callers know of each number is compared with the file at the end:
//!
//! | the caller was told | the file has the number |
//! |---|---|
//! | it is written, and where | once, there |
//! | an error that is safe to retry | not at all |
//! | another error | at most once |
//!
//! All share one client that connects anew. What surely did not run it sends again, so hardly a
//! number is told as not written. A reader follows the journal all the while, by one call, which
//! goes on after each kill where it was: it has each line once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard::{
    Client, Command, Context, Endpoint, Receiver, Result, Sender, Streamed, with_state,
};
use switchboard_testing::random::rounds;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{block_on, figure};

const WRITE: Command<u64, u64> = Command::new("WRITE");
const UPLOAD: Command<Streamed<u64>, u64> = Command::new("UPLOAD");
const FOLLOW: Command<(), Streamed<u64>> = Command::new("FOLLOW").resumable().endless();

pub(crate) fn run() {
    let folder = std::env::temp_dir().join(format!("switchboard-journal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    block_on(restart_all(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn restart_all(folder: &Path) {
    let begun = Instant::now();
    let restarts = rounds(RESTARTS);
    let books = Arc::new(Books::default());
    let client = Client::reconnect(address(folder)).unwrap();
    // A process of this test lives for less than the usual pauses.
    let client = client.backoff(Duration::from_millis(1), Duration::from_millis(20)).client();
    let mut callers = JoinSet::new();
    for _ in 0..WRITERS {
        callers.spawn(Arc::clone(&books).write(client.clone()));
    }
    callers.spawn(Arc::clone(&books).upload(client.clone()));
    let reader = tokio::spawn(Arc::clone(&books).follow(client));
    for round in 0..restarts {
        let child = Killed(start(folder));
        // Long enough to be connected to, and not always for the same.
        sleep(Duration::from_millis(20 + round % 30)).await;
        drop(child);
    }
    books.is_over.store(true, Ordering::Release);
    // Those who wait for an answer are told by the last one, and the reader has the rest of it.
    let child = Killed(start(folder));
    while callers.join_next().await.transpose().unwrap().is_some() {}
    let written = lines(&folder.join("journal"));
    books.last.store(written.len() as u64, Ordering::Release);
    let read = reader.await.unwrap();
    drop(child);
    assert_eq!(read, written, "the reader has not what is written");
    let [told, unsure, never] = books.compare(&written);
    let text = format!(
        "{restarts} kills under {WRITERS} writers, an upload and a reader: {told} numbers told as \
         written, {never} as not written, {unsure} not known; {} lines, each read once and in \
         order (goal 0 wrong); {:.1} s",
        written.len(),
        begun.elapsed().as_secs_f64()
    );
    figure("G19", &text);
    assert!(told > 0 && unsure > 0, "nothing was under way");
}

/// What the callers know.
#[derive(Default)]
struct Books {
    next: AtomicU64,
    is_over: AtomicBool,
    // The line that the reader stops behind, once that is known.
    last: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    // By number, on which line it stands.
    told: BTreeMap<u64, u64>,
    unsure: BTreeSet<u64>,
    never: BTreeSet<u64>,
}

impl Books {
    async fn write(self: Arc<Self>, client: Client) {
        while !self.is_over.load(Ordering::Acquire) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let written = client.call(WRITE, &number).await;
            let mut known = self.known.lock().unwrap();
            match written {
                Ok(line) => drop(known.told.insert(number, line)),
                Err(error) if error.is_safe_to_retry() => drop(known.never.insert(number)),
                Err(_) => drop(known.unsure.insert(number)),
            }
        }
    }

    /// Sends numbers as items; only whether all of one upload are written is told.
    async fn upload(self: Arc<Self>, client: Client) {
        while !self.is_over.load(Ordering::Acquire) {
            let mut call = client.call(UPLOAD, &());
            let mut sent = Vec::new();
            let mut is_lost = false;
            while sent.len() < ITEMS && !is_lost {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                sent.push(number);
                is_lost = call.send(&number).await.is_err();
            }
            let count = call.finish().await;
            let mut known = self.known.lock().unwrap();
            if let Ok(count) = count {
                assert!(!is_lost && count == sent.len() as u64, "{count} of {}", sent.len());
                known.told.extend(sent.into_iter().map(|number| (number, ANYWHERE)));
            } else {
                known.unsure.extend(sent);
            }
        }
    }

    /// Reads the journal, by one call over all kills.
    async fn follow(self: Arc<Self>, client: Client) -> Vec<u64> {
        let mut read = Vec::new();
        let mut numbers = client.call(FOLLOW, &());
        while !self.is_read(read.len()) {
            let next = tokio::time::timeout(Duration::from_millis(100), numbers.next()).await;
            // Perhaps nothing was written since.
            let Ok(number) = next else { continue };
            read.push(number.expect("it has no end").expect("it goes on"));
            assert_eq!(numbers.position(), Some(read.len() as u64 - 1));
        }
        read
    }

    fn is_read(&self, lines: usize) -> bool {
        let last = self.last.load(Ordering::Acquire);
        last > 0 && lines as u64 >= last
    }

    /// How many numbers were told, not known and surely not written, all as they should be.
    fn compare(&self, written: &[u64]) -> [usize; 3] {
        let known = self.known.lock().unwrap();
        let mut lines = BTreeMap::new();
        for (line, number) in (0_u64..).zip(written) {
            assert_eq!(lines.insert(*number, line), None, "{number} is written twice");
        }
        for (number, line) in &known.told {
            let there = lines.get(number).copied();
            let is_right = there.is_some_and(|there| *line == ANYWHERE || *line == there);
            assert!(is_right, "{number} was told to be on line {line}, and is on {there:?}");
        }
        for number in &known.never {
            assert!(!lines.contains_key(number), "{number} was told not to be written, and is");
        }
        [known.told.len(), known.unsure.len(), known.never.len()]
    }
}

/// A child that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(folder: &Path) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

fn address(folder: &Path) -> String {
    format!("unix:{}", folder.join("socket").display())
}

fn lines(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(FOLDER).is_some()
}

/// The child itself.
pub(crate) fn main() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    std::thread::spawn(move || block_on(serve(&folder)).unwrap());
    // It does not outlive its parent.
    let _ = std::io::stdin().read(&mut [0]);
}

struct Journal {
    file: Mutex<File>,
    numbers: watch::Sender<Vec<u64>>,
}

impl Journal {
    /// Writes a number in one go; answers on which line it stands.
    fn append(&self, number: u64) -> Result<u64> {
        let mut file = self.file.lock().unwrap();
        file.write_all(format!("{number}\n").as_bytes())?;
        let mut line = 0;
        self.numbers.send_modify(|numbers| {
            line = numbers.len() as u64;
            numbers.push(number);
        });
        Ok(line)
    }
}

async fn serve(folder: &Path) -> Result<()> {
    let path = folder.join("journal");
    let numbers = watch::Sender::new(lines(&path));
    let file = Mutex::new(OpenOptions::new().create(true).append(true).open(path)?);
    let journal = Arc::new(Journal { file, numbers });
    Endpoint::new()
        .on(
            WRITE,
            with_state(&journal, async |journal: Arc<Journal>, number: u64| journal.append(number)),
        )
        .on(UPLOAD, with_state(&journal, upload))
        .on(FOLLOW, with_state(&journal, follow))
        .listen(address(folder))
        .await
}

async fn upload(journal: Arc<Journal>, _: (), mut numbers: Receiver<u64>) -> Result<u64> {
    let mut count = 0;
    while let Some(number) = numbers.next().await? {
        journal.append(number)?;
        count += 1;
    }
    Ok(count)
}

async fn follow(journal: Arc<Journal>, _: (), out: Sender<u64>, context: Context) -> Result<()> {
    let mut numbers = journal.numbers.subscribe();
    let first = context.resume_at().unwrap_or_default();
    out.open_at(first);
    for position in first.. {
        let number = {
            let there = numbers.wait_for(|numbers| numbers.len() as u64 > position).await;
            there.expect("its sender is in the journal")[position as usize]
        };
        out.send(&number).await?;
    }
    Ok(())
}

/// In an everyday run; 1,000 with `SWITCHBOARD_SCALE=50`.
const RESTARTS: u64 = 20;

const WRITERS: usize = 64;

/// Of one upload.
const ITEMS: usize = 200;

/// On a line that was not told.
const ANYWHERE: u64 = u64::MAX;

/// Tells the child where its files are, and that it is one.
const FOLDER: &str = "SWITCHBOARD_JOURNAL";
