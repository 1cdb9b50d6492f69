//! How does a reader follow a log across restarts of its server? `cargo run --example follow`.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use switchboard::{
    Client, Command, Context, Endpoint, Error, Report, Result, Sender, Streamed, transport,
    with_state,
};
use tokio::sync::{mpsc, oneshot, watch};

// Its lines have positions, and there are always more to come.
const FOLLOW: Command<(), Streamed<String>> = Command::new("FOLLOW").resumable().endless();

/// What outlives the server: in a program, files.
struct Log {
    lines: BTreeMap<u64, String>,
    next: u64,
}

impl Log {
    fn append(&mut self, text: String) {
        self.lines.insert(self.next, text);
        self.next = self.next.saturating_add(1);
    }

    fn positions(&self) -> Range<u64> {
        let first = self.lines.first_key_value().map(|(position, _)| *position);
        first.unwrap_or(self.next)..self.next
    }

    fn line(&self, position: u64) -> Result<String> {
        let line = self.lines.get(&position).cloned();
        line.ok_or_else(|| Error::no_such_position(self.positions()))
    }
}

async fn follow(
    log: Arc<watch::Sender<Log>>,
    _: (),
    out: Sender<String>,
    context: Context,
) -> Result<()> {
    let mut log = log.subscribe();
    let there = log.borrow().positions();
    let first = context.resume_at().unwrap_or(there.start);
    // Whoever has read all goes on at the line that comes next.
    if first != there.end {
        log.borrow().line(first)?;
    }
    out.open_at(first);
    for position in first.. {
        let log = log.wait_for(|log| log.next > position).await;
        // A reader that is so slow that its line is gone by now is told so, too.
        let line = log.map_err(Error::internal)?.line(position)?;
        out.send(&line).await?;
    }
    Ok(())
}

/// Reads for ever. Where it goes on after a break, its client sees to.
async fn read(client: Client, all: mpsc::Sender<(u64, String)>) -> Result<()> {
    let mut lines = client.call(FOLLOW, &());
    loop {
        match lines.next().await.transpose() {
            Ok(Some(line)) => {
                let position = lines.position().unwrap_or_default();
                if all.send((position, line)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                // It was away for too long. A program may fetch a copy of the whole here.
                let first = error.positions().ok_or(error)?.start;
                println!("what comes next is not there any more; the first one is {first}");
                lines = client.call(FOLLOW, &()).resume_at(first);
            }
        }
    }
}

async fn serve(
    address: String,
    log: Arc<watch::Sender<Log>>,
    stop: oneshot::Receiver<()>,
) -> Result<Report> {
    let listener = transport::bind(&address).await?;
    Endpoint::new().on(FOLLOW, with_state(&log, follow)).serve_until(listener, stop).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = format!("switchboard-follow-{}.sock", std::process::id());
    let address = format!("unix:{}", std::env::temp_dir().join(file).display());
    let log = Arc::new(watch::Sender::new(Log { lines: BTreeMap::new(), next: 1 }));
    let append = |numbers: RangeInclusive<u64>| {
        log.send_modify(|log| numbers.for_each(|number| log.append(format!("line {number}"))));
    };
    let (lines, mut received) = mpsc::channel(1);
    let client = Client::reconnect(&address)?.client();
    let reader = tokio::spawn(read(client, lines));

    let mut all = Vec::new();
    // What is written while no server runs, what is kept of it, and what is written later.
    for (before, first, later) in [(1..=3, 1, 4..=4), (5..=6, 1, 7..=7), (8..=11, 10, 12..=12)] {
        append(before);
        log.send_modify(|log| log.lines = log.lines.split_off(&first));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(address.clone(), Arc::clone(&log), stopped));
        let last = *later.end();
        append(later);
        while let Some((position, line)) = received.recv().await {
            println!("it has read {line:?}");
            all.push(position);
            if position == last {
                break;
            }
        }
        println!("the server stops");
        drop(stop);
        drop(server.await);
    }
    println!("each once: {all:?}");
    reader.abort();
    Ok(())
}
