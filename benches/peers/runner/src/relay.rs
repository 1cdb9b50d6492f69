//! Stands between a client and its server and counts what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

/// Its threads end with the connections.
pub(crate) struct Relay {
    pub(crate) address: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    replies: AtomicU64,
}

impl Relay {
    /// Forwards one connection after the other to this address.
    pub(crate) fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let _ = forward(client, &server, &shared);
            }
        });
        Ok(Self { address, counts })
    }

    pub(crate) fn request_bytes(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn reply_bytes(&self) -> u64 {
        self.counts.replies.load(Ordering::Relaxed)
    }
}

fn forward(client: TcpStream, server: &str, counts: &Arc<Counts>) -> Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from, to, shared) = (client.try_clone()?, server.try_clone()?, Arc::clone(counts));
    thread::spawn(move || copy(from, to, &shared.requests));
    let shared = Arc::clone(counts);
    thread::spawn(move || copy(server, client, &shared.replies));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
