//! Where to listen and what to dial, as people write it.
//!
//! This is only text to a value and back: nothing is resolved, opened or looked up here, so an
//! [`Address`] that parses may still lead nowhere.
//!
//! The one trap is IPv6, whose addresses have colons of their own. Brackets settle it. Without them
//! the text as a whole is an address or nothing, and not one that ends like a port: `::1:8080` is
//! an address, but whoever wrote it may have meant port 8080 of `::1`, so it is refused instead of
//! guessed at.

mod serialized;

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Code, Error, Result};

/// The port where an address names none.
///
/// It lies just above the range from which Linux picks the ports of outgoing connections, so none
/// of those can occupy it by chance.
pub const DEFAULT_PORT: u16 = 61000;

/// Where to listen or what to dial.
///
/// | text | means |
/// |---|---|
/// | `127.0.0.1:7000`, `example.org:7000`, `[::1]:7000` | this host and port |
/// | `example.org`, `[::1]`, `::1` | this host, port [`DEFAULT_PORT`] |
/// | `:7000` | this machine alone (`127.0.0.1`), this port |
/// | `unix:/run/stock.sock`, `unix:stock.sock` | this file |
///
/// Port 0 lets the system choose one when listening. All addresses of this machine are `0.0.0.0` or
/// `[::]`; they are never the default.
///
/// ```
/// use switchboard::transport::Address;
///
/// let address: Address = "localhost".parse()?;
/// assert_eq!(address, Address::Tcp { host: "localhost".into(), port: 61000 });
/// assert_eq!(address.to_string(), "localhost:61000");
/// # Ok::<(), switchboard::Error>(())
/// ```
///
/// Functions that listen or dial take a text, owned or not, an `Address`, or a `SocketAddr` of the
/// standard library.
///
/// ```
/// use std::net::Ipv6Addr;
///
/// use switchboard::transport;
///
/// # async fn example() -> switchboard::Result<()> {
/// let listener = transport::bind("127.0.0.1:0").await?;
/// let client = switchboard::Client::connect(listener.local_address()?).await?;
/// let other = transport::bind(std::net::SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).await?;
/// # Ok(()) }
/// ```
///
/// For serde an address is its text. An address whose text would not be read as the same address,
/// such as a path that is not UTF-8, cannot be serialized.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use switchboard::transport::Address;
///
/// let address: Address = serde_json::from_str("\"unix:/run/stock.sock\"").unwrap();
/// assert_eq!(address, Address::Unix("/run/stock.sock".into()));
/// assert_eq!(serde_json::to_string(&address).unwrap(), "\"unix:/run/stock.sock\"");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// TCP.
    Tcp {
        /// An IP address without brackets, or a name to be resolved.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// # Errors
///
/// `invalid`, with a text that says which part of the address is wrong. It never repeats text
/// before an `@`, which may be a password.
impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_path(path);
        }
        if text.is_empty() {
            return Err(wrong("the address is empty".to_owned()));
        }
        if text.contains('@') {
            return Err(wrong("an address has no user or password before an @".to_owned()));
        }
        if is_ipv6(text) {
            check_port_is_none(text)?;
            return Ok(Self::Tcp { host: text.to_owned(), port: DEFAULT_PORT });
        }
        if let Some(rest) = text.strip_prefix('[') {
            return parse_bracketed(rest, text);
        }
        parse_host_and_port(text)
    }
}

/// # Errors
///
/// As its `FromStr`.
impl TryFrom<&str> for Address {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

/// # Errors
///
/// As its `FromStr`.
impl TryFrom<&String> for Address {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self> {
        text.parse()
    }
}

/// # Errors
///
/// As its `FromStr`.
impl TryFrom<String> for Address {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                format!("{}%{}", address.ip(), address.scope_id())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => address.ip().to_string(),
        };
        Self::Tcp { host, port: address.port() }
    }
}

