//! What an HTTP request says of a call: its command, its payload, and what stands beside it.
//!
//! It reads; it calls nobody. Everything in here was written by a peer: each part is bounded by the
//! head of the request, by a limit of the endpoint, or by what the library takes.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use percent_encoding::percent_decode_str;
use switchboard::service::{Draining, Held, Request};
use switchboard::transport::{Peer, PeerAddress};
use switchboard::{Code, Metadata, Traceparent};

use super::origins::{invalid, one};
use crate::body::{BodyTooSlow, BoxError};
use crate::refusal::Refusal;

/// Which headers mean something to calls, and whom to believe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) metadata: Vec<HeaderName>,
    pub(crate) proxies: Vec<IpAddr>,
}

/// What stands beside a call.
pub(crate) struct Beside {
    peer: Peer,
    deadline: Option<Instant>,
    metadata: Metadata,
    trace: Option<Traceparent>,
    // Of the server, if it is one of ours.
    draining: Option<Draining>,
}

/// What stands in the query of a target.
#[derive(Default)]
pub(crate) struct Query {
    pub(crate) request: Option<Bytes>,
    timeout: Option<Duration>,
}

impl Reading {
    /// What these headers say of a call.
    pub(crate) fn beside(&self, parts: &Parts, query: &Query) -> Result<Beside, Refusal> {
        let said = match one(&parts.headers, &TIMEOUT)? {
            Some(value) => Some(seconds(value.to_str().unwrap_or_default())?),
            None => None,
        };
        let timeout = query.timeout.or(said);
        let deadline = timeout.and_then(|time| now().checked_add(time));
        let mut metadata = Metadata::default();
        for name in &self.metadata {
            let Some(value) = one(&parts.headers, name)? else { continue };
            let text = std::str::from_utf8(value.as_bytes());
            let text = text.map_err(|_| invalid(format!("the header {name} is no text")))?;
            metadata = metadata.with(name.as_str(), text)?;
        }
        // One that is no traceparent, or one of several, is not passed on, and does no harm.
        let mut traces = parts.headers.get_all("traceparent").iter();
        let trace = match (traces.next(), traces.next()) {
            (Some(trace), None) => Traceparent::parse(trace.as_bytes()),
            _ => None,
        };
        let draining = parts.extensions.get::<Draining>().cloned();
        Ok(Beside { peer: self.peer(parts), deadline, metadata, trace, draining })
    }

    /// Puts what a handler has set beside its answer into the headers of the response: those that
    /// are listed, and can be a header.
    pub(crate) fn tell(&self, metadata: &Metadata, headers: &mut HeaderMap) {
        for name in self.metadata.iter().filter(|_| !metadata.is_empty()) {
            let value = metadata.get(name.as_str());
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// Who asks: the other end of the connection, or whom a proxy names that is believed.
    pub(crate) fn peer(&self, parts: &Parts) -> Peer {
        let Some(peer) = parts.extensions.get::<Peer>() else { return Peer::unknown() };
        let PeerAddress::Tcp(address) = peer.address() else { return peer.clone() };
        if !self.is_trusted(address.ip()) {
            return peer.clone();
        }
        // The last whom no trusted proxy has named is the one who asks.
        let values = parts.headers.get_all(FORWARDED_FOR).iter();
        let named: Vec<_> = values
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(|text| text.trim().parse::<IpAddr>().ok())
            .collect();
        for ip in named.into_iter().rev() {
            match ip {
                Some(ip) if self.is_trusted(ip) => {}
                Some(ip) => return Peer::tcp(SocketAddr::new(ip, 0)),
                None => break,
            }
        }
        peer.clone()
    }

    fn is_trusted(&self, ip: IpAddr) -> bool {
        self.proxies.contains(&ip.to_canonical())
    }
}

impl Beside {
    /// A call of this command, in JSON.
    pub(crate) fn request(self, command: &str, payload: Bytes) -> Result<Request, Refusal> {
        let mut request = Request::new(command, payload)?.with_format("json")?.with_peer(self.peer);
        if let Some(trace) = &self.trace {
            request = request.with_trace(trace);
        }
        if let Some(draining) = &self.draining {
            request = request.with_draining(draining);
        }
        if !self.metadata.is_empty() {
            request = request.with_metadata(&self.metadata);
        }
        Ok(match self.deadline {
            Some(deadline) => request.with_deadline(deadline),
            None => request,
        })
    }
}

impl Query {
    /// What the query of this target says.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value: Cow<'_, [u8]> = percent_decode_str(&value).into();
            let is_first = match key {
                "request" => query.request.replace(value.into_owned().into()).is_none(),
                "timeout" => {
                    let text = std::str::from_utf8(&value).unwrap_or_default();
                    query.timeout.replace(seconds(text)?).is_none()
                }
                _ => return Err(invalid("the query may say request and timeout")),
            };
            if !is_first {
                return Err(invalid("the query says the same twice"));
            }
        }
        Ok(query)
    }
}

/// The command that a path names behind its prefix. Whether there is one is not looked into.
pub(crate) fn command_name(path: &str) -> Option<String> {
    if path.is_empty() || path.contains('/') {
        return None;
    }
    let name = percent_decode_str(path).decode_utf8().ok()?;
    (name.len() <= NAME_BYTES_MAX).then(|| name.into_owned())
}

