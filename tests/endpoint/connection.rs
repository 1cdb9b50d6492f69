//! `Connection`: nothing is lost when a read is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "gob")]
use switchboard::format::Gob;
use switchboard::format::{self, Bincode, Json, Line};
use switchboard::transport::{self, MemoryStream};
use switchboard::{Code, Command, Connection, Endpoint, Error, Limits, Result};
use switchboard_testing::peer::Peer;
use switchboard_testing::random::{Random, rounds};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep, timeout};

use super::support::*;

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_loses_nothing() {
    for seed in 0..rounds(3) {
        check_cancelled_reads(seed, 10_000).await;
    }
}

/// Lines and counted pieces are sent in random pieces, and read with random patience.
async fn check_cancelled_reads(seed: u64, count: usize) {
    let (here, mut there) = transport::memory();
    let mut connection = Connection::connect_over(here);
    let mut random = Random::new(seed);
    let mut sent = Vec::new();
    for number in 0..count {
        sent.extend_from_slice(format!("line {number}\n").as_bytes());
        if number % 3 == 0 {
            sent.extend_from_slice(format!("{number:08}").as_bytes());
        }
    }
    let mut pieces = Random::new(seed + 1000);
    tokio::spawn(async move {
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + pieces.below(7)));
            there.write_all(piece).await.unwrap();
            rest = after;
            tokio::task::yield_now().await;
        }
    });
    let mut given_up = 0;
    for number in 0..count {
        let line = loop {
            match poll_a_few(random.below(4), connection.read_line()).await {
                Some(line) => break line.unwrap().unwrap(),
                None => given_up += 1,
            }
        };
        assert_eq!(line, format!("line {number}"), "seed {seed}");
        if number % 3 == 0 {
            let bytes = loop {
                match poll_a_few(random.below(4), connection.read_bytes(8)).await {
                    Some(bytes) => break bytes.unwrap(),
                    None => given_up += 1,
                }
            };
            assert_eq!(bytes, format!("{number:08}"), "seed {seed}");
        }
    }
    assert_eq!(connection.read_line().await.unwrap(), None);
    assert!(given_up > count / 10, "seed {seed}: given up {given_up} times");
}