/// Prints a text that parses back to the same address; for a path that is not UTF-8, as much as can
/// be shown.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// What a caller gave for an address, as one.
    pub(crate) fn of(address: impl TryInto<Self, Error: Into<Error>>) -> Result<Self> {
        address.try_into().map_err(Into::into)
    }

    /// Why a connection to this address could not be made.
    pub(crate) fn dial_error(&self, error: io::Error) -> Error {
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                format!("nobody answers at {self}")
            }
            io::ErrorKind::PermissionDenied => format!("not allowed to connect to {self}"),
            _ => format!("cannot connect to {self}"),
        };
        Error::local(code_of(&error, Code::Disconnected), text).with_source(error)
    }

    /// Why this address could not be listened at.
    #[cfg(feature = "io")]
    pub(super) fn bind_error(&self, error: io::Error) -> Error {
        let text = match error.kind() {
            io::ErrorKind::AddrInUse => format!("another process is listening at {self}"),
            io::ErrorKind::PermissionDenied => format!("not allowed to listen at {self}"),
            _ => format!("cannot listen at {self}"),
        };
        Error::local(code_of(&error, Code::Failed), text).with_source(error)
    }
}

/// An address that the system does not take is wrong, and stays so.
fn code_of(error: &io::Error, otherwise: Code) -> Code {
    use io::ErrorKind::{InvalidFilename, InvalidInput, Unsupported};

    match error.kind() {
        InvalidInput | InvalidFilename | Unsupported => Code::Invalid,
        _ => otherwise,
    }
}

fn parse_path(path: &str) -> Result<Address> {
    if path.is_empty() {
        return Err(wrong("the address \"unix:\" names no file".to_owned()));
    }
    if path.contains('\0') {
        return Err(wrong(format!("the path {path:?} contains a zero byte")));
    }
    Ok(Address::Unix(path.into()))
}

/// Refuses an IPv6 address whose end may have been meant as a port.
fn check_port_is_none(text: &str) -> Result<()> {
    match text.rsplit_once(':') {
        Some((host, port)) if is_ipv6(host) && parse_port(port).is_ok() => {
            Err(wrong(format!("{text:?} may end in a port; write [{host}]:{port} or [{text}]")))
        }
        _ => Ok(()),
    }
}

/// `rest` is what follows the opening bracket of `text`.
fn parse_bracketed(rest: &str, text: &str) -> Result<Address> {
    let Some((host, after)) = rest.split_once(']') else {
        return Err(wrong(format!("the address {text:?} lacks a closing bracket")));
    };
    if !is_ipv6(host) {
        return Err(wrong(format!("{host:?} in brackets is not an IPv6 address")));
    }
    let port = match after.strip_prefix(':') {
        Some(port) => parse_port(port)?,
        None if after.is_empty() => DEFAULT_PORT,
        None => return Err(wrong(format!("{after:?} after the bracket is not a port"))),
    };
    Ok(Address::Tcp { host: host.to_owned(), port })
}

fn parse_host_and_port(text: &str) -> Result<Address> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if text.contains('/') {
        let text = format!("{text:?} is not host:port; a Unix socket is written unix:/path");
        return Err(wrong(text));
    }
    if port.is_some_and(|port| port.contains(':')) {
        return Err(wrong(too_many_colons(text)));
    }
    if host.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err(wrong(format!("the host {host:?} contains a space or a control character")));
    }
    let port = port.map_or(Ok(DEFAULT_PORT), parse_port)?;
    let host = if host.is_empty() { HOST } else { host };
    Ok(Address::Tcp { host: host.to_owned(), port })
}

fn too_many_colons(text: &str) -> String {
    let meant = match text.rsplit_once(':') {
        Some((host, port)) if is_ipv6(host) => format!("[{host}]:{port}"),
        _ => format!("[::1]:{DEFAULT_PORT}"),
    };
    format!("{text:?} has too many colons; an IPv6 address is written in brackets, {meant}")
}

fn parse_port(text: &str) -> Result<u16> {
    // `u16::from_str` alone would take a plus sign.
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_decimal { text.parse().ok() } else { None };
    port.ok_or_else(|| wrong(format!("the port {text:?} is not a number from 0 to 65535")))
}

/// Whether this is an IPv6 address, perhaps with a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').map_or((text, None), |(a, zone)| (a, Some(zone)));
    let is_zone = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    };
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

pub(super) fn wrong(text: String) -> Error {
    Error::local(Code::Invalid, text)
}

/// Loopback in digits: a name would have to be resolved, and might be to something else.
const HOST: &str = "127.0.0.1";
