//! How does a client outlive a restart of its server? `cargo run --example reconnect`.

use std::time::Duration;

use switchboard::{Client, Command, Endpoint, Error, Report, Result, transport};
use tokio::{sync::oneshot, time::sleep};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE").idempotent();

/// Connects when it must, and calls again what surely did not run and may go well next time.
struct Caller {
    address: String,
    client: Option<Client>,
}

impl Caller {
    async fn double(&mut self, number: u32) -> Result<u64> {
        let mut pause = Duration::from_millis(20);
        for _ in 1..ATTEMPTS_MAX {
            match self.double_once(number).await {
                Err(error) if may_repeat(&error) && error.is_transient() => {
                    pause = pause.max(error.retry_after().unwrap_or_default());
                    println!("{}; again in {pause:?}", error.code());
                    sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                result => return result,
            }
        }
        self.double_once(number).await
    }

    // After any error the next call has a connection of its own, which is simple and always right.
    // Where many tasks share a client, replace it only if it is closed.
    async fn double_once(&mut self, number: u32) -> Result<u64> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.address).await?,
        };
        let doubled = client.call(DOUBLE, &number).timeout(Duration::from_secs(5)).await?;
        self.client = Some(client);
        Ok(doubled)
    }
}

/// Whether to call once more does no harm.
fn may_repeat(error: &Error) -> bool {
    error.is_safe_to_retry() || DOUBLE.facts().is_idempotent()
}

async fn serve(address: String, stop: oneshot::Receiver<()>) -> Result<Report> {
    let listener = transport::bind(&address).await?;
    let endpoint = Endpoint::new().on(DOUBLE, async |n: u32| Ok::<_, Error>(u64::from(n) * 2));
    endpoint.serve_until(listener, stop).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = format!("switchboard-reconnect-{}.sock", std::process::id());
    let address = format!("unix:{}", std::env::temp_dir().join(file).display());
    let mut caller = Caller { address: address.clone(), client: None };

    for when in ["before", "after"] {
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(address.clone(), stopped));
        println!("{when}: {}", caller.double(21).await?);
        drop(stop);
        drop(server.await); // It has drained; what the caller has now is a closed connection.
    }
    Ok(())
}

const ATTEMPTS_MAX: u32 = 8;
