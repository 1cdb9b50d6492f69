//! G20: files that are larger than memory may be: what goes through a call by `tokio::io::copy` is
//! held only in passing. Beside it goes the same by the stream alone, for the time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchboard::{
    Client, Command, Endpoint, Error, Receiver, Sender, Streamed, format, transport,
};
use switchboard_testing::random::rounds;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::{block_on, child, figure};

/// Takes a file; the reply is its length.
const STORE: Command<Streamed<Bytes, Bytes>, Bytes, format::Bytes> = Command::new("STORE");
/// Sends a file of this length.
const FETCH: Command<Bytes, Streamed<Bytes, Bytes>, format::Bytes> = Command::new("FETCH");

pub(crate) fn run() {
    block_on(async {
        for way in [Way::Tcp, Way::Unix, Way::Memory, Way::InProcess] {
            let (server, client) = way.client().await;
            let mut figures = Figures::default();
            // What the first one brings with it stays, so it is not counted.
            upload(&client, BYTES_FIRST, &mut Meter::default()).await;
            download(&client, BYTES_FIRST, &mut Meter::default()).await;
            let before = child::rss_bytes();
            for _ in 0..PAIRS {
                let bytes = rounds(BYTES) / PAIRS;
                figures.raws.push(way.raw(bytes).await);
                figures.uploads.push(upload(&client, bytes, &mut figures.meter).await);
                figures.raws.push(way.raw(bytes).await);
                figures.downloads.push(download(&client, bytes, &mut figures.meter).await);
            }
            figures.print(way, before);
            drop((server, client));
        }
    });
}

/// How the bytes go.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tcp,
    Unix,
    Memory,
    InProcess,
}

/// Both ends of a stream.
type Ends = (Box<dyn Stream>, Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

#[derive(Default)]
struct Figures {
    uploads: Vec<Duration>,
    downloads: Vec<Duration>,
    raws: Vec<Duration>,
    meter: Meter,
}

/// The most memory that there was while bytes went by.
#[derive(Default)]
struct Meter {
    bytes: u64,
    rss_bytes_max: u64,
}

/// A file of so many bytes, whose reading is measured.
struct Source<'a> {
    left: u64,
    meter: &'a mut Meter,
}

impl Way {
    async fn client(self) -> (Endpoint, Client) {
        let endpoint = Endpoint::new().on(STORE, store).on(FETCH, fetch);
        if let Self::InProcess = self {
            let client = endpoint.client();
            return (endpoint, client);
        }
        let (near, far) = self.ends().await;
        let served = endpoint.clone();
        tokio::spawn(async move { served.serve_stream(far).await });
        (endpoint, Endpoint::new().connect_over(near))
    }

    async fn ends(self) -> Ends {
        match self {
            Self::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (far, _) = listener.accept().await.unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                (Box::new(near), Box::new(far))
            }
            Self::Unix => {
                let (near, far) = UnixStream::pair().unwrap();
                (Box::new(near), Box::new(far))
            }
            Self::Memory | Self::InProcess => {
                let (near, far) = transport::memory();
                (Box::new(near), Box::new(far))
            }
        }
    }

    /// How long the bytes take without a call.
    async fn raw(self, bytes: u64) -> Duration {
        let (mut near, mut far) = self.ends().await;
        let begun = Instant::now();
        let taken =
            tokio::spawn(async move { tokio::io::copy(&mut far, &mut tokio::io::sink()).await });
        let mut meter = Meter::default();
        let mut source = Source { left: bytes, meter: &mut meter };
        tokio::io::copy(&mut source, &mut near).await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(taken.await.unwrap().unwrap(), bytes);
        begun.elapsed()
    }
}

async fn store(_: Bytes, pieces: Receiver<Bytes>) -> Result<Bytes, Error> {
    let bytes = tokio::io::copy(&mut pieces.into_reader(), &mut tokio::io::sink()).await?;
    Ok(Bytes::from(bytes.to_string()))
}

async fn fetch(bytes: Bytes, out: Sender<Bytes>) -> Result<Bytes, Error> {
    let left = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
    let (mut meter, mut writer) = (Meter::default(), out.into_writer());
    tokio::io::copy(&mut Source { left, meter: &mut meter }, &mut writer).await?;
    writer.shutdown().await?;
    Ok(bytes)
}

async fn upload(client: &Client, bytes: u64, meter: &mut Meter) -> Duration {
    let begun = Instant::now();
    let mut upload = client.call(STORE, &Bytes::new()).into_writer();
    tokio::io::copy(&mut Source { left: bytes, meter }, &mut upload).await.unwrap();
    upload.shutdown().await.unwrap();
    assert_eq!(upload.finish().await.unwrap(), bytes.to_string());
    begun.elapsed()
}

async fn download(client: &Client, bytes: u64, meter: &mut Meter) -> Duration {
    let begun = Instant::now();
    let mut download = client.call(FETCH, &Bytes::from(bytes.to_string())).into_reader();
    let copied = tokio::io::copy(&mut download, &mut *meter).await.unwrap();
    assert_eq!(copied, bytes);
    assert_eq!(download.finish().await.unwrap(), bytes.to_string());
    begun.elapsed()
}

impl Figures {
    fn print(&mut self, way: Way, before: u64) {
        let more_bytes = self.meter.rss_bytes_max.saturating_sub(before);
        let mebibytes = rounds(BYTES) >> 20;
        let raw = median(&mut self.raws);
        let ratio = |times: &mut Vec<Duration>| raw.as_secs_f64() / median(times).as_secs_f64();
        let rate = (rounds(BYTES) / PAIRS) as f64 / raw.as_secs_f64() / f64::from(1 << 20);
        let text = format!(
            "{way:?}: {mebibytes} MiB up and {mebibytes} MiB down: {} KiB more at most (goal {} \
             KiB); as fast as the stream alone ({rate:.0} MiB/s): {:.2} up, {:.2} down",
            more_bytes >> 10,
            MORE_BYTES_MAX >> 10,
            ratio(&mut self.uploads),
            ratio(&mut self.downloads),
        );
        figure("G20", &text);
        assert!(self.meter.rss_bytes_max > 0, "nothing was measured");
        assert!(more_bytes <= MORE_BYTES_MAX, "{more_bytes} bytes more are held");
    }
}

fn median(times: &mut [Duration]) -> Duration {
    crate::percentile(times, 50)
}

impl Meter {
    fn count(&mut self, bytes: usize) {
        let before = self.bytes;
        self.bytes += bytes as u64;
        if before / METERED_BYTES < self.bytes / METERED_BYTES {
            self.rss_bytes_max = self.rss_bytes_max.max(child::rss_bytes());
        }
    }
}

impl AsyncRead for Source<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.left.min(buffer.remaining() as u64);
        buffer.initialize_unfilled_to(count as usize);
        buffer.advance(count as usize);
        self.left -= count;
        self.meter.count(count as usize);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Meter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.count(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Each way, on each transport, in so many parts.
const BYTES: u64 = 128 << 20;
const PAIRS: u64 = 4;

/// To begin with.
const BYTES_FIRST: u64 = 4 << 20;

/// Looked at each time that so many have gone by.
const METERED_BYTES: u64 = 1 << 20;

const MORE_BYTES_MAX: u64 = 16 << 20;
