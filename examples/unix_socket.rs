//! Who is calling? On a Unix socket the system knows: `cargo run --example unix_socket`.

use switchboard::transport::{self, Credentials, Peer};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Result};

const WHO_AM_I: Command<(), String> = Command::new("WHO_AM_I");

// Nothing in a `Peer` was said by the peer itself, so a handler may decide by it.
async fn who_am_i(_: (), context: Context) -> Result<String> {
    let Credentials { uid, gid, pid, .. } = credentials(context.peer())?;
    let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    Ok(format!("user {uid}, group {gid}, process {pid}"))
}

fn credentials(peer: &Peer) -> Result<Credentials> {
    let denied = || Error::new(Code::Denied, "only for callers that the system vouches for");
    peer.credentials().ok_or_else(denied)
}

#[tokio::main]
async fn main() -> Result<()> {
    // Only its owner can connect to the file. One left behind by a dead process is replaced, one
    // that somebody listens at is not, and ours is removed at the end.
    let file = format!("switchboard-example-{}.sock", std::process::id());
    let address = format!("unix:{}", std::env::temp_dir().join(file).display());
    let listener = transport::bind(&address).await?;
    let server = Endpoint::new().on(WHO_AM_I, who_am_i);
    let server = tokio::spawn(async move { server.serve(listener).await });

    let client = Client::connect(&address).await?;
    println!("the server says I am {}", client.call(WHO_AM_I, &()).await?);
    let is_me = credentials(&client.peer())?.pid == Some(std::process::id());
    println!("the server is {}", if is_me { "this very process" } else { "another process" });

    client.close().await;
    server.abort();
    drop(server.await);
    Ok(())
}
