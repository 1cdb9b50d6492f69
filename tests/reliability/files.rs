//! G13: no files left. The endpoint waits without spinning, serves whom it has, and recovers.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::child::{Child, Settings};
use crate::{block_on, figure};
use switchboard_testing::random::rounds;

pub(crate) fn run() {
    let settings = Settings { files_max: FILES_MAX, ..Settings::default() };
    let mut child = Child::start(&settings);
    block_on(async {
        let watch = child.watch().await;
        let before = watch.status().await;
        // The kernel completes these without the endpoint: whom it cannot accept waits in a queue.
        let mut streams = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(child.address).await.unwrap();
            stream.write_all(b"PING 1 0\n").await.unwrap();
            streams.push(stream);
        }
        let full = watch.until("no file left", |now| now.files >= FILES_MAX).await;
        let live = full.tasks - before.tasks;
        assert!(live < CLIENTS, "there was room for everybody");

        // Starving for a while is the test; the live ones are served all the time.
        let time = Duration::from_secs(rounds(3).min(60));
        let (begun, mut pings) = (Instant::now(), 0);
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while begun.elapsed() < time {
            pace.tick().await;
            timeout(Duration::from_secs(5), watch.ping()).await.expect("a live one is served");
            pings += 1;
        }
        let starved = watch.status().await;
        let share =
            100.0 * (starved.cpu_ms - full.cpu_ms) as f64 / begun.elapsed().as_millis() as f64;

        // Everybody who has been served leaves, and the others have their turn.
        let begun = Instant::now();
        let mut served = 0;
        for mut stream in streams {
            let mut reply = [0; 8];
            let read = timeout(Duration::from_secs(30), stream.read_exact(&mut reply)).await;
            read.expect("everybody is served in the end").unwrap();
            assert_eq!(&reply, b"<1 ok 0\n");
            served += 1;
        }
        let recovered = begun.elapsed();
        watch
            .until("files and tasks as before", |now| {
                now.files == before.files && now.tasks == before.tasks
            })
            .await;
        let text = format!(
            "{:.0} s without a free file ({FILES_MAX} in all, {live} connections live, {} \
             waiting): {share:.1} % of one core (goal 5 %), {pings} of {pings} pings answered; all \
             {served} served {:.2} s after files were free (goal 1 s)",
            time.as_secs_f64(),
            CLIENTS - live,
            recovered.as_secs_f64(),
        );
        figure("G13", &text);
        // The debug build of the pings is in it, and a core that is shared.
        assert!(share < 30.0, "the accept loop spins");
    });
    assert!(child.is_alive());
}

const FILES_MAX: u64 = 64;
const CLIENTS: u64 = 100;