/// Whether the body is said to be of this type, whatever its parameters, and not compressed.
pub(crate) fn check_content(headers: &HeaderMap, wanted: &[&str]) -> Result<(), Refusal> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !is_plain(value)) {
        return Err(unsupported("the body is compressed".to_owned()));
    }
    let said = one(headers, &header::CONTENT_TYPE)?;
    let said = said.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim();
    if wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind)) {
        return Ok(());
    }
    Err(unsupported(format!("the content type is not {}", wanted.join(" or "))))
}

/// Whether a response of this type is asked for by name.
pub(crate) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut kinds = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    kinds.any(|said| {
        said.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
    })
}

/// A limit on bytes, by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BytesMax {
    name: &'static str,
    pub(crate) bytes: usize,
}

impl BytesMax {
    pub(crate) const fn new(name: &'static str, bytes: usize) -> Self {
        Self { name, bytes }
    }
}

/// A body that was read, and what it holds of the endpoint's memory.
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Option<Held>,
}

impl ReadBody {
    /// What stood somewhere else.
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self { bytes, held: None }
    }
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read_body<B>(
    body: B,
    bytes_max: BytesMax,
    mut held: Held,
) -> Result<ReadBody, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let is_over = |len: u64| usize::try_from(len).map_or(true, |len| len > bytes_max.bytes);
    if is_over(body.size_hint().lower()) {
        return Err(too_large(bytes_max));
    }
    let mut body = std::pin::pin!(body);
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&*error.into(), bytes_max))?;
        let Ok(data) = frame.into_data() else { continue };
        let len = first.len().saturating_add(rest.len()).saturating_add(data.len());
        if len > bytes_max.bytes {
            return Err(too_large(bytes_max));
        }
        if len > FREE_BYTES {
            held.cover(len.max(rest.capacity()))?;
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        rest.extend_from_slice(&std::mem::take(&mut first));
        rest.extend_from_slice(&data);
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(ReadBody { bytes, held: Some(held) })
}

/// What is wrong with a body, by whoever found it.
pub(crate) fn broken(error: &(dyn StdError + 'static), bytes_max: BytesMax) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(slow) = error.downcast_ref::<BodyTooSlow>() {
            let (status, code) = (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded);
            return Refusal::new(status, code, slow.to_string());
        }
        if error.is::<LengthLimitError>() {
            return too_large(bytes_max);
        }
        cause = error.source();
    }
    Refusal::new(StatusCode::BAD_REQUEST, Code::BadPayload, "the body is broken, or ends too early")
}

pub(crate) fn too_large(BytesMax { name, bytes }: BytesMax) -> Refusal {
    let text = format!("the body has more bytes than {name} ({bytes})");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, text)
}

fn unsupported(text: String) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedFormat, text)
}

/// What the endpoint's clock says: that of tokio.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Seconds, also parts of one.
fn seconds(text: &str) -> Result<Duration, Refusal> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| is_plain);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| invalid("a timeout is a number of seconds, such as 0.5"))
}

/// The header that says for how long an answer is waited for.
const TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Bytes that each request and each reply has free, as a connection of lines has them: they are
/// not counted against `held_bytes_max`.
pub(crate) const FREE_BYTES: usize = 4096;

/// As many as a command may have.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        let check = |path: &str, name: Option<&str>| {
            assert_eq!(command_name(path).as_deref(), name, "{path}");
        };
        check("ADD", Some("ADD"));
        check("jobs.ADD", Some("jobs.ADD"));
        check("%41DD", Some("ADD"));
        // The endpoint has no command of such a name, and says so.
        check("a%2Fb", Some("a/b"));
        check("a%0Ab", Some("a\nb"));
        check("a%00", Some("a\0"));
        check("..", Some(".."));
        check("%C3%A4", Some("ä"));
        check("", None);
        check("a/b", None);
        check("a/", None);
        check("%FF", None);
        check(&"a".repeat(65), None);
    }

    #[test]
    fn a_timeout_is_in_seconds() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(seconds(text).ok(), millis.map(Duration::from_millis), "{text}");
        };
        check("1", Some(1000));
        check("0.25", Some(250));
        for bad in ["", "-1", "1s", "NaN", "inf", "1e3", ".", "1.2.3", &"9".repeat(400)] {
            check(bad, None);
        }
    }

    #[test]
    fn a_proxy_is_believed_if_it_is_named() {
        let reading = Reading { proxies: vec![[10, 0, 0, 1].into()], ..Reading::default() };
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            let mut request = http::Request::builder();
            for value in forwarded {
                request = request.header(FORWARDED_FOR, *value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            parts.extensions.insert(Peer::tcp(peer.parse().unwrap()));
            assert_eq!(reading.peer(&parts).to_string(), expected, "{peer} {forwarded:?}");
        };
        check("1.2.3.4:5", &["6.6.6.6"], "1.2.3.4:5");
        check("10.0.0.1:5", &[], "10.0.0.1:5");
        check("10.0.0.1:5", &["6.6.6.6"], "6.6.6.6:0");
        check("10.0.0.1:5", &["7.7.7.7, 6.6.6.6"], "6.6.6.6:0");
        check("10.0.0.1:5", &["7.7.7.7", "6.6.6.6, 10.0.0.1"], "6.6.6.6:0");
        check("10.0.0.1:5", &["6.6.6.6, nonsense"], "10.0.0.1:5");
        check("[::ffff:10.0.0.1]:5", &["6.6.6.6"], "6.6.6.6:0");
    }
}
