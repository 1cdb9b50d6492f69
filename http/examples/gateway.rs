//! One registration, two doors: a gateway on port 8080, for curl and for a browser, and the command
//! port 61000, for netcat and for programs. The README shows what they get.
//!
//! ```sh
//! cd systems && cargo run -p switchboard-http --example gateway
//! ```

use std::time::Duration;

use switchboard::format::Json;
use switchboard::{Command, Context, Endpoint, Error, Result, Sender, Streamed, transport};
use switchboard_http::{Gateway, HttpLimits, Member, serve_http_until};

const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
const QUERY: Command<String, String, Json> = Command::new("QUERY");
const TICKS: Command<(), Streamed<u64>, Json> = Command::new("TICKS").read_only().resumable();

/// Three ticks, at 0, 1 and 2, and the rest of them for who comes back.
async fn ticks((): (), out: Sender<u64>, context: Context) -> Result<()> {
    let first = context.resume_at().unwrap_or_default();
    out.open_at(first);
    for tick in first..3 {
        out.send(&tick).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = Endpoint::new()
        .on(ADD, async |(a, b): (u32, u32)| {
            a.checked_add(b)
                .ok_or_else(|| Error::new(switchboard::Code::Invalid, "too large a sum"))
        })
        .on(QUERY, async |text: String| Ok::<_, Error>(text.to_uppercase()))
        .on(TICKS, ticks);
    let address = "127.0.0.1:8080";
    let listener = transport::bind(address).await?;
    let member = Member::new("n1", Some(address.to_owned()));
    let gateway = Gateway::new(&endpoint).with_node(member, env!("CARGO_PKG_VERSION"));
    let commands = transport::bind("127.0.0.1:61000").await?;
    let stop = tokio::signal::ctrl_c();
    let port = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.serve_until(commands, stop).await }
    });
    let (limits, stop) = (HttpLimits::default(), tokio::signal::ctrl_c());
    let report = serve_http_until(&endpoint, listener, gateway.clone(), limits, stop).await;
    gateway.close();
    gateway.closed().await;
    drop(port.await);
    println!("{} connections, {} requests", report.connections, report.requests);
    Ok(())
}
