//! Who is at the other end of a connection, as far as the operating system vouches for it.
//!
//! Nothing in here was said by the peer, but for the address of a datagram: other addresses come
//! from the kernel's accept, credentials come from `SO_PEERCRED` or its like. So a [`Peer`] may be
//! used to decide what it may do, with the care that its parts ask for.

use std::fmt;
use std::net::SocketAddr;
#[cfg(feature = "io")]
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
#[cfg(feature = "io")]
use std::sync::OnceLock;

/// The other end of a connection.
///
/// ```
/// use std::net::SocketAddr;
/// use switchboard::transport::Peer;
///
/// let peer = Peer::tcp(SocketAddr::from(([127, 0, 0, 1], 5000)));
/// assert_eq!(peer.to_string(), "127.0.0.1:5000");
/// assert_eq!(peer.credentials(), None);
/// ```
///
/// A clone is the same peer, and costs almost nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    facts: Arc<Facts>,
}

#[derive(PartialEq, Eq)]
struct Facts {
    address: PeerAddress,
    credentials: Option<Credentials>,
}

/// Where the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddress {
    /// At this IP address and port.
    Tcp(SocketAddr),
    /// At this IP address and port, **as its datagram says**. Whoever sends one can write any
    /// address into it, so this is not to decide by what the sender may do.
    Udp(SocketAddr),
    /// On this machine, behind a Unix socket.
    Unix,
    /// In this process, behind [`memory`](crate::transport::memory()).
    Memory,
    /// It is not known.
    Unknown,
}

/// The process at the other end of a Unix socket, at the time when the connection was made: of a
/// connection that was accepted who called `connect`, of one that was dialled who called `listen`.
///
/// Since then the process may have ended, given its rights up, or passed the socket on, and another
/// process may have its `pid`. What comes over the connection is said in the name of who made it,
/// so a process that changes its user should connect after that. Decide by `uid` and `gid`; `pid`
/// is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process, if the system tells it and it is visible from here.
    pub pid: Option<u32>,
}

impl Peer {
    /// The other end of a TCP connection.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        Self::at(PeerAddress::Tcp(address), None)
    }

    /// The sender of a datagram, as far as that says.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self::at(PeerAddress::Udp(address), None)
    }

    /// An unknown other end of a stream. No limit per peer applies to it.
    #[must_use]
    pub fn unknown() -> Self {
        Self::at(PeerAddress::Unknown, None)
    }

    /// One peer of which nothing is known.
    #[cfg(feature = "io")]
    pub(crate) fn nobody() -> &'static Self {
        static NOBODY: OnceLock<Peer> = OnceLock::new();
        NOBODY.get_or_init(Self::unknown)
    }

    /// The other end of a Unix socket whose credentials are not asked for.
    #[cfg(all(unix, feature = "blocking"))]
    pub(crate) fn unix() -> Self {
        Self::at(PeerAddress::Unix, None)
    }

    /// The other end of a pair in memory.
    #[cfg(feature = "io")]
    pub(crate) fn memory() -> Self {
        Self::at(PeerAddress::Memory, None)
    }

    /// The other end of a Unix socket. Where the system does not tell the credentials there are
    /// none, and who decides by them must refuse.
    #[cfg(all(unix, feature = "io"))]
    pub(super) fn of_unix(stream: &tokio::net::UnixStream) -> Self {
        let credentials = stream.peer_cred().ok().map(|peer| Credentials {
            uid: peer.uid(),
            gid: peer.gid(),
            // Zero stands for a process that this pid namespace does not see.
            pid: peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        });
        Self::at(PeerAddress::Unix, credentials)
    }

    /// Where the other end is.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        self.facts.address
    }

    /// The process there: only for Unix sockets, and only if the system tells it.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.facts.credentials
    }

    /// What `connections_per_peer_max` counts by; `None` if connections from there are not counted.
    #[cfg(feature = "io")]
    pub(crate) fn peer_key(&self) -> Option<PeerKey> {
        match self.facts.address {
            PeerAddress::Tcp(address) => Some(PeerKey::of_ip(address.ip())),
            PeerAddress::Udp(address) => Some(PeerKey::of_ip(address.ip()).forgeable()),
            PeerAddress::Unix => {
                self.facts.credentials.map(|credentials| PeerKey::Uid(credentials.uid))
            }
            PeerAddress::Memory | PeerAddress::Unknown => None,
        }
    }

    fn at(address: PeerAddress, credentials: Option<Credentials>) -> Self {
        Self { facts: Arc::new(Facts { address, credentials }) }
    }
}

