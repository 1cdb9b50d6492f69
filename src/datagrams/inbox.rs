//! Datagrams as they come, who of their senders may be answered, and the way back.
//!
//! Reading never ends by itself and never spins:
//!
//! | what reading gives                        | what is done                                 |
//! |-------------------------------------------|----------------------------------------------|
//! | a datagram that may be answered           | it is given out                              |
//! | one of nobody, or one that is too long    | it is dropped                                |
//! | that nobody has read an earlier answer    | the next is read: it is told once for each   |
//! | another error                             | a pause: 10 ms, twice as long each time, 1 s |

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::Datagrams;
use crate::limits::Limits;
use crate::service::{CountedCall, PeerTable, key_of};
use crate::transport::Peer;

/// A socket, and what its senders have used of their bounds.
pub(super) struct Inbox {
    socket: Arc<UdpSocket>,
    here: Option<SocketAddr>,
    bytes_max: usize,
    answer_bytes_more: usize,
    of_address: Arc<PeerTable>,
    in_all: Arc<PeerTable>,
    write_time_max: Duration,
    buffer: Box<[u8]>,
    pause: Duration,
    dropped: u64,
}

/// A datagram that has come: its bytes are in the inbox until the next one comes.
#[derive(Clone, Copy)]
pub(super) struct Came {
    pub(super) len: usize,
    pub(super) from: SocketAddr,
}

/// What a datagram counts against until it is answered.
pub(super) struct Place {
    _of_address: CountedCall,
    _in_all: CountedCall,
}

/// The way back to whoever sent a datagram.
pub(super) struct Outlet {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    /// An answer has at most so many bytes.
    pub(super) bytes_max: usize,
    write_time_max: Duration,
}

impl Inbox {
    /// With `calls_max`, no more than that many are answered at once.
    pub(super) fn new(datagrams: Datagrams, limits: &Limits, calls_max: Option<usize>) -> Self {
        let Datagrams { socket, bytes_max, answer_bytes_more, of_address, in_all, addresses_max } =
            datagrams;
        let in_all = calls_max.map_or(in_all, |calls| in_all.calls_in_flight(calls));
        Self {
            here: socket.local_addr().ok(),
            socket: Arc::new(socket),
            bytes_max,
            answer_bytes_more,
            of_address: PeerTable::new(of_address, addresses_max),
            // Nobody is told apart in it.
            in_all: PeerTable::new(in_all, 0),
            write_time_max: limits.write_time_max,
            buffer: vec![0; BUFFER_BYTES].into(),
            pause: PAUSE_MIN,
            dropped: 0,
        }
    }

    /// Waits for a datagram that may be answered. Cancel safe.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match self.socket.recv_from(&mut self.buffer).await {
                Ok((len, from)) => {
                    self.pause = PAUSE_MIN;
                    if len <= self.bytes_max && is_answerable(from, self.here) {
                        return Came { len, from };
                    }
                    self.note_dropped();
                }
                Err(error) if is_of_an_answer(&error) => {}
                Err(error) => {
                    if self.pause == PAUSE_MIN {
                        tracing::warn!(%error, "cannot read datagrams");
                    }
                    sleep(self.pause).await;
                    self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// The bytes of the datagram that has come last.
    pub(super) fn bytes(&self, came: Came) -> &[u8] {
        self.buffer.get(..came.len).unwrap_or_default()
    }

    /// A place for a datagram, if its bounds leave one.
    pub(super) fn place(&self, came: Came) -> Option<Place> {
        let key = key_of(self.of_address.hashers(), &Peer::udp(came.from).peer_key());
        let of_address = self.of_address.begin(key, came.len).ok()?;
        let in_all = self.in_all.begin(key, came.len).ok()?;
        Some(Place { _of_address: of_address, _in_all: in_all })
    }

    pub(super) fn outlet(&self, came: Came) -> Outlet {
        Outlet {
            socket: Arc::clone(&self.socket),
            to: came.from,
            bytes_max: came.len.saturating_add(self.answer_bytes_more),
            write_time_max: self.write_time_max,
        }
    }

    pub(super) fn note_dropped(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// Datagrams of which nothing came.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Outlet {
    /// Sends an answer, unless it is longer than it may be. Whether it arrives nobody knows.
    pub(super) async fn send(&self, answer: &[u8]) {
        if answer.len() > self.bytes_max {
            let (bytes, bytes_max) = (answer.len(), self.bytes_max);
            tracing::debug!(bytes, bytes_max, "an answer is too long, and is not sent");
            return;
        }
        let sent = timeout(self.write_time_max, self.socket.send_to(answer, self.to)).await;
        if let Ok(Err(error)) = sent {
            tracing::debug!(%error, "cannot send a datagram");
        }
    }
}

/// Whether somebody can be at this address, and it is not a whole network. `here` is our own.
fn is_answerable(from: SocketAddr, here: Option<SocketAddr>) -> bool {
    let ip = from.ip().to_canonical();
    let is_of_many = ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    // A socket at all addresses of this machine is at the loopback, too.
    let is_own = here.is_some_and(|here| {
        let is_ip = ip == here.ip() || here.ip().is_unspecified() && ip.is_loopback();
        is_ip && from.port() == here.port()
    });
    from.port() != 0 && !ip.is_unspecified() && !is_of_many && !is_own
}

/// Whether an error of reading says that an earlier answer has found nobody: some systems tell that
/// here. A pause for it would let a forger slow everybody down.
fn is_of_an_answer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// Room for each datagram that there is: some systems fail where they would have to cut one off.
const BUFFER_BYTES: usize = 65_536;

/// The pause after the first reading that failed.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_at_some_addresses() {
        let check_at = |here: &str, address: &str, expected| {
            let (from, here) = (address.parse().unwrap(), here.parse().unwrap());
            assert_eq!(is_answerable(from, Some(here)), expected, "{address} at {here}");
        };
        let check = |address: &str, expected| check_at("127.0.0.1:61000", address, expected);
        check("127.0.0.1:61001", true);
        check("192.0.2.1:7", true);
        check("[2001:db8::1]:61000", true);
        check("127.0.0.1:61000", false);
        check("192.0.2.1:0", false);
        check("0.0.0.0:61001", false);
        check("255.255.255.255:61001", false);
        check("224.0.0.251:5353", false);
        check("[::]:61001", false);
        check("[ff02::fb]:5353", false);
        check("[::ffff:224.0.0.251]:5353", false);
        check("[::ffff:255.255.255.255]:1", false);
        check_at("0.0.0.0:61000", "127.0.0.2:61000", false);
        check_at("[::]:61000", "[::1]:61000", false);
        check_at("[::]:61000", "[::ffff:127.0.0.1]:61000", false);
        check_at("0.0.0.0:61000", "127.0.0.1:61001", true);
        check_at("0.0.0.0:61000", "192.0.2.1:61000", true);
    }
}
