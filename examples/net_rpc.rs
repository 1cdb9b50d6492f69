//! How do Go programs call my commands? `cargo run --example net_rpc --features gob`.

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::{Code, Command, Connection, Endpoint, Error, Result, transport};

// Go takes notice of fields whose names begin with an upper-case letter.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Args {
    a: i64,
    b: i64,
}

// The dot is part of the name. A Go program with its own `type Args struct{ A, B int }` says
//
//     client, err := rpc.Dial("tcp", address)
//     err = client.Call("Arith.Divide", Args{56, 8}, &quotient)
const DIVIDE: Command<Args, i64, Gob> = Command::new("Arith.Divide");

async fn divide(args: Args) -> Result<i64> {
    // What Go gets as the text of its error.
    let refused = || Error::new(Code::Failed, "divide by zero");
    args.a.checked_div(args.b).ok_or_else(refused)
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind(&"127.0.0.1:0".parse()?).await?;
    let address = listener.local_address()?.to_string();
    let endpoint = Endpoint::new().on(DIVIDE, divide);
    tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });

    let mut connection = Connection::connect(&address).await?;
    for (seq, (a, b)) in [(56, 8), (56, 0)].into_iter().enumerate() {
        println!("56 / {b}: {}", call(&mut connection, seq, Args { a, b }).await?);
    }
    Ok(())
}

// What Go's `net/rpc` does for a call: two values there, two back.
async fn call(connection: &mut Connection, seq: usize, args: Args) -> Result<String> {
    let request = Request { service_method: "Arith.Divide".to_owned(), seq };
    connection.write_value::<Gob, _>(&request).await?;
    connection.write_value::<Gob, _>(&args).await?;

    let ended = || Error::new(Code::Disconnected, "the server is gone");
    let response: Response = connection.read_value::<Gob, _>().await?.ok_or_else(ended)?;
    assert_eq!(response.seq, seq);
    if response.error.is_empty() {
        let quotient: i64 = connection.read_value::<Gob, _>().await?.ok_or_else(ended)?;
        return Ok(quotient.to_string());
    }
    let Nothing {} = connection.read_value::<Gob, _>().await?.ok_or_else(ended)?;
    Ok(response.error)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    service_method: String,
    seq: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    seq: usize,
    error: String,
}

#[derive(Serialize, Deserialize)]
struct Nothing {}
