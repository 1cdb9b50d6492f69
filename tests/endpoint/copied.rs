//! Items as bytes: readers and writers on either side, what goes through them, and how they end.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use switchboard::{
    Client, Code, Command, Endpoint, Error, ItemWriter, Limits, Receiver, Sender, Streamed, format,
    transport,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::items::clients_of;
use super::support::*;

/// Takes a file, and says how many bytes it has.
const STORE: Command<Streamed<Bytes, Bytes>, Bytes, format::Bytes> = Command::new("STORE");
/// Sends a file of so many bytes, and says so behind it.
const FETCH: Command<Bytes, Streamed<Bytes, Bytes>, format::Bytes> = Command::new("FETCH");
/// Sends back what comes.
const BOTH: Command<Streamed<Bytes, Bytes>, Streamed<Bytes, Bytes>, format::Bytes> =
    Command::new("BOTH");

type Answer<T> = Result<T, Error>;

/// So many bytes, which are not the same from item to item.
fn content(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

fn text_of(bytes: impl ToString) -> Bytes {
    Bytes::from(bytes.to_string())
}

fn number_in(text: &Bytes) -> usize {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

async fn store(_: Bytes, pieces: Receiver<Bytes>) -> Answer<Bytes> {
    let mut file = Vec::new();
    pieces.into_reader().read_to_end(&mut file).await?;
    assert!(file == content(file.len()), "other bytes have come");
    Ok(text_of(file.len()))
}

async fn fetch(bytes: Bytes, out: Sender<Bytes>) -> Answer<Bytes> {
    let mut writer = out.into_writer();
    tokio::io::copy(&mut &content(number_in(&bytes))[..], &mut writer).await?;
    writer.shutdown().await?;
    Ok(bytes)
}

async fn both(_: Bytes, pieces: Receiver<Bytes>, out: Sender<Bytes>) -> Answer<Bytes> {
    let mut writer = out.into_writer();
    let bytes = tokio::io::copy_buf(&mut pieces.into_reader(), &mut writer).await?;
    writer.shutdown().await?;
    Ok(text_of(bytes))
}

fn files() -> Endpoint {
    with_files(endpoint())
}

fn with_files(endpoint: Endpoint) -> Endpoint {
    endpoint.on(STORE, store).on(FETCH, fetch).on(BOTH, both)
}

async fn check_files(client: &Client, bytes: usize) {
    let file = content(bytes);
    let mut upload = client.call(STORE, &Bytes::new()).into_writer();
    assert_eq!(tokio::io::copy(&mut &file[..], &mut upload).await.unwrap(), bytes as u64);
    upload.shutdown().await.unwrap();
    assert_eq!(upload.finish().await.unwrap(), text_of(bytes));
    // One that is not shut down by itself is at its end.
    let mut upload = client.call(STORE, &Bytes::new()).into_writer();
    upload.write_all(&file).await.unwrap();
    assert_eq!(upload.finish().await.unwrap(), text_of(bytes));

    let (mut copied, mut read) = (Vec::new(), Vec::new());
    let mut download = client.call(FETCH, &text_of(bytes)).into_reader();
    tokio::io::copy(&mut download, &mut copied).await.unwrap();
    // At its end it stays there.
    assert_eq!(download.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(download.finish().await.unwrap(), text_of(bytes));
    let mut download = client.call(FETCH, &text_of(bytes)).into_reader();
    tokio::io::copy_buf(&mut download, &mut read).await.unwrap();
    assert_eq!(download.finish().await.unwrap(), text_of(bytes));
    assert!(copied == file && read == file, "{bytes} bytes are others");

    let (up, down) = client.call(BOTH, &Bytes::new()).split().await.unwrap();
    let (mut up, mut down, mut read) = (up.into_writer(), down.into_reader(), Vec::new());
    let write = async {
        up.write_all(&file).await?;
        up.shutdown().await
    };
    let (written, ended) = tokio::join!(write, down.read_to_end(&mut read));
    written.unwrap();
    ended.unwrap();
    assert_eq!(down.finish().await.unwrap(), text_of(bytes));
    assert!(read == file, "{bytes} bytes are others");
}

#[tokio::test(start_paused = true)]
async fn a_file_of_any_size_goes_either_way() {
    for client in clients_of(&files()) {
        for bytes in [0, 1, 8191, 65_535, 65_536, 65_537, 131_072, 1_000_000] {
            check_files(&client, bytes).await;
        }
    }
}

/// Where little is left, and where items are small, it is slower and no other file.
#[tokio::test(start_paused = true)]
async fn a_file_goes_within_every_limit() {
    let check = async |change: fn(&mut Limits)| {
        for client in clients_of(&with_files(limited(change))) {
            check_files(&client, 300_000).await;
        }
    };
    check(|limits| limits.held_bytes_max = 160 << 10).await;
    check(|limits| limits.item_bytes_max = 1 << 20).await;
    check(|limits| limits.unwritten_bytes_max = 1).await;
    // What a peer takes at most is its own matter, and no other side is told it.
    let endpoint = with_files(limited(|limits| limits.item_bytes_max = 1000));
    check_files(&endpoint.client(), 30_000).await;
}

/// The sizes of the items that come of what is written.
async fn sizes_of(limits: Limits, write: impl AsyncFnOnce(&mut Upload)) -> Vec<usize> {
    let endpoint =
        endpoint().with_limits(limits).on(STORE, async |_: Bytes, mut pieces: Receiver<Bytes>| {
            let mut sizes = Vec::new();
            while let Some(piece) = pieces.next().await? {
                sizes.push(piece.len().to_string());
            }
            Ok::<_, Error>(Bytes::from(sizes.join(" ")))
        });
    let mut upload = endpoint.client().call(STORE, &Bytes::new()).into_writer();
    write(&mut upload).await;
    let sizes = upload.finish().await.unwrap();
    let sizes = std::str::from_utf8(&sizes).unwrap().split_whitespace();
    sizes.map(|size| size.parse().unwrap()).collect()
}

type Upload =
    ItemWriter<switchboard::StreamedCall<switchboard::Sends<Bytes>, switchboard::NoItems, Bytes>>;

#[tokio::test(start_paused = true)]
async fn small_writes_are_gathered_and_large_ones_cut() {
    let small = || Limits::default().with(|limits| limits.item_bytes_max = 1000);
    let none = sizes_of(Limits::default(), async |upload| {
        upload.flush().await.unwrap();
        assert_eq!(upload.write(&[]).await.unwrap(), 0);
    });
    assert_eq!(none.await, [0; 0]);
    let never_flushed = sizes_of(Limits::default(), async |upload| {
        for _ in 0..200 {
            upload.write_all(&[7; 1000]).await.unwrap();
        }
        upload.shutdown().await.unwrap();
    });
    assert_eq!(never_flushed.await, [65_536, 65_536, 65_536, 3392]);
    let flushed = sizes_of(Limits::default(), async |upload| {
        for bytes in [3, 1, 4] {
            upload.write_all(&vec![7; bytes]).await.unwrap();
            upload.flush().await.unwrap();
            upload.flush().await.unwrap();
        }
    });
    assert_eq!(flushed.await, [3, 1, 4]);
    let cut = sizes_of(small(), async |upload| upload.write_all(&[7; 2500]).await.unwrap());
    assert_eq!(cut.await, [1000, 1000, 500]);
    let vectored = sizes_of(small(), async |upload| {
        assert!(upload.is_write_vectored());
        let slices = [&[7; 400][..], &[], &[7; 400], &[7; 400]].map(IoSlice::new);
        assert_eq!(upload.write_vectored(&slices).await.unwrap(), 1000);
        upload.write_all(&[7; 200]).await.unwrap();
    });
    assert_eq!(vectored.await, [1000, 200]);
}

#[tokio::test(start_paused = true)]
async fn how_items_were_cut_cannot_be_seen() {
    let endpoint = endpoint().on(FETCH, async |_: Bytes, out: Sender<Bytes>| {
        for piece in ["", "one\ntw", "", "", "o\n", "three"] {
            out.send(&Bytes::from(piece)).await?;
        }
        // Not by a writer: the end of the handler is the end.
        Ok::<_, Error>(Bytes::new())
    });
    for client in clients_of(&endpoint) {
        let download = || client.call(FETCH, &Bytes::new()).into_reader();
        let mut lines = download().lines();
        for line in ["one", "two", "three"] {
            assert_eq!(lines.next_line().await.unwrap().unwrap(), line);
        }
        assert_eq!(lines.next_line().await.unwrap(), None);
        // A buffer that is smaller than an item, and one without room.
        let (mut reader, mut text, mut two) = (download(), String::new(), [0; 2]);
        loop {
            assert_eq!(reader.read(&mut []).await.unwrap(), 0);
            match reader.read(&mut two).await.unwrap() {
                0 => break,
                count => text.push_str(std::str::from_utf8(&two[..count]).unwrap()),
            }
        }
        assert_eq!(text, "one\ntwo\nthree");
        reader.finish().await.unwrap();
        // What is not read is dropped.
        download().finish().await.unwrap();
    }
}

/// The error in an error of input and output.
fn inside(error: &io::Error) -> (ErrorKind, Option<Code>) {
    let inside = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    (error.kind(), inside.map(Error::code))
}

/// Handlers in tasks that nobody stops; each tells how its reading or its writing has ended.
fn watched(endpoint: Endpoint) -> (Endpoint, mpsc::UnboundedReceiver<io::Error>, Count) {
    let (reads, ends) = mpsc::unbounded_channel();
    let (writes, stopped) = (reads.clone(), Count::default());
    let (of_store, of_fetch) = (stopped.clone(), stopped.clone());
    let endpoint = endpoint
        .on(STORE, move |_: Bytes, pieces: Receiver<Bytes>| {
            let (reads, guard) = (reads.clone(), of_store.guard());
            tokio::spawn(async move {
                let mut reader = pieces.into_reader();
                let mut end = reader.read_to_end(&mut Vec::new()).await;
                // It comes again.
                let again = reader.read(&mut [0]).await;
                assert_eq!(
                    again.map_err(|error| error.kind()),
                    Err(end.as_mut().unwrap_err().kind())
                );
                reads.send(end.unwrap_err())
            });
            forever(guard)
        })
        .on(FETCH, move |_: Bytes, out: Sender<Bytes>| {
            let (writes, guard) = (writes.clone(), of_fetch.guard());
            tokio::spawn(async move {
                let mut writer = out.into_writer();
                let end = write_on(&mut writer).await;
                let again = write_on(&mut writer).await;
                assert_eq!(again.kind(), end.kind());
                writes.send(end)
            });
            forever(guard)
        });
    (endpoint, ends, stopped)
}

async fn forever(guard: Guard) -> Answer<Bytes> {
    let _guard = guard;
    std::future::pending().await
}

/// Writes until that fails.
async fn write_on(writer: &mut (impl AsyncWrite + Unpin)) -> io::Error {
    loop {
        if let Err(error) = writer.write_all(&[7; 10_000]).await {
            return error;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_dropped_has_not_ended_its_items() {
    let (endpoint, mut ends, _) = watched(endpoint());
    let broken_off = (ErrorKind::ConnectionAborted, Some(Code::Cancelled));
    for client in clients_of(&endpoint) {
        for written in [300_000, 1 << 20] {
            let mut upload = client.call(STORE, &Bytes::new()).into_writer();
            upload.write_all(&vec![7; written]).await.unwrap();
            upload.flush().await.unwrap();
            // What goes over a channel goes while it is polled.
            let end = tokio::select! {
                end = ends.recv() => panic!("{end:?}"),
                _ = sleep(MS) => {
                    drop(upload);
                    ends.recv().await.unwrap()
                }
            };
            assert_eq!(inside(&end), broken_off, "{written}");
        }
    }
    // A half of a call that goes both ways, which goes on without it.
    let (errors, mut ends) = mpsc::unbounded_channel();
    let endpoint = endpoint_of_halves(errors);
    for client in clients_of(&endpoint) {
        let (up, down) = client.call(BOTH, &Bytes::new()).split().await.unwrap();
        let mut up = up.into_writer();
        up.write_all(b"half").await.unwrap();
        up.flush().await.unwrap();
        let down = tokio::spawn(async move {
            let mut down = down.into_reader();
            down.read_to_end(&mut Vec::new()).await
        });
        settle().await;
        drop(up);
        assert_eq!(inside(&ends.recv().await.unwrap()), broken_off);
        down.abort();
    }
}

fn endpoint_of_halves(errors: mpsc::UnboundedSender<io::Error>) -> Endpoint {
    endpoint().on(BOTH, move |_: Bytes, pieces: Receiver<Bytes>, _: Sender<Bytes>| {
        let errors = errors.clone();
        tokio::spawn(async move {
            let end = pieces.into_reader().read_to_end(&mut Vec::new()).await;
            errors.send(end.unwrap_err())
        });
        std::future::pending::<Answer<Bytes>>()
    })
}

/// How a handler may leave its writer.
#[derive(Clone, Copy, Debug)]
enum Left {
    Dropped,
    Flushed,
    Kept,
    Shut,
    Ended,
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_not_shut_its_writer_down_has_not_sent_all() {
    for left in [Left::Dropped, Left::Flushed, Left::Kept, Left::Shut, Left::Ended] {
        let (writers, _kept) = mpsc::unbounded_channel();
        let endpoint = endpoint().on(FETCH, move |_: Bytes, out: Sender<Bytes>| {
            let writers = writers.clone();
            async move {
                if let Left::Ended = left {
                    out.send(&Bytes::from("some")).await?;
                    return Ok(Bytes::from("all"));
                }
                let mut writer = out.into_writer();
                writer.write_all(b"some").await?;
                match left {
                    Left::Dropped | Left::Ended => {}
                    Left::Flushed => writer.flush().await?,
                    Left::Kept => drop(writers.send(writer)),
                    Left::Shut => writer.shutdown().await?,
                }
                Ok::<_, Error>(Bytes::from("all"))
            }
        });
        for client in clients_of(&endpoint) {
            let (mut read, mut download) =
                (Vec::new(), client.call(FETCH, &Bytes::new()).into_reader());
            let end = download.read_to_end(&mut read).await;
            if let Left::Shut | Left::Ended = left {
                assert_eq!((end.unwrap(), &*read), (4, &b"some"[..]), "{left:?}");
                assert_eq!(download.finish().await.unwrap(), "all");
                continue;
            }
            let error = end.unwrap_err();
            assert_eq!(inside(&error), (ErrorKind::Other, Some(Code::Failed)), "{left:?}");
            assert!(error.to_string().contains("did not shut its writer down"), "{error}");
            assert!(download.read(&mut [0]).await.is_err());
            assert_eq!(download.finish().await.unwrap_err().code(), Code::Failed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_dropped_breaks_the_pipe() {
    let (endpoint, mut ends, stopped) = watched(endpoint());
    let broken = (ErrorKind::BrokenPipe, Some(Code::Cancelled));
    for (number, client) in (1..).zip(clients_of(&endpoint)) {
        let mut download = client.call(FETCH, &Bytes::new()).into_reader();
        download.read_exact(&mut [0; 100_000]).await.unwrap();
        drop(download);
        assert_eq!(inside(&ends.recv().await.unwrap()), broken);
        stopped.reach(number).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_end_before_its_request() {
    let endpoint = endpoint().on(STORE, async |is_well: Bytes, pieces: Receiver<Bytes>| {
        let mut reader = pieces.into_reader();
        reader.read_exact(&mut [0; 10]).await?;
        if is_well == "yes" { Ok(is_well) } else { Err(Error::new(Code::NotFound, "no such file")) }
    });
    for client in clients_of(&endpoint) {
        let mut upload = client.call(STORE, &Bytes::from("yes")).into_writer();
        let error = write_on(&mut upload).await;
        assert_eq!(inside(&error), (ErrorKind::BrokenPipe, Some(Code::Cancelled)));
        assert_eq!(upload.finish().await.unwrap(), "yes");

        let mut upload = client.call(STORE, &Bytes::from("no")).into_writer();
        for _ in 0..2 {
            let error = write_on(&mut upload).await;
            assert_eq!(inside(&error), (ErrorKind::NotFound, Some(Code::NotFound)));
            // As by a `?` in a function of the library's `Result`.
            assert_eq!(Error::from(error).text(), "no such file");
        }
        assert!(upload.shutdown().await.is_err());
        assert_eq!(upload.finish().await.unwrap_err().text(), "no such file");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_drop_its_reader_and_go_on() {
    let endpoint = endpoint().on(STORE, async |_: Bytes, pieces: Receiver<Bytes>| {
        let mut reader = pieces.into_reader();
        reader.read_exact(&mut [0; 10]).await?;
        drop(reader);
        sleep(SECOND).await;
        Ok::<_, Error>(Bytes::from("enough"))
    });
    for client in clients_of(&endpoint) {
        let mut upload = client.call(STORE, &Bytes::new()).into_writer();
        upload.write_all(&vec![7; 1 << 20]).await.unwrap();
        assert_eq!(upload.finish().await.unwrap(), "enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_both_sides() {
    let late = (ErrorKind::TimedOut, Some(Code::DeadlineExceeded));
    for (is_upload, theirs) in
        [(true, ErrorKind::ConnectionAborted), (false, ErrorKind::BrokenPipe)]
    {
        let (endpoint, mut ends, stopped) = watched(endpoint());
        for (number, client) in (1..).zip(clients_of(&endpoint)) {
            let ours = if is_upload {
                let upload = client.call(STORE, &Bytes::new()).timeout(SECOND);
                let mut upload = upload.into_writer();
                // So much that its handler has begun, whatever way it goes.
                upload.write_all(&[7; 300_000]).await.unwrap();
                sleep(2 * SECOND).await;
                write_on(&mut upload).await
            } else {
                let download = client.call(FETCH, &Bytes::new()).timeout(SECOND);
                let mut download = download.into_reader();
                download.read_exact(&mut [0; 10]).await.unwrap();
                sleep(2 * SECOND).await;
                download.read_to_end(&mut Vec::new()).await.unwrap_err()
            };
            assert_eq!(inside(&ours), late, "{is_upload}");
            let end = within(ends.recv()).await.unwrap();
            assert_eq!(inside(&end), (theirs, Some(Code::Cancelled)), "{is_upload}");
            stopped.reach(number).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_an_error_on_both_sides() {
    let lost = (ErrorKind::ConnectionReset, Some(Code::Disconnected));
    for is_upload in [true, false] {
        let (served, mut ends, _) = watched(endpoint());
        let (near, far) = transport::memory();
        let serving = tokio::spawn(async move { served.serve_stream(far).await });
        let client = Endpoint::new().connect_over(near);
        let ours = if is_upload {
            let mut upload = client.call(STORE, &Bytes::new()).into_writer();
            upload.write_all(&[7; 100_000]).await.unwrap();
            settle().await;
            serving.abort();
            write_on(&mut upload).await
        } else {
            let mut download = client.call(FETCH, &Bytes::new()).into_reader();
            download.read_exact(&mut [0; 10]).await.unwrap();
            serving.abort();
            download.read_to_end(&mut Vec::new()).await.unwrap_err()
        };
        assert_eq!(inside(&ours), lost, "{is_upload}");
        let kind = if is_upload { ErrorKind::ConnectionAborted } else { ErrorKind::BrokenPipe };
        let end = within(ends.recv()).await.unwrap();
        assert_eq!(inside(&end), (kind, Some(Code::Cancelled)));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_behind_the_end() {
    for client in clients_of(&files()) {
        let mut upload = client.call(STORE, &Bytes::new()).into_writer();
        upload.write_all(&content(10)).await.unwrap();
        upload.shutdown().await.unwrap();
        upload.shutdown().await.unwrap();
        upload.flush().await.unwrap();
        for _ in 0..2 {
            let error = upload.write(&[7]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotConnected);
        }
        assert_eq!(upload.finish().await.unwrap(), "10");
    }
}

/// A read of nothing waits for nothing.
#[tokio::test(start_paused = true)]
async fn a_read_into_no_room_is_ready_at_once() {
    let endpoint = Endpoint::new()
        .on(FETCH, async |_: Bytes, _out: Sender<Bytes>| std::future::pending::<Answer<_>>().await);
    for client in clients_of(&endpoint) {
        let mut download = client.call(FETCH, &Bytes::new()).into_reader();
        assert_eq!(download.read(&mut []).now_or_never().unwrap().unwrap(), 0);
        assert!(download.read(&mut [0]).now_or_never().is_none());
    }
}

/// A server that drains waits for files that are under way, and cuts off those that take too long.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_file_and_cuts_off_one_that_is_slow() {
    for (pause, end) in [(MS, Ok("300000")), (6 * SECOND, Err(ErrorKind::ConnectionAborted))] {
        let (listener, dialer) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel::<()>();
        let endpoint = files();
        let report = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
        let client = Endpoint::new().connect_over(dialer.dial().await.unwrap());
        let mut upload = client.call(STORE, &Bytes::new()).into_writer();
        upload.write_all(&content(1000)).await.unwrap();
        upload.flush().await.unwrap();
        settle().await;
        drop(stop);
        let ended = async {
            for piece in content(300_000)[1000..].chunks(100_000) {
                sleep(pause).await;
                upload.write_all(piece).await?;
                upload.flush().await?;
            }
            upload.finish().await.map_err(io::Error::from)
        };
        let ended = ended.await.map_err(|error| error.kind());
        assert_eq!(ended, end.map(Bytes::from), "{pause:?}");
        report.await.unwrap().unwrap();
    }
}

/// Whoever writes is as slow as whoever reads, and little waits between them.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_slow_reader() {
    let (readers, mut reading) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(STORE, move |_: Bytes, pieces: Receiver<Bytes>| {
        readers.send(pieces.into_reader()).unwrap();
        std::future::pending::<Answer<Bytes>>()
    });
    for client in clients_of(&endpoint) {
        let mut upload = client.call(STORE, &Bytes::new()).into_writer();
        let mut written = fill(&mut upload).await;
        let (mut reader, mut read) = (reading.recv().await.unwrap(), 0);
        let mut ahead_max = written;
        for _ in 0..50 {
            let mut buffer = vec![0; 50_000];
            read += reader.read(&mut buffer).await.unwrap();
            written += fill(&mut upload).await;
            ahead_max = ahead_max.max(written - read);
        }
        assert!(ahead_max <= AHEAD_BYTES_MAX, "{ahead_max} bytes wait");
        assert!(read > 1_000_000, "{read} bytes have been read");
    }
}

/// Writes as long as there is room; how many bytes.
async fn fill(writer: &mut (impl AsyncWrite + Unpin)) -> usize {
    let mut written = 0;
    while let Ok(count) = timeout(MS, writer.write(&[7; 10_000])).await {
        written += count.unwrap();
    }
    written
}

/// The window, what may wait at the sender, what is gathered, and as much for each bridge.
const AHEAD_BYTES_MAX: usize = 3 * (256 + 3 * 64) * 1024;

/// What is written goes through one call beside others, and those do not wait for it.
#[tokio::test(start_paused = true)]
async fn other_calls_go_on_beside_a_file() {
    let client = client(&files());
    let mut upload = client.call(STORE, &Bytes::new()).into_writer();
    let writing = async {
        upload.write_all(&content(5_000_000)).await.unwrap();
        upload.finish().await.unwrap()
    };
    let calling = async {
        for _ in 0..100 {
            let sum = timeout(Duration::from_secs(1), client.call(ADD, &(1, 2)));
            assert_eq!(sum.await.unwrap().unwrap(), 3);
        }
    };
    let (bytes, ()) = tokio::join!(writing, calling);
    assert_eq!(bytes, text_of(5_000_000));
}

/// An item for which there is no memory is lost, and so is the file.
#[tokio::test(start_paused = true)]
async fn a_file_with_a_hole_is_no_file() {
    // No item of 64 KiB has room in it.
    let endpoint = with_files(endpoint());
    let small = Endpoint::new().with_limits(Limits::default().with(|limits| {
        limits.held_bytes_max = 40 << 10;
        limits.payload_bytes_max = 1 << 10;
    }));
    let client = small.connect_over(dial(&endpoint));
    let mut upload = client.call(STORE, &Bytes::new()).into_writer();
    let error = within(write_on(&mut upload)).await;
    assert_eq!(inside(&error), (ErrorKind::ResourceBusy, Some(Code::Overloaded)));
    assert_eq!(inside(&write_on(&mut upload).await).1, Some(Code::Overloaded));
    assert_eq!(inside(&upload.flush().await.unwrap_err()).1, Some(Code::Overloaded));
    assert_eq!(inside(&upload.shutdown().await.unwrap_err()).1, Some(Code::Overloaded));
    assert_eq!(upload.finish().await.unwrap_err().code(), Code::Overloaded);
    // Whoever sends items by hand is told as well, and the call goes on.
    let mut call = client.call(STORE, &Bytes::new());
    let sent = within(call.send(&Bytes::from(content(60_000)))).await;
    assert_eq!(sent.unwrap_err().code(), Code::Overloaded);
    call.send(&Bytes::from(content(1000))).await.unwrap();
    assert_eq!(call.finish().await.unwrap(), "1000");
}
