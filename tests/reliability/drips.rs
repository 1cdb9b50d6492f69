//! G14: thousands of peers that send a byte a second are cut off, and others are served meanwhile.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::{Child, PING, Settings, raise_files};
use crate::{block_on, crowd, figure, percentile};
use switchboard_testing::random::rounds;

pub(crate) fn run() {
    let wanted = rounds(1_250);
    let count = wanted.min(raise_files().saturating_sub(200));
    if count < wanted {
        figure("G14", &format!("scaled down from {wanted} to {count}: no more files may be open"));
    }
    // Bodies drip as well as lines, and get as long as a line does by default.
    let settings = Settings { body_time_ms_max: 10_000, ..Settings::default() };
    let child = Child::start(&settings);
    block_on(async {
        let watch = child.watch().await;
        let before = watch.status().await;
        let mut streams = Vec::new();
        crowd::connect(child.address, count, &mut streams).await;
        let mut dripping = JoinSet::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let begin: &[u8] = if number % 2 == 0 { b"n" } else { b"ECHO 1 60000 f=bytes\n" };
            dripping.spawn(drip(stream, begin));
        }
        let address = child.address.to_string();
        let newcomer = tokio::spawn(async move {
            let mut times = Vec::new();
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            loop {
                pace.tick().await;
                let begun = Instant::now();
                let client = switchboard::Client::connect(&address).await.unwrap();
                client.call(PING, &()).await.expect("a newcomer is served");
                times.push(begun.elapsed());
                client.close().await;
                // So many take less time than the others drip.
                if times.len() >= NEWCOMERS {
                    return times;
                }
            }
        });
        let lives = tokio::time::timeout(Duration::from_secs(60), dripping.join_all()).await;
        let mut lives = lives.expect("every dripping connection is closed");
        let mut times = newcomer.await.unwrap();
        watch
            .until("files and tasks as before", |now| {
                now.files == before.files && now.tasks == before.tasks
            })
            .await;
        let text = format!(
            "{count} connections at a byte a second: all closed, the last {:.1} s after its first \
             byte (goal 11 s); {} newcomers meanwhile, median {:.1} ms, p99 {:.1} ms \
             (goal 20 ms)",
            percentile(&mut lives, 100).as_secs_f64(),
            times.len(),
            percentile(&mut times, 50).as_secs_f64() * 1e3,
            percentile(&mut times, 99).as_secs_f64() * 1e3,
        );
        figure("G14", &text);
    });
}

/// Sends a byte a second until the peer closes; answers how long that was.
async fn drip(mut stream: TcpStream, begin: &[u8]) -> Duration {
    let begun = Instant::now();
    let _ = stream.write_all(begin).await;
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    let mut said = [0; 256];
    loop {
        tokio::select! {
            read = stream.read(&mut said) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => return begun.elapsed(),
            },
            _ = pace.tick() => {
                let _ = stream.write_all(b"n").await;
            }
        }
    }
}

const NEWCOMERS: usize = 150;
