//! A peer that speaks in bytes: blocking and without a library in between.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use switchboard::Code;
use switchboard::wire::{Decoder, Event, Line, Part, Tag};

/// A connection to an endpoint.
pub(crate) struct Peer {
    stream: TcpStream,
    replies: Replies,
}

/// A reply: the value, or the code of the error.
pub(crate) type Reply = Result<bytes::Bytes, Code>;

/// Cuts bytes into replies.
pub(crate) struct Replies {
    decoder: Decoder,
    input: BytesMut,
    head: Option<(Tag, Part)>,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // A reply that does not come is a failure and no hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, replies: Replies::new() }
    }

    /// Calls a command and waits for its reply, and tells how long that took after the last byte
    /// was sent.
    pub(crate) fn call(
        &mut self,
        name: &str,
        format: &str,
        tag: Tag,
        payload: &[u8],
    ) -> (Reply, Duration) {
        let line = format!("{name} {tag} {} f={format}\n", payload.len());
        self.stream.write_all(line.as_bytes()).unwrap();
        self.stream.write_all(payload).unwrap();
        let sent = Instant::now();
        loop {
            if let Some((replied, reply)) = self.replies.next() {
                assert_eq!(replied, tag, "{reply:?}");
                return (reply, sent.elapsed());
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).expect("a reply comes");
            assert!(count > 0, "{name}: the connection was closed before the reply");
            self.replies.feed(&bytes[..count]);
        }
    }
}

impl Replies {
    pub(crate) fn new() -> Self {
        let decoder = Decoder::new(1024, 64 << 20);
        Self { decoder, input: BytesMut::new(), head: None }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<(Tag, Reply)> {
        loop {
            match self.decoder.decode(&mut self.input).expect("replies are lines") {
                None => return None,
                Some(Event::Line(Line::Reply(tag, part, _))) => self.head = Some((tag, part)),
                Some(Event::Body(body)) => {
                    let (tag, part) = self.head.take().unwrap();
                    return Some(match part {
                        Part::Ok(_) => (tag, Ok(body)),
                        Part::Err(_, word) => (tag, Err(word.code())),
                        part => panic!("no reply: {part:?}"),
                    });
                }
                Some(event) => panic!("no reply: {event:?}"),
            }
        }
    }
}
