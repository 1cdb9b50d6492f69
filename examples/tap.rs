//! How do I listen in on a connection, and play it again? `cargo run --all-features --example tap`
//! shows both in one process. With arguments:
//!
//! ```text
//! tap LISTEN SERVER [FILE]    stands between clients and a server, prints each line with its size
//!                             and its time, and records what passes
//! tap replay FILE             says what clients said to an endpoint in memory, in paused time
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use switchboard::format::Json;
use switchboard::wire::{Frame, Frames};
use switchboard::{Client, Code, Command, Endpoint, Error, Limits, Result, transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use tokio_util::codec::{FramedRead, FramedWrite};

const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
const BREW: Command<u64, String, Json> = Command::new("BREW").about("Takes so many milliseconds.");

fn endpoint() -> Endpoint {
    let add = async |(a, b): (u32, u32)| Ok::<_, Error>(a.saturating_add(b));
    Endpoint::new().on(ADD, add).on(BREW, async |time_ms| {
        sleep(Duration::from_millis(time_ms)).await;
        Ok::<_, Error>("coffee".to_owned())
    })
}

/// What all connections write to.
struct Tap {
    begun: Instant,
    record: Option<Mutex<File>>,
}

impl Tap {
    fn new(path: Option<&Path>) -> Result<Self> {
        let record = path.map(File::create).transpose()?.map(Mutex::new);
        Ok(Self { begun: Instant::now(), record })
    }

    /// `way` is `>` to the server and `<` back.
    fn note(&self, connection: u32, way: char, frame: &Frame) -> Result<()> {
        let (bytes, time) = (frame.bytes(), self.begun.elapsed());
        let mut line = bytes::BytesMut::new();
        frame.line().into_iter().for_each(|head| head.encode(&mut line));
        let line = String::from_utf8_lossy(&line);
        let what = if line.is_empty() { "(a piece of what is no line)" } else { line.trim_end() };
        println!("{time:>12.1?} connection {connection} {way} {bytes:>5} bytes: {what}");
        if let Some(record) = &self.record {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(record, "{} {connection} {way} {bytes}", time.as_micros())?;
            let mut whole = bytes::BytesMut::new();
            frame.encode(&mut whole);
            record.write_all(&whole)?;
        }
        Ok(())
    }

    /// Hands on what one side says, a frame at a time: no more than one is in memory.
    async fn hand_on(
        &self,
        (connection, way): (u32, char),
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
    ) -> Result<()> {
        let mut from = FramedRead::new(from, Frames::new(&Limits::default()));
        let mut to = FramedWrite::new(to, Frames::new(&Limits::default()));
        while let Some(frame) = from.next().await {
            let frame = frame?;
            self.note(connection, way, &frame)?;
            to.send(frame).await?;
        }
        // The end of a direction is handed on as well.
        Ok(to.get_mut().shutdown().await?)
    }

    async fn serve(&self, connection: u32, mut client: TcpStream, server: &str) -> Result<()> {
        let mut server = TcpStream::connect(server).await?;
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::try_join!(
            self.hand_on((connection, '>'), from_client, to_server),
            self.hand_on((connection, '<'), from_server, to_client),
        )?;
        Ok(())
    }
}

async fn listen_in(listen: &str, server: String, path: Option<&Path>) -> Result<()> {
    let (listener, tap) = (TcpListener::bind(listen).await?, Arc::new(Tap::new(path)?));
    println!("listening at {}", listener.local_addr()?);
    for connection in 1.. {
        let (client, _) = listener.accept().await?;
        let (tap, server) = (Arc::clone(&tap), server.clone());
        tokio::spawn(async move {
            if let Err(error) = tap.serve(connection, client, &server).await {
                println!("connection {connection} ends: {error}");
            }
        });
    }
    Ok(())
}

/// A part of a record: when, of which connection, which way, and the bytes.
struct Said {
    at: Duration,
    connection: u32,
    way: char,
    bytes: Vec<u8>,
}

fn next(record: &mut impl BufRead) -> Result<Option<Said>> {
    let mut line = String::new();
    if record.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let bad = || Error::new(Code::Invalid, "this is no record");
    let words: Vec<_> = line.trim_end().split(' ').collect();
    let [at, connection, way, len] = words[..] else { return Err(bad()) };
    let at = Duration::from_micros(at.parse().map_err(|_| bad())?);
    let connection = connection.parse().map_err(|_| bad())?;
    let (way, len) = (way.chars().next().ok_or_else(bad)?, len.parse().map_err(|_| bad())?);
    let mut bytes = Vec::new();
    record.take(len).read_to_end(&mut bytes)?;
    Ok(Some(Said { at, connection, way, bytes }))
}

/// Says again what clients said, when they said it. Time that passes is skipped.
async fn replay(path: &Path) -> Result<()> {
    let mut record = BufReader::new(File::open(path)?);
    let (endpoint, begun) = (endpoint(), Instant::now());
    let (mut streams, mut answers) = (BTreeMap::new(), BTreeMap::<u32, Vec<u8>>::new());
    while let Some(Said { at, connection, way, bytes }) = next(&mut record)? {
        sleep(at.saturating_sub(begun.elapsed())).await;
        if way == '<' {
            answers.entry(connection).or_default().extend(bytes);
            continue;
        }
        let (_, to) = streams.entry(connection).or_insert_with(|| {
            let (here, there) = transport::memory();
            let endpoint = endpoint.clone();
            tokio::spawn(async move { endpoint.serve_stream(there).await });
            let (mut from, to) = tokio::io::split(here);
            let heard = tokio::spawn(async move {
                let mut heard = Vec::new();
                from.read_to_end(&mut heard).await.map(|_| heard)
            });
            (heard, to)
        });
        to.write_all(&bytes).await?;
    }
    for (connection, (heard, mut to)) in streams {
        to.shutdown().await?;
        let heard = heard.await.map_err(Error::internal)??;
        let is_same = answers.get(&connection).is_some_and(|answers| *answers == heard);
        println!("connection {connection}: the same answers: {is_same}");
    }
    println!("{:.1?} have passed by the paused clock", begun.elapsed());
    Ok(())
}

fn replayed(path: &Path) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(replay(path))
}

/// A client, a tap and a server in one process.
async fn show_all(path: &Path) -> Result<()> {
    let server = transport::bind("127.0.0.1:0").await?;
    let address = server.local_address()?.to_string();
    tokio::spawn(async move { endpoint().serve(server).await });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let tapped = listener.local_addr()?;
    let tap = Tap::new(Some(path))?;
    let calls = async {
        let client = Client::connect(tapped).await?;
        let (coffee, sum) = tokio::try_join!(client.call(BREW, &300), client.call(ADD, &(1, 2)))?;
        println!("the client got {sum} and {coffee}");
        client.close().await;
        Ok(())
    };
    let listens = async {
        let (client, _) = listener.accept().await?;
        tap.serve(1, client, &address).await
    };
    tokio::try_join!(calls, listens).map(|_| ())
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let path = std::env::temp_dir().join(format!("tap-{}", std::process::id()));
            let shown = runtime.block_on(show_all(&path)).and_then(|()| replayed(&path));
            std::fs::remove_file(path)?;
            shown
        }
        ["replay", path] => replayed(path.as_ref()),
        [listen, server, file @ ..] if file.len() < 2 => {
            let file = file.first().map(Path::new);
            runtime.block_on(listen_in(listen, (*server).to_owned(), file))
        }
        _ => Err(Error::new(Code::Invalid, "tap [LISTEN SERVER [FILE] | replay FILE]")),
    }
}