/// Those whose connections are counted together.
#[cfg(feature = "io")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PeerKey {
    /// One IPv4 address, also when it came mapped into IPv6.
    Ip(Ipv4Addr),
    /// One IPv6 network of 64 bits. A single host has all of its addresses for the asking, so
    /// counting addresses would count nothing.
    Network([u16; 4]),
    /// One user of this machine.
    Uid(u32),
    /// The same two of datagrams. Apart from those of connections: else whoever forges an address
    /// could use up what its owner may do.
    IpOfDatagrams(Ipv4Addr),
    NetworkOfDatagrams([u16; 4]),
}

#[cfg(feature = "io")]
impl PeerKey {
    fn of_ip(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::Ip(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Network([a, b, c, d])
            }
        }
    }

    fn forgeable(self) -> Self {
        match self {
            Self::Ip(ip) => Self::IpOfDatagrams(ip),
            Self::Network(network) => Self::NetworkOfDatagrams(network),
            other => other,
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.facts.address)
            .field("credentials", &self.facts.credentials)
            .finish()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.facts.address {
            PeerAddress::Tcp(address) | PeerAddress::Udp(address) => write!(f, "{address}")?,
            PeerAddress::Unix => f.write_str("unix")?,
            PeerAddress::Memory => f.write_str("memory")?,
            PeerAddress::Unknown => f.write_str("unknown")?,
        }
        let Some(credentials) = self.facts.credentials else { return Ok(()) };
        write!(f, " uid {}", credentials.uid)?;
        credentials.pid.map_or(Ok(()), |pid| write!(f, " pid {pid}"))
    }
}

#[cfg(test)]
#[cfg(feature = "io")]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_address_network_or_user() {
        check("1.2.3.4:5", Some(PeerKey::Ip(Ipv4Addr::new(1, 2, 3, 4))));
        check("1.2.3.4:6", Some(PeerKey::Ip(Ipv4Addr::new(1, 2, 3, 4))));
        check("[::ffff:1.2.3.4]:5", Some(PeerKey::Ip(Ipv4Addr::new(1, 2, 3, 4))));
        check("[2001:db8:1:2:3:4:5:6]:5", Some(PeerKey::Network([0x2001, 0xdb8, 1, 2])));
        check("[2001:db8:1:2:ffff::]:5", Some(PeerKey::Network([0x2001, 0xdb8, 1, 2])));
        check("[2001:db8:1:3::]:5", Some(PeerKey::Network([0x2001, 0xdb8, 1, 3])));
        let [ip, network] = ["1.2.3.4:5", "[2001:db8:1:2::]:5"].map(|of| of.parse().unwrap());
        let key = PeerKey::IpOfDatagrams(Ipv4Addr::new(1, 2, 3, 4));
        assert_eq!(Peer::udp(ip).peer_key(), Some(key));
        let key = PeerKey::NetworkOfDatagrams([0x2001, 0xdb8, 1, 2]);
        assert_eq!(Peer::udp(network).peer_key(), Some(key));
        assert_eq!(Peer::unknown().peer_key(), None);
        assert_eq!(Peer::memory().peer_key(), None);
        assert_eq!(unix(Some(7)).peer_key(), Some(PeerKey::Uid(1000)));
    }

    #[test]
    fn a_peer_prints_what_is_known() {
        assert_eq!(unix(Some(77)).to_string(), "unix uid 1000 pid 77");
        assert_eq!(unix(None).to_string(), "unix uid 1000");
        let nobody = Peer::at(PeerAddress::Unix, None);
        assert_eq!(nobody.to_string(), "unix");
        assert_eq!(nobody.peer_key(), None);
        assert_eq!(Peer::memory().to_string(), "memory");
        assert_eq!(Peer::udp(([1, 2, 3, 4], 5).into()).to_string(), "1.2.3.4:5");
        assert_eq!(Peer::unknown().to_string(), "unknown");
    }

    fn check(address: &str, expected: Option<PeerKey>) {
        let peer = Peer::tcp(address.parse().unwrap());
        assert_eq!(peer.peer_key(), expected, "{address}");
        assert_eq!(peer.to_string(), address);
    }

    fn unix(pid: Option<u32>) -> Peer {
        let credentials = Some(Credentials { uid: 1000, gid: 100, pid });
        Peer::at(PeerAddress::Unix, credentials)
    }
}
