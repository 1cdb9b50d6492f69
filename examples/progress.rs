//! How does a long job report, and what if its caller is gone or its server stops?
//! `cargo run --example progress`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::transport::{self, MemoryDialer};
use switchboard::{Command, Context, Endpoint, Report, Result, Sender, Streamed, with_state};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

// Reports how many parts are done, and at the end whether that is all.
const INDEX: Command<(), Streamed<u32, Outcome>> = Command::new("INDEX");

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Done,
    Paused,
}

/// How many parts are done. It stands for a file, in which the next server finds that.
type Saved = Mutex<u32>;

async fn index(saved: Arc<Saved>, _: (), out: Sender<u32>, context: Context) -> Result<Outcome> {
    // Locked until all is written, so that there is one such job at a time.
    let saved = saved.lock_owned().await;
    let begin = saved.saturating_add(1);
    let (done, last) = watch::channel(*saved);
    context.spawn(save(saved, last));

    let mut draining = pin!(context.draining());
    for part in begin..=PARTS {
        tokio::select! {
            () = sleep(PART_TIME) => {} // Here it works.
            () = &mut draining => return Ok(Outcome::Paused),
        }
        done.send_replace(part);
        out.send(&part).await?;
    }
    Ok(Outcome::Done)
}

// A task beside the job, which outlives it, and which a server that stops waits for. However the
// job ends, `done` is dropped then: it returns, or it is stopped since nobody waits for it.
async fn save(mut saved: OwnedMutexGuard<u32>, mut last: watch::Receiver<u32>) {
    while last.changed().await.is_ok() {}
    sleep(WRITE_TIME).await;
    *saved = *last.borrow();
    println!("the job has ended, and {} of {PARTS} parts are saved", *saved);
}

/// What connects to a server, what stops it when it is dropped, and what it says at its end.
type Server = (MemoryDialer, oneshot::Sender<()>, JoinHandle<Result<Report>>);

fn serve(saved: &Arc<Saved>) -> Server {
    let (listener, dialer) = transport::memory_listener();
    let endpoint = Endpoint::new().on(INDEX, with_state(saved, index));
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    (dialer, stop, server)
}

// Here minutes pass in no time, as the example `testing` explains.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let saved = Arc::new(Saved::default());
    let (dialer, stop, server) = serve(&saved);
    let client = Endpoint::new().connect_over(dialer.dial().await?);

    println!("--- a caller that loses interest");
    let mut job = client.call(INDEX, &());
    while let Some(part) = job.next().await.transpose()? {
        println!("the caller is told: {part}");
        if part == 2 {
            break;
        }
    }
    drop(job); // The handler is stopped where it waits.
    drop(saved.lock().await); // And what it has done is saved.

    println!("--- a server that stops");
    let mut job = client.call(INDEX, &());
    if let Some(part) = job.next().await {
        println!("the caller is told: {}", part?);
    }
    drop(stop);
    println!("the caller is told: {:?}", job.finish().await?);
    if let Ok(report) = server.await {
        println!("the server has ended, and cut off {} tasks", report?.tasks_cut_off);
    }

    println!("--- the next server");
    let (dialer, stop, server) = serve(&saved);
    let client = Endpoint::new().connect_over(dialer.dial().await?);
    let mut job = client.call(INDEX, &());
    while let Some(part) = job.next().await {
        println!("the caller is told: {}", part?);
    }
    println!("the caller is told: {:?}", job.finish().await?);
    drop(stop);
    drop(server.await);
    Ok(())
}

const PARTS: u32 = 5;
const PART_TIME: Duration = Duration::from_secs(60);

/// Less than `drain_time_max`, 10 seconds here: what takes longer is cut off.
const WRITE_TIME: Duration = Duration::from_secs(2);
