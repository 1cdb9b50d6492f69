//! How do I answer lines of JSON, and JSON-RPC? `cargo run --example json_lines`.
//!
//! With an address, `cargo run --example json_lines -- 127.0.0.1:1234`, it answers whoever comes,
//! until Ctrl-C.

use switchboard::{Code, Command, Connection, Endpoint, Error, Result, transport};

// It speaks bincode among Rust programs, and JSON to those that ask for it.
const CHECK_STOCK: Command<String, u32> = Command::new("CheckStock");

async fn check_stock(item: String) -> Result<u32> {
    match item.as_str() {
        "item1" => Ok(100),
        "item2" => Ok(50),
        _ => Err(Error::new(Code::NotFound, format!("there is no {item}"))),
    }
}

/// A line without an id, one of JSON-RPC 2.0, and one that Go's `net/rpc/jsonrpc` writes.
const LINES: [&str; 4] = [
    r#"{"Method":"CheckStock","Params":"item1"}"#,
    r#"{"Method":"CheckStock","Params":"item3"}"#,
    r#"{"jsonrpc":"2.0","method":"CheckStock","params":["item2"],"id":7}"#,
    r#"{"method":"CheckStock","params":["item1"],"id":0}"#,
];

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = Endpoint::new().on(CHECK_STOCK, check_stock);
    if let Some(address) = std::env::args().nth(1) {
        let listener = transport::bind(address.as_str()).await?;
        println!("listening at {}", listener.local_address()?);
        endpoint.serve_json_lines_until(listener, tokio::signal::ctrl_c()).await?;
        return Ok(());
    }
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    tokio::spawn(async move { endpoint.serve_json_lines(listener).await });

    let mut client = Connection::connect(&address).await?;
    for line in LINES {
        client.write_line(line).await?;
        let answer = client.read_line().await?.unwrap_or_default();
        println!("> {line}\n< {answer}");
    }
    Ok(())
}
