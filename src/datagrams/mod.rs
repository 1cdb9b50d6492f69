//! Datagrams in front of a door, and of a handler of bare ones. Which bytes are a call, and what is
//! answered to it, `wire` knows: here they are read, counted, called and answered.
//!
//! ```text
//!   socket ──► inbox: may it be answered? ──► calls: one whole call? ──► a place ──► door
//!     ▲          no: dropped                    no: dropped                │ none: dropped
//!     └── an answer, no longer than what was asked ◄──────────────────────┘
//! ```
//!
//! **Whoever sends a datagram can write any address into it.** So a server of datagrams can be made
//! to send its answers to a third party that has asked for nothing: in 2018, 15 bytes to a
//! memcached brought its victim up to 750,000. There are three ways out:
//!
//! - A proof: the first answer is a secret of the address, which the caller repeats (DNS cookies,
//!   RFC 7873; Retry of QUIC, RFC 9000 section 8; HelloVerifyRequest of DTLS). It costs a round
//!   trip and a key that changes, each caller has to keep a state, and nobody can type it.
//! - An allowance: QUIC sends three times as much as it got, until the address has proved itself.
//! - Length: NTS (RFC 8915, section 5.7) has the client fill its request up, so that no answer is
//!   longer.
//!
//! Here it is length, for all and at all times: **no address ever gets more bytes than were sent in
//! its name.** The sender of forged datagrams gains nothing over sending to its victim directly,
//! and neither side keeps a state. Small answers, which are what datagrams are for, need nothing; a
//! caller that expects a larger one pads its call, at a cost of at most one datagram of
//! `datagram_bytes_max`. Bytes are counted without the headers of IP and UDP, which are the same
//! both ways.
//!
//! What is left to a forger is to hide where bytes come from, and to use up what others may do. So
//! datagrams are counted by address, in a table that is bounded, and in all. Those over a bound are
//! dropped and not refused: a refusal is an answer, too. The address of a datagram says nothing of
//! who calls, so it is a [`PeerAddress`](crate::transport::PeerAddress) of its own.
//!
//! **Nothing that a door sends is a call**, see `wire/datagram.rs`; so no two doors talk to each
//! other for ever. For bare datagrams only their handler can see to that.
//!
//! A datagram may come twice, or never, or behind one that was sent after it. Nothing is remembered
//! of those that came, so a command that is called by datagrams should be idempotent.

mod bare;
mod calls;
mod inbox;

use std::fmt;

use tokio::net::UdpSocket;

pub use self::bare::Datagram;
pub(crate) use self::bare::serve_bare;
pub(crate) use self::calls::serve_calls;
use crate::service::PeerBounds;

/// A UDP socket to be served, and the bounds of what comes in by it. An address is an IPv4 address,
/// or the first 64 bits of an IPv6 address.
///
/// ```
/// use switchboard::{Datagrams, Endpoint};
/// use tokio::net::UdpSocket;
///
/// # async fn serve() -> switchboard::Result<()> {
/// let socket = UdpSocket::bind("127.0.0.1:61000").await?;
/// let datagrams = Datagrams::new(socket)
///     .datagram_bytes_max(8192)
///     .address_datagrams_per_second(1000, 2000);
/// Endpoint::new().serve_datagrams(datagrams).await
/// # }
/// ```
#[must_use = "a socket answers nothing until it is served"]
pub struct Datagrams {
    socket: UdpSocket,
    bytes_max: usize,
    answer_bytes_more: usize,
    of_address: PeerBounds,
    in_all: PeerBounds,
    addresses_max: usize,
}

impl Datagrams {
    /// The most bytes that a datagram can have over IPv4.
    pub const BYTES_MOST: usize = 65_507;

    /// A socket with the bounds that are named beside the other functions.
    pub fn new(socket: UdpSocket) -> Self {
        let of_address = PeerBounds::default().calls_per_second(100, 200).calls_in_flight(64);
        Self {
            socket,
            bytes_max: 1200,
            answer_bytes_more: 0,
            of_address,
            in_all: PeerBounds::default().calls_per_second(10_000, 10_000),
            addresses_max: 10_000,
        }
    }

    /// Bounds the bytes of a datagram that comes in: 1,200 if this is not said, which pass every
    /// network in one piece. A longer one is dropped.
    ///
    /// # Panics
    ///
    /// If it is 0 or over [`BYTES_MOST`](Self::BYTES_MOST): that is a mistake in the program.
    #[track_caller]
    pub fn datagram_bytes_max(mut self, bytes: usize) -> Self {
        assert!((1..=Self::BYTES_MOST).contains(&bytes), "datagram_bytes_max ({bytes}) can't work");
        self.bytes_max = bytes;
        self
    }

    /// Lets an answer have so many bytes more than the datagram that it answers: 0 if this is not
    /// said. Whoever forges addresses can send that many more to a third party than it sends
    /// itself, so this is for networks where nobody does, or for a protocol whose answers are a
    /// few bytes longer.
    pub fn answer_bytes_more(mut self, bytes: usize) -> Self {
        self.answer_bytes_more = bytes;
        self
    }

    /// Bounds the datagrams from one address in a second, and how many of them at once: 100 and 200
    /// if this is not said. More are dropped.
    pub fn address_datagrams_per_second(mut self, datagrams: u32, burst: u32) -> Self {
        self.of_address = self.of_address.calls_per_second(datagrams, burst);
        self
    }

    /// Bounds how many datagrams from one address are being answered at once: 64 if this is not
    /// said. More are dropped.
    pub fn address_calls_in_flight(mut self, calls: usize) -> Self {
        self.of_address = self.of_address.calls_in_flight(calls);
        self
    }

    /// Sets how many addresses are told apart at once: 10,000 if this is not said, at about 100
    /// bytes each. All those beyond that share the bounds of one.
    pub fn addresses_max(mut self, addresses: usize) -> Self {
        self.addresses_max = addresses;
        self
    }

    /// Bounds the datagrams of all addresses together in a second, and how many of them at once:
    /// 10,000 each if this is not said. More are dropped.
    pub fn datagrams_per_second(mut self, datagrams: u32, burst: u32) -> Self {
        self.in_all = self.in_all.calls_per_second(datagrams, burst);
        self
    }
}

impl From<UdpSocket> for Datagrams {
    fn from(socket: UdpSocket) -> Self {
        Self::new(socket)
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("socket", &self.socket).finish_non_exhaustive()
    }
}
