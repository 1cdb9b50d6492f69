//! Streams and listeners in memory, which want no socket.

use switchboard::Code;
use switchboard::transport::{self, Listener, MemoryDialer, MemoryListener, PeerAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn memory_carries_bytes_both_ways_and_their_end() {
    let (mut here, mut there) = transport::memory();
    here.write_all(b"ping").await.unwrap();
    here.shutdown().await.unwrap();
    let mut heard = String::new();
    there.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "ping");

    there.write_all(b"pong").await.unwrap();
    drop(there);
    heard.clear();
    here.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "pong");
}

#[tokio::test]
async fn memory_holds_64_kib_and_no_more() {
    let (mut here, mut there) = transport::memory();
    let too_much = vec![7; 65_536 + 1];
    let taken = tokio::time::timeout(std::time::Duration::ZERO, here.write_all(&too_much)).await;
    assert!(taken.is_err());
    drop(here);
    let mut heard = Vec::new();
    assert_eq!(there.read_to_end(&mut heard).await.unwrap(), 65_536);
    assert_eq!(there.write_all(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn memory_is_taken_as_bytes_are_written_and_given_back_when_they_are_read() {
    const PAIRS: i64 = 4;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let live_bytes = |step: &mut dyn FnMut()| allocation_counter::measure(step).bytes_current;
    let mut pairs = Vec::with_capacity(4);
    let fresh = live_bytes(&mut || pairs.extend((0..PAIRS).map(|_| transport::memory())));
    assert!(fresh < PAIRS * 512, "{fresh} bytes before anything is written");
    let mut room = vec![0; 65_536];
    let taken = live_bytes(&mut || {
        runtime.block_on(async {
            for (here, there) in &mut pairs {
                here.write_all(&[7; 40_000]).await.unwrap();
                there.write_all(&[7; 40_000]).await.unwrap();
            }
        });
    });
    let written = PAIRS * 80_000;
    assert!((written..=written * 2).contains(&taken), "{taken} bytes for {written} that wait");
    let given_back = live_bytes(&mut || {
        runtime.block_on(async {
            for (here, there) in &mut pairs {
                here.read_exact(&mut room[..40_000]).await.unwrap();
                there.read_exact(&mut room[..40_000]).await.unwrap();
            }
        });
    });
    // Two buffers at most are kept, for the whole thread.
    let kept = taken + given_back;
    assert!((0..=131_200).contains(&kept), "{kept} bytes are kept by pipes in which nothing waits");
}

#[tokio::test]
async fn a_reader_that_leaves_wakes_its_writer_and_a_writer_its_reader() {
    let (mut here, there) = transport::memory();
    let much = vec![7; 65_537];
    let (written, ()) = tokio::join!(here.write_all(&much), async { drop(there) });
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);

    let (mut here, there) = transport::memory();
    let mut heard = Vec::new();
    let (read, ()) = tokio::join!(here.read_to_end(&mut heard), async { drop(there) });
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn memory_takes_turns_with_other_tasks() {
    let (mut here, mut there) = transport::memory();
    let other = tokio::spawn(async {});
    // Two busy ends do not keep the thread for ever.
    while !other.is_finished() {
        here.write_all(b"x").await.unwrap();
        assert_eq!(there.read_u8().await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_memory_listener_accepts_what_is_dialled() {
    let (mut listener, dialer): (MemoryListener, MemoryDialer) = transport::memory_listener();
    let mut dialled = dialer.clone().dial().await.unwrap();
    let (mut accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.address(), PeerAddress::Memory);
    dialled.write_all(b"x").await.unwrap();
    assert_eq!(accepted.read_u8().await.unwrap(), b'x');

    drop(listener);
    let error = dialer.dial().await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Disconnected, "nobody answers in memory"));
}