/// Polls at most `count` times more, then gives up.
async fn poll_a_few<T>(count: usize, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = async {
            for _ in 0..count {
                tokio::task::yield_now().await;
            }
        } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_dialect_is_spoken_directly() {
    let mut connection = Connection::connect_over(dial(&endpoint()));
    connection.write_line("STRING").await.unwrap();
    connection.write_line("Additional data.").await.unwrap();
    assert_eq!(connection.read_line().await.unwrap().unwrap(), "Thank you.");
    connection.write_line("CHECK_STOCK json").await.unwrap();
    connection.write_value::<Json, _>(&"item1".to_owned()).await.unwrap();
    assert_eq!(connection.read_value::<Json, u32>().await.unwrap(), Some(100));
    connection.write_line("ADD").await.unwrap();
    connection.write_value::<Bincode, _>(&(1_u32, 2_u32)).await.unwrap();
    assert_eq!(connection.read_value::<Bincode, u32>().await.unwrap(), Some(3));
    connection.finish().await.unwrap();
    assert_eq!(connection.read_value::<Line, String>().await.unwrap(), None);
    let error = connection.write_line("two\nlines").await.unwrap_err();
    assert_eq!(error.code(), Code::BadPayload);
}

/// What was read ahead belongs to whoever reads next, by whatever trait.
#[tokio::test(start_paused = true)]
async fn the_traits_of_tokio_read_the_same_bytes() {
    let (here, mut there) = transport::memory();
    there.write_all(b"one\ntwo\nthree\nfour").await.unwrap();
    there.shutdown().await.unwrap();
    let mut connection = Connection::connect_over(here);
    assert_eq!(connection.read_line().await.unwrap().unwrap(), "one");
    let mut two = String::new();
    AsyncBufReadExt::read_line(&mut connection, &mut two).await.unwrap();
    assert_eq!(two, "two\n");
    assert_eq!(connection.read_bytes(6).await.unwrap(), Bytes::from("three\n"));
    let mut rest = String::new();
    connection.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "four");
    let error = connection.read_bytes(1).await.unwrap_err();
    assert_eq!(error.code(), Code::BadPayload);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_not_waited_for_for_ever() {
    let (here, mut there) = transport::memory();
    let mut connection = Connection::connect_over(here);
    let patience = Duration::from_secs(1000);
    let error = timeout(patience, connection.read_line()).await.unwrap().unwrap_err();
    assert_eq!(error.text(), "the payload did not come within idle_time_max (300s)");
    there.write_all(b"x").await.unwrap();
    let error = timeout(patience, connection.read_line()).await.unwrap().unwrap_err();
    assert_eq!(error.text(), "the payload did not come within body_time_max (30s)");
    let large = vec![b'x'; 1 << 20];
    let error = timeout(patience, connection.write_bytes(&large)).await.unwrap().unwrap_err();
    assert_eq!(error.text(), "nothing was read for write_time_max (10s)");
    there.write_all(b"y\n").await.unwrap();
    assert_eq!(connection.read_line().await.unwrap().unwrap(), "xy");
}

#[tokio::test(start_paused = true)]
async fn a_connection_keeps_the_limits_it_is_given() {
    let (here, mut there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.payload_bytes_max = 8);
    let mut connection = Connection::connect_over(here).with_limits(limits);
    assert_eq!(connection.limits().payload_bytes_max, 8);
    there.write_all(b"12345678\n123456789\n").await.unwrap();
    assert_eq!(connection.read_line().await.unwrap().unwrap(), "12345678");
    let error = connection.read_line().await.unwrap_err();
    assert_eq!(error.text(), "a line of 9 bytes or more is over payload_bytes_max (8)");
}

/// What a connection that this side has opened reads of these bytes, in whatever pieces they come:
/// the error's code and text, else nothing.
async fn notice<T>(
    sent: &[u8],
    read: impl AsyncFn(&mut Connection) -> Result<T>,
) -> Option<(Code, String)> {
    let mut found = Vec::new();
    for at in 0..=sent.len() {
        let (here, mut there) = transport::memory();
        let mut connection = Connection::connect_over(here);
        let (before, after) = sent.split_at(at);
        let (before, after) = (before.to_vec(), after.to_vec());
        tokio::spawn(async move {
            there.write_all(&before).await.unwrap();
            tokio::task::yield_now().await;
            there.write_all(&after).await.unwrap();
        });
        let error = read(&mut connection).await.err().filter(Error::is_from_peer);
        if error.is_some() {
            // What comes behind it is read as before.
            assert_eq!(within(connection.read_line()).await.unwrap().as_deref(), Some("next"));
        }
        found.push(error.map(|error| (error.code(), error.text().to_owned())));
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn an_error_in_place_of_a_value_is_told() {
    let sent = b"<0 err 12 overloaded\ncome again\n!next\n";
    let expected = Some((Code::Overloaded, "come again\\n!".to_owned()));
    assert_eq!(notice(sent, async |c| c.read_line().await).await, expected);
    assert_eq!(notice(sent, async |c| c.read_line_bytes().await).await, expected);
    assert_eq!(notice(sent, async |c| c.read_value::<Line, String>().await).await, expected);
    assert_eq!(notice(sent, async |c| c.read_value::<Bincode, u8>().await).await, expected);
    assert_eq!(notice(sent, async |c| c.read_value::<Json, u8>().await).await, expected);
    #[cfg(feature = "gob")]
    assert_eq!(notice(sent, async |c| c.read_value::<Gob, u8>().await).await, expected);
    let sent = b"<0 err 0 failed\r\nnext\n";
    let expected = Some((Code::Failed, String::new()));
    assert_eq!(notice(sent, async |c| c.read_line().await).await, expected);
}

/// Whoever chose the text of a line may have chosen this one, and what answers it has run.
#[tokio::test]
async fn an_error_in_place_of_a_line_promises_nothing() {
    async fn check(
        what: &str,
        code: Code,
        is_safe: bool,
        read: impl AsyncFn(&mut Connection) -> Result<()>,
    ) {
        let (here, mut there) = transport::memory();
        let mut connection = Connection::connect_over(here);
        there.write_all(format!("<0 err 0 {code}\n").as_bytes()).await.unwrap();
        let error = within(read(&mut connection)).await.unwrap_err();
        assert!(error.is_from_peer() && error.was_sent(), "{what}: {error}");
        assert_eq!((error.code(), error.is_safe_to_retry()), (code, is_safe), "{what}");
    }
    for code in [Code::Overloaded, Code::ShuttingDown] {
        check("a line", code, false, async |c| c.read_line().await.map(drop)).await;
        check("bytes of a line", code, false, async |c| c.read_line_bytes().await.map(drop)).await;
        check("Line", code, false, async |c| c.read_value::<Line, String>().await.map(drop)).await;
        check("Json", code, false, async |c| c.read_value::<Json, u8>().await.map(drop)).await;
        // No payload begins like this.
        check("Bincode", code, true, async |c| c.read_value::<Bincode, u8>().await.map(drop)).await;
        #[cfg(feature = "gob")]
        check("Gob", code, true, async |c| c.read_value::<Gob, u8>().await.map(drop)).await;
    }
}

#[tokio::test]
async fn a_reply_that_reads_as_a_refusal_is_not_safe_to_retry() {
    let mut connection = Connection::connect_over(dial(&endpoint()));
    connection.write_line("ECHO").await.unwrap();
    connection.write_line("<0 err 0 overloaded").await.unwrap();
    let error = within(connection.read_line()).await.unwrap_err();
    assert!(error.code() == Code::Overloaded && !error.is_safe_to_retry(), "{error:?}");
}

#[tokio::test]
async fn what_only_looks_like_an_error_is_a_line() {
    for line in ["<", "<0", "<0 err", "<0 err ", "<0 err x y", "<1 err 0 failed", "<0 ok 0"] {
        let sent = format!("{line}\nnext\n");
        let read = async |c: &mut Connection| {
            assert_eq!(c.read_line().await?.as_deref(), Some(line));
            Ok(())
        };
        assert_eq!(notice(sent.as_bytes(), read).await, None, "{line}");
        // At the end of the stream as well.
        let (here, mut there) = transport::memory();
        there.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        drop(there);
        let mut connection = Connection::connect_over(here);
        assert_eq!(within(connection.read_line()).await.unwrap().as_deref(), Some(line));
    }
}

/// A message of 60 bytes begins with `<`, and is no notice unless it goes on like one.
#[cfg(feature = "gob")]
#[tokio::test]
async fn a_gob_that_begins_like_an_error_is_a_value() {
    let text = "x".repeat(57);
    let sent = [switchboard_gob::to_vec(&text).unwrap(), b"next\n".to_vec()].concat();
    assert_eq!(sent[0], b'<');
    let read = async |c: &mut Connection| {
        assert_eq!(c.read_value::<Gob, String>().await?.as_ref(), Some(&text));
        Ok(())
    };
    assert_eq!(notice(&sent, read).await, None);
}

/// Who calls a raw handler may say what it likes.
#[tokio::test]
async fn a_raw_handler_takes_lines_as_they_are() {
    let bytes = async |caller: &mut Connection| {
        let line = caller.read_line_bytes().await?.unwrap_or_default();
        caller.write_line(&format!("{line:?}")).await
    };
    let endpoint = endpoint().on_raw("BYTES", bytes);
    check(&endpoint, "BYTES\n<0 err 0 failed\n", "b\"<0 err 0 failed\"\n").await;
    check(&endpoint, "STRING\n<0 err 5 failed\n", "Thank you.\n").await;
    let got = exchange(&endpoint, b"BYTES\n\xff\xfe\x00x\r\nSTRING\nx\n").await;
    assert_eq!(got, "b\"\\xff\\xfe\\0x\"\nThank you.\n");
    let got = exchange(&endpoint, b"STRING\n\xff\n").await;
    assert_eq!(got, ran(0, Code::BadPayload, "the line is not UTF-8"));
}

/// What is said at the door reaches a peer of any dialect.
#[tokio::test]
async fn an_endpoint_that_refuses_is_understood() {
    let mut connection = Connection::connect_over(dial(&endpoint()));
    connection.write_line("NOTHING").await.unwrap();
    let error = within(connection.read_line()).await.unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::UnknownCommand, true));
}

/// A caller of such an endpoint would take a notice for its answer.
#[tokio::test(start_paused = true)]
async fn an_endpoint_without_notices_ends_without_a_word() {
    const FAIL: Command<String, String, Line> = Command::new("FAIL");
    let fail = async |_: String| Err::<String, _>(Error::new(Code::Failed, "oops"));
    let endpoint = endpoint().without_notices().on(FAIL, fail);
    // Also of what is made of it.
    for endpoint in [endpoint.clone().with_limits(Limits::default()), endpoint] {
        check(&endpoint, "STRING\nx\nNOTHING\n", "Thank you.\n").await;
        check(&endpoint, "STRING json\nx\n", "").await;
        check(&endpoint, "FAIL\nx\nSTRING\nx\n", "").await;
        check(&endpoint, "ADD json\n[1]\nSTRING\nx\n", "").await;
        check(&endpoint, "\nSTRING\nx\n", "").await;
        // What has a tag is answered, and a peer that is idle is let go.
        check(
            &endpoint,
            "FAIL 7 1 f=line\nxSTRING\nx\n",
            &(ran(7, Code::Failed, "oops") + "Thank you.\n"),
        )
        .await;
        let mut idle = peer(&endpoint);
        idle.expect_bytes("").await;
        idle.expect_end().await;
    }
    // Nor is a farewell said, or who is turned away told.
    let limits = Limits::default().with(|limits| limits.connections_max = 1);
    let endpoint = self::endpoint().with_limits(limits).without_notices();
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let mut first = Peer::new(dialer.dial().await.unwrap());
    first.send("STRING\nx\n").await;
    first.expect_bytes("Thank you.\n").await;
    let mut second = Peer::new(dialer.dial().await.unwrap());
    second.expect_end().await;
    stop.send(()).unwrap();
    first.expect_end().await;
    server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_given_up_is_not_run() {
    async fn put(connection: &mut Connection) -> Result<()> {
        let read = connection.read_value::<format::Bytes, Bytes>();
        if timeout(SECOND, read).await.is_err() {
            connection.write_line("too slow").await?;
        }
        Ok(())
    }
    let (endpoint, runs) = with_canary(Endpoint::new().on_raw("PUT", put));
    let (mut here, there) = transport::memory();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here.write_all(b"PUT\n5\n").await.unwrap();
    sleep(2 * SECOND).await;
    here.write_all(b"CANARY\nx\n").await.unwrap();
    sleep(SECOND).await;
    assert_eq!(runs.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_text_of_an_error_is_no_answer_after_a_cancel() {
    let (here, mut there) = transport::memory();
    let mut connection = Connection::connect_over(here);
    there.write_all(b"<0 err 4 failed ran=1\n").await.unwrap();
    assert!(timeout(SECOND, connection.read_line()).await.is_err());
    there.write_all(b"boom42\n").await.unwrap();
    assert_eq!(connection.read_line().await.unwrap_err().text(), "boom");
    assert_eq!(connection.read_line().await.unwrap().as_deref(), Some("42"));
}

/// A stream that notes how many slices each write on it has.
struct Slices {
    stream: MemoryStream,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Slices {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Slices {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(slices.len());
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn slices_that_a_raw_handler_writes_together_leave_together() {
    let endpoint = endpoint().on_raw("GATHER", async |connection: &mut Connection| {
        if !connection.is_write_vectored() {
            return Err(Error::new(Code::Failed, "slices are not taken together"));
        }
        let slices = [IoSlice::new(b"one "), IoSlice::new(b"two\n")];
        assert_eq!(connection.write_vectored(&slices).await?, 8);
        Ok(())
    });
    let (there, stream) = transport::memory();
    let writes = Arc::<Mutex<Vec<_>>>::default();
    let slices = Slices { stream, writes: Arc::clone(&writes) };
    let serving = tokio::spawn(async move { endpoint.serve_stream(slices).await });
    let mut peer = Peer::new(there);
    peer.send("GATHER\n").await;
    peer.expect_bytes("one two\n").await;
    assert_eq!(*writes.lock().unwrap(), [2]);
    drop(peer);
    within(serving).await.unwrap();
}
