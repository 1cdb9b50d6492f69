//! How do I try a client in another language? `cargo run --example conformance`.
//!
//! That runs the library's own client through the cases of `clients/conformance.json`. With an
//! address, `cargo run --example conformance -- 127.0.0.1:61000`, it is the server for the others:
//!
//! ```text
//! python3 clients/python/conformance.py 127.0.0.1:61000
//! ```
//!
//! `cases` is what a case says, `caller` runs them, `commands` are those of the endpoint, and
//! `script` is a server that does what no endpoint does.

mod caller;
mod cases;
mod commands;
mod script;

use std::process::ExitCode;

use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cases = cases::cases()?;
    if let Some(address) = std::env::args().nth(1) {
        let listener = TcpListener::bind(address).await?;
        println!("listening at {}", listener.local_addr()?);
        script::serve(listener, cases).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(script::serve(listener, cases.clone()));
    let failed = caller::run(&address, &cases).await?;
    println!("rust: {} of {} cases ok", cases.len().saturating_sub(failed), cases.len());
    Ok(ExitCode::from(u8::from(failed > 0)))
}
