//! How do Go programs call my commands, and I theirs? `cargo run --example net_rpc --features gob`.

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::{Code, Command, Endpoint, Error, Result, transport};

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
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on(DIVIDE, divide);
    tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });

    // The other way round: a server of Go would be called just like this one.
    let arith = Endpoint::new().connect_net_rpc(&address).await?;
    for (a, b) in [(56, 8), (56, 0)] {
        match arith.call(DIVIDE, &Args { a, b }).await {
            Ok(quotient) => println!("{a} / {b}: {quotient}"),
            Err(error) => println!("{a} / {b}: {}", error.text()),
        }
    }
    arith.close().await;
    Ok(())
}
