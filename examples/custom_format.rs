//! How do I bring a format of my own? `cargo run --example custom_format`.

use bytes::{Bytes, BytesMut};
use switchboard::format::{Budget, Format, Framing};
use switchboard::{Code, Command, Connection, Endpoint, Error, Limits, Result, transport};

/// Whole numbers in one line, with spaces between them: `3 1 2`.
enum Numbers {}

impl Format<Vec<i64>> for Numbers {
    const NAME: &'static str = "numbers";
    const FRAMING: Framing = Framing::Line;

    fn encode(value: &Vec<i64>, _: &Limits, out: &mut BytesMut) -> Result<()> {
        let words: Vec<_> = value.iter().map(i64::to_string).collect();
        out.extend_from_slice(words.join(" ").as_bytes());
        Ok(())
    }

    fn decode(payload: Bytes, _: &Budget) -> Result<Vec<i64>> {
        let wrong = || Error::new(Code::BadPayload, "numbers with spaces between them, please");
        let text = str::from_utf8(&payload).map_err(|_| wrong())?;
        text.split_ascii_whitespace().map(|word| word.parse().map_err(|_| wrong())).collect()
    }
}

// Named where the command is made, and nowhere else.
const SORT: Command<Vec<i64>, Vec<i64>, Numbers> = Command::new("SORT");

async fn sort(mut numbers: Vec<i64>) -> Result<Vec<i64>> {
    numbers.sort_unstable();
    Ok(numbers)
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on(SORT, sort);
    tokio::spawn(async move { endpoint.serve(listener).await });

    let client = switchboard::Client::connect(&address).await?;
    println!("a client gets {:?}", client.call(SORT, &vec![3, 1, 2]).await?);

    // The format ends with its line, so netcat can speak it too.
    let mut netcat = Connection::connect(&address).await?;
    netcat.write_bytes(b"SORT\n30 10 20\n").await?;
    println!("netcat gets {:?}", netcat.read_line().await?.unwrap_or_default());
    Ok(())
}
