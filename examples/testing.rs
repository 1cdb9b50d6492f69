//! How do I test what takes long? `cargo run --example testing`.

use std::time::Duration;

use switchboard::{Command, Endpoint, Limits, Result, transport};
use tokio::time::{Instant, sleep};

const NAP: Command<u64, String> = Command::new("NAP");

// What is tested: it takes as many seconds as it is told.
async fn nap(seconds: u64) -> Result<String> {
    sleep(Duration::from_secs(seconds)).await;
    Ok(format!("slept for {seconds} s"))
}

// A test has `#[tokio::test(start_paused = true)]` for it. The clock of tokio stands still while
// anything is left to do, and then jumps to what is due next. This needs its feature `test-util`,
// and streams in memory: of a socket tokio cannot know that nothing is on its way.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let (begun, real) = (Instant::now(), std::time::Instant::now());
    let (here, there) = transport::memory();
    let endpoint = Endpoint::new().on(NAP, nap);
    let server = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let limits = Limits::default();
    let client = Endpoint::new().with_limits(limits.clone()).connect_over(here);

    println!("the handler {}", client.call(NAP, &20).await?);
    if let Err(error) = client.call(NAP, &40).await {
        println!("40 s are over call_time_max: {}", error.code());
    }

    // Longer than idle_time_max, so the server closes the connection.
    sleep(Duration::from_secs(400)).await;
    assert!(limits.idle_time_max < Duration::from_secs(400));
    client.closed().await;
    if let Err(error) = client.call(NAP, &1).await {
        println!("after 400 s of idling: {}", error.code());
    }
    drop(server.await);

    assert!(begun.elapsed() >= Duration::from_secs(450));
    assert!(real.elapsed() < Duration::from_secs(60));
    println!("all that took no time");
    Ok(())
}
