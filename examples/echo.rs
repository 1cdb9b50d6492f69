//! How do I serve a protocol without names, by TCP and by UDP? `cargo run --features udp --example
//! echo` shows both in one process. With arguments it is one of the four alone:
//!
//! ```text
//! echo tcp-server [ADDRESS]    one line in, `Echo: ` and the line out; at port 8080 everywhere
//! echo tcp-client [ADDRESS]    asks for a message, and sends it; to port 8080 of this machine
//! echo udp-server [ADDRESS]    the same with datagrams of up to 1,024 bytes; at 127.0.0.1:8081
//! echo udp-client [ADDRESS]
//! ```

use std::io::Write;
use std::time::Duration;

use switchboard::{Code, Connection, Datagram, Datagrams, Endpoint, Error, Result, transport};
use tokio::net::UdpSocket;
use tokio::signal::ctrl_c;
use tokio::time::timeout;

const MESSAGE_BYTES_MAX: usize = 1024;

async fn echo(caller: &mut Connection) -> Result<()> {
    if let Some(line) = caller.read_line().await? {
        println!("Received: {}", shown(&line));
        caller.write_line(&format!("Echo: {line}")).await?;
    }
    // Whoever sends nothing gets nothing. Either way the connection closes.
    Ok(())
}

async fn echo_datagram(Datagram { payload, peer, .. }: Datagram) -> Option<Vec<u8>> {
    // Or two of these servers, one of which was called in the other's name, would never stop.
    if payload.starts_with(b"Echo: ") {
        return None;
    }
    println!("Received from {peer}: {}", shown(&String::from_utf8_lossy(&payload)));
    Some([b"Echo: ", &*payload].concat())
}

/// A socket whose answers may be a little longer than what they answer.
fn datagrams(socket: UdpSocket) -> Datagrams {
    Datagrams::new(socket).datagram_bytes_max(MESSAGE_BYTES_MAX).answer_bytes_more("Echo: ".len())
}

async fn ask(address: &str, message: &str) -> Result<String> {
    let mut server = Connection::connect(address).await?;
    server.write_line(message).await?;
    let answer = server.read_line().await?;
    answer.ok_or_else(|| Error::new(Code::Failed, "the server said nothing"))
}

async fn ask_by_datagram(address: &str, message: &str) -> Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(address).await?;
    socket.send(message.as_bytes()).await?;
    let mut answer = [0; 2 * MESSAGE_BYTES_MAX];
    // A datagram may be lost, and nobody says so.
    let received = timeout(Duration::from_secs(5), socket.recv(&mut answer)).await;
    let len = received.map_err(|_| Error::new(Code::DeadlineExceeded, "nobody answers"))??;
    Ok(String::from_utf8_lossy(answer.get(..len).unwrap_or_default()).into_owned())
}

/// What others have sent may move the cursor, or worse.
fn shown(text: &str) -> String {
    text.trim_end().chars().map(|symbol| if symbol.is_control() { '?' } else { symbol }).collect()
}

fn message() -> Result<String> {
    print!("Enter a message: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn show_all() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?.to_string();
    tokio::spawn(async move { Endpoint::new().serve_raw(listener, echo).await });
    println!("Received from server: {}", shown(&ask(&address, "by TCP").await?));

    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?.to_string();
    let datagrams = datagrams(socket);
    tokio::spawn(
        async move { Endpoint::new().serve_raw_datagrams(datagrams, echo_datagram).await },
    );
    println!("Received from server: {}", shown(&ask_by_datagram(&address, "by UDP").await?));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(part) = arguments.next() else { return show_all().await };
    let address = arguments.next();
    let address_or = |usual: &str| address.clone().unwrap_or_else(|| usual.to_owned());
    match part.as_str() {
        "tcp-server" => {
            let listener = transport::bind(address_or("0.0.0.0:8080")).await?;
            println!("Listening at {}", listener.local_address()?);
            Endpoint::new().serve_raw_until(listener, echo, ctrl_c()).await?;
        }
        "udp-server" => {
            let socket = UdpSocket::bind(address_or("127.0.0.1:8081")).await?;
            println!("Listening at {}", socket.local_addr()?);
            let datagrams = datagrams(socket);
            Endpoint::new().serve_raw_datagrams_until(datagrams, echo_datagram, ctrl_c()).await?;
        }
        "tcp-client" => {
            let answer = ask(&address_or("127.0.0.1:8080"), &message()?).await?;
            println!("Received from server: {}", shown(&answer));
        }
        "udp-client" => {
            let answer = ask_by_datagram(&address_or("127.0.0.1:8081"), &message()?).await?;
            println!("Received from server: {}", shown(&answer));
        }
        _ => {
            return Err(Error::new(
                Code::Invalid,
                "tcp-server, tcp-client, udp-server, udp-client",
            ));
        }
    }
    Ok(())
}
