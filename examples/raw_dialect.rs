//! How do I speak a dialect that was there before? `cargo run --example raw_dialect`.

use switchboard::{Connection, Endpoint, Result, transport};

// A raw handler is lent the connection behind the line with its name. What it does not read is the
// next command. This one takes a letter, of lines up to one that is a dot, as SMTP does.
async fn data(connection: &mut Connection) -> Result<()> {
    connection.write_line("354 end with a dot").await?;
    let mut lines = 0_u32;
    while let Some(line) = connection.read_line().await?.filter(|line| line != ".") {
        println!("the server reads {line:?}");
        lines = lines.saturating_add(1);
    }
    connection.write_line(&format!("250 took {lines} lines")).await
}

async fn noop(connection: &mut Connection) -> Result<()> {
    connection.write_line("250 fine").await
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on_raw("DATA", data).on_raw("NOOP", noop);
    tokio::spawn(async move { endpoint.serve(listener).await });

    // The asking side: a connection that is opened for its bytes alone.
    let mut connection = Connection::connect(&address).await?;
    connection.write_bytes(b"DATA\nDear Ada,\nit runs.\n.\nNOOP\n").await?;
    connection.finish().await?;
    while let Some(line) = connection.read_line().await? {
        println!("the client reads {line:?}");
    }
    Ok(())
}
