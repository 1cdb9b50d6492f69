//! A door for HTTP: requests become calls of an endpoint, and replies become responses.
//!
//! ```text
//!   a request ─► origins: may a page send it? ─► route ─┬─ POST /call/NAME ──┐
//!                                                       ├─ GET /events/NAME ─┼─► asked ─► a Door
//!                                                       ├─ POST /query ──────┘
//!                                                       └─ GET /, /health: node
//! ```
//!
//! It knows no connection: that is `server`'s, or whoever else serves it. What it takes of one is in
//! the extensions of a request: the peer, and whether the server drains. Limits on calls, their
//! memory and their time are the endpoint's.
//!
//! One HTTP/1 connection has one request at a time, so the limit of calls on one connection holds by
//! itself. A [`Door`] stands for one connection and bounds its calls by that limit; so there are as
//! many doors as it takes for all calls that the endpoint may have, used in turn.

mod asked;
mod ids;
mod items;
mod node;
mod origins;
mod refusal;
mod response;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use switchboard::service::{Channel, Door, Pipe, Reply, Service};
use switchboard::{Code, CommandInfo, Endpoint, Limits};

use self::asked::{Query, Reading, accepts, check_content, command_name, read_body, too_large};
use self::ids::{REQUEST_ID, made, request_id};
use self::items::{Exchange, Items, Style, Upload};
pub use self::node::{Cluster, Member};
use self::node::{Node, QueryAnswer};
use self::origins::{Origins, invalid};
use self::refusal::Refusal;
pub use self::response::GatewayBody;
use self::response::{Access, known_method};
use crate::body::BoxError;
use crate::server::Draining;

/// The commands of an endpoint over HTTP and JSON: a `tower_service::Service`, to be given to
/// [`serve_http`](crate::serve_http) or nested in an axum `Router`. Clones are the same gateway.
///
/// | request | does |
/// |---|---|
/// | `POST /call/NAME` | calls a command that speaks JSON; items are JSON lines, or events |
/// | `GET /events/NAME?request=JSON` | the items of a [read-only](switchboard::Command::read_only) command, for an `EventSource` |
/// | `POST /query` | `{"query": "text"}` calls `QUERY`, `{"query": "NAME", "params": ..}` another |
/// | `GET /`, `GET /health` | what the node is, and whether it takes calls |
///
/// ```
/// use switchboard::{Command, Endpoint, Error, format::Json, transport};
/// use switchboard_http::{Gateway, HttpLimits, serve_http};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let endpoint = Endpoint::new().on(ADD, async |(a, b)| Ok::<_, Error>(a + b));
/// let (listener, dialer) = transport::memory_listener();
/// let serving = serve_http(listener, Gateway::new(&endpoint), HttpLimits::default());
/// tokio::spawn(serving.admitted_by(&endpoint).into_future());
///
/// let mut stream = dialer.dial().await.unwrap();
/// let head = "POST /call/ADD HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
///             content-type: application/json\r\ncontent-length: 5\r\n\r\n";
/// stream.write_all(format!("{head}[1,2]").as_bytes()).await?;
/// let mut response = String::new();
/// stream.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
/// assert!(response.ends_with("\r\n\r\n3"), "{response}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    endpoint: Endpoint,
    first: Door,
    // All of them, the first one included.
    doors: Arc<[Door]>,
    next: Arc<AtomicUsize>,
    reading: Reading,
    origins: Origins,
    node: Node,
    cluster: Option<Arc<dyn Fn() -> Cluster + Send + Sync>>,
}

/// What a request comes to, without the headers that all responses have.
enum Outcome {
    Whole(Response<Bytes>),
    Items(Response<Items>),
}

impl Gateway {
    /// A gateway to the commands of this endpoint, also to those that are added later.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let first = endpoint.door();
        let limits = Channel::limits(&first);
        let doors = limits.calls_max.div_ceil(limits.calls_per_connection_max.max(1));
        let others = doors.clamp(1, DOORS_MAX).saturating_sub(1);
        let others = std::iter::repeat_with(|| endpoint.door()).take(others);
        let doors = std::iter::once(first.clone()).chain(others).collect();
        let member = Member::new(made(), None);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let node = Node { member, version, began: Instant::now() };
        let shared = Shared {
            endpoint: endpoint.clone(),
            first,
            doors,
            next: Arc::default(),
            reading: Reading::default(),
            origins: Origins::default(),
            node,
            cluster: None,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Also takes requests for these hosts: names, without a port. IP addresses and `localhost` are
    /// taken anyway, and over Unix sockets and in memory every host is.
    #[must_use]
    pub fn with_hosts<T: Into<String>>(self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.with(|shared| shared.origins.hosts.extend(hosts.into_iter().map(Into::into)))
    }

    /// Lets web pages of these origins (`https://app.example`) call, and read the answers.
    #[must_use]
    pub fn with_cors<T: Into<String>>(self, origins: impl IntoIterator<Item = T>) -> Self {
        self.with(|shared| shared.origins.cors.extend(origins.into_iter().map(Into::into)))
    }

    /// Passes these headers on to handlers, as [metadata](switchboard::Context::metadata) of the
    /// same names, in lower case.
    ///
    /// # Panics
    ///
    /// If one is no key of metadata, which has a `-` in it and no digit: a mistake in the program.
    #[must_use]
    #[track_caller]
    pub fn with_metadata_headers(self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| {
            let header = HeaderName::try_from(*name).ok();
            let is_key = |name: &HeaderName| {
                switchboard::Metadata::default().with(name.as_str(), "").is_ok()
            };
            let header = header.filter(is_key);
            header.unwrap_or_else(|| panic!("{name:?} is no key of metadata"))
        });
        let names: Vec<_> = names.collect();
        self.with(|shared| shared.reading.metadata.extend(names))
    }

    /// Believes these proxies what they say in `X-Forwarded-For` of whom they ask for. Whoever else
    /// says something there is not believed.
    #[must_use]
    pub fn trusting_proxies(self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let proxies = proxies.into_iter().map(|ip| ip.to_canonical());
        self.with(|shared| shared.reading.proxies.extend(proxies))
    }

    /// Says who this node is, in the place of a made-up id.
    #[must_use]
    pub fn with_node(self, member: Member, version: impl Into<String>) -> Self {
        self.with(|shared| {
            (shared.node.member, shared.node.version) = (member, version.into());
        })
    }

    /// Says who belongs to its cluster, each time that somebody asks. Otherwise it is alone.
    #[must_use]
    pub fn with_cluster(self, cluster: impl Fn() -> Cluster + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.cluster = Some(Arc::new(cluster)))
    }

    /// Takes no more calls; those under way may go on for the endpoint's `drain_time_max`. Calls
    /// that would not end by themselves end at once.
    pub fn close(&self) {
        self.shared.doors.iter().for_each(Door::close);
    }

    /// Waits until it was closed, no call is under way, and what their handlers have spawned is
    /// done.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn closed(&self) {
        for door in &*self.shared.doors {
            door.closed().await;
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<GatewayBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.answer(request).await) })
    }
}

impl Shared {
    async fn answer<B>(&self, request: Request<B>) -> Response<GatewayBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let request_id = request_id(&parts.headers);
        parts.headers.insert(REQUEST_ID, request_id.clone());
        let mut access = Access {
            began: Instant::now(),
            method: known_method(&parts.method),
            command: None,
            peer: self.reading.peer(&parts),
            request_id: request_id.clone(),
            status: 0,
            bytes: 0,
            is_whole: false,
        };
        let (outcome, reader) = match self.origins.check(&parts) {
            Ok(reader) => (self.route(&parts, body, &mut access).await, reader),
            Err(refusal) => (Err(refusal), None),
        };
        let outcome = outcome.unwrap_or_else(|refusal| {
            Outcome::Whole(refusal.response(request_id.to_str().unwrap_or_default()))
        });
        let mut response = match outcome {
            Outcome::Whole(response) => {
                access.status = response.status().as_u16();
                response.map(|bytes| GatewayBody::whole(bytes, access))
            }
            Outcome::Items(response) => {
                access.status = response.status().as_u16();
                response.map(|items| GatewayBody::items(items, access))
            }
        };
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request_id);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !self.origins.cors.is_empty() {
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(reader) = reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        }
        response
    }

    async fn route<B>(
        &self,
        parts: &Parts,
        body: B,
        access: &mut Access,
    ) -> Result<Outcome, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let path = parts.uri.path();
        let method = &parts.method;
        let is_get = method == Method::GET || method == Method::HEAD;
        let (call, events) = (path.strip_prefix("/call/"), path.strip_prefix("/events/"));
        let allow = match (path, call, events) {
            ("/" | "/health", ..) | (_, _, Some(_)) => "GET, HEAD",
            ("/query", ..) | (_, Some(_), _) => "POST",
            _ => return Err(not_found("nothing is served at this path")),
        };
        if method == Method::OPTIONS && parts.headers.contains_key(header::ORIGIN) {
            return Ok(Outcome::Whole(preflight(allow)));
        }
        if is_get != (allow != "POST") || !is_get && method != Method::POST {
            return Err(Refusal::method_not_allowed(allow));
        }
        match (path, call, events) {
            ("/", ..) => Ok(Outcome::Whole(self.overview(parts)?)),
            ("/health", ..) => Ok(Outcome::Whole(self.health(parts))),
            (_, _, Some(name)) => self.events(parts, self.find(name, access)?).await,
            (_, Some(name), _) => self.call(parts, body, self.find(name, access)?).await,
            _ => self.query(parts, body, access).await.map(Outcome::Whole),
        }
    }

    /// The command that a path names, if it can be called in JSON.
    fn find(&self, path: &str, access: &mut Access) -> Result<CommandInfo, Refusal> {
        let name = command_name(path);
        self.command(name.as_deref().unwrap_or_default(), access)
    }

    fn command(&self, name: &str, access: &mut Access) -> Result<CommandInfo, Refusal> {
        let command = self.endpoint.command(name).ok_or_else(|| {
            let text = "there is no command of this name";
            Refusal::new(StatusCode::NOT_FOUND, Code::UnknownCommand, text)
        })?;
        access.command = Some(command.name.clone());
        if command.is_raw {
            return Err(not_found("this command is raw: it is lent a connection of its own"));
        }
        if !command.formats.contains(&"json") {
            let text = "this command does not speak JSON";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal::new(status, Code::UnsupportedFormat, text));
        }
        Ok(command)
    }

    async fn call<B>(
        &self,
        parts: &Parts,
        body: B,
        command: CommandInfo,
    ) -> Result<Outcome, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let facts = command.facts;
        let has_lines = facts.has_request_items();
        check_content(&parts.headers, if has_lines { &LINES } else { &["application/json"] })?;
        let query = Query::of(&parts.uri)?;
        if query.request.is_some() && !has_lines {
            return Err(invalid("the request is the body, and not in the query"));
        }
        let beside = self.reading.beside(parts, &query)?;
        self.check_open(parts)?;
        if !facts.is_streamed() {
            let bytes_max = facts.payload_bytes_max().unwrap_or(self.limits().payload_bytes_max);
            let payload = or_null(read_body(body, bytes_max).await?);
            let request = beside.request(&command.name, payload)?;
            let reply = self.door().call(request).await?;
            return Ok(Outcome::Whole(json(reply.into_payload())));
        }
        let (payload, upload) = if has_lines {
            let body = Box::pin(body.map_err(Into::into));
            let line_bytes_max = self.limits().item_bytes_max;
            (query.request.unwrap_or_default(), Some(Upload::new(body, line_bytes_max)))
        } else {
            let bytes_max = facts.payload_bytes_max().unwrap_or(self.limits().payload_bytes_max);
            (read_body(body, bytes_max).await?, None)
        };
        let mut request = beside.request(&command.name, or_null(payload))?;
        let pipe = Pipe::of(&mut request);
        let mut exchange = Exchange::new(self.door().call(request), pipe, upload);
        if !facts.has_reply_items() {
            return Ok(Outcome::Whole(json(exchange.reply().await?.into_payload())));
        }
        exchange.open().await?;
        let is_events = accepts(&parts.headers, Style::Events.content_type());
        let style = if is_events { Style::Events } else { Style::Lines };
        Ok(Outcome::Items(streamed(parts, exchange, style, facts.is_endless())))
    }

    /// The items of a command that changes nothing, for whoever can only ask by GET.
    async fn events(&self, parts: &Parts, command: CommandInfo) -> Result<Outcome, Refusal> {
        let facts = command.facts;
        if !facts.is_read_only() {
            let text = "this command is not read-only: call it by POST /call/NAME";
            return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, text));
        }
        if !facts.has_reply_items() || facts.has_request_items() {
            return Err(invalid("this command gives no events: call it by POST /call/NAME"));
        }
        let last = match origins::one(&parts.headers, &LAST_EVENT_ID)? {
            Some(id) if id.as_bytes() == b"end" => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::NO_CONTENT;
                return Ok(Outcome::Whole(response));
            }
            Some(id) => Some(next_position(id)?),
            None => None,
        };
        let query = Query::of(&parts.uri)?;
        let beside = self.reading.beside(parts, &query)?;
        self.check_open(parts)?;
        if parts.method == Method::HEAD {
            let mut response = Response::new(Bytes::new());
            set_type(response.headers_mut(), Style::Events.content_type());
            return Ok(Outcome::Whole(response));
        }
        let payload = query.request.unwrap_or_default();
        if payload.len() > self.limits().payload_bytes_max {
            return Err(too_large(self.limits().payload_bytes_max));
        }
        let mut request = beside.request(&command.name, or_null(payload))?;
        if let Some(position) = last {
            request = request.resume_at(position);
        }
        let pipe = Pipe::of(&mut request);
        let mut exchange = Exchange::new(self.door().call(request), pipe, None);
        exchange.open().await?;
        Ok(Outcome::Items(streamed(parts, exchange, Style::Events, facts.is_endless())))
    }

    async fn query<B>(
        &self,
        parts: &Parts,
        body: B,
        access: &mut Access,
    ) -> Result<Response<Bytes>, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        check_content(&parts.headers, &["application/json"])?;
        let asked = Query::of(&parts.uri)?;
        let beside = self.reading.beside(parts, &asked)?;
        self.check_open(parts)?;
        let body = read_body(body, self.limits().payload_bytes_max).await?;
        let query = serde_json::from_slice::<node::Query<'_>>(&body);
        let query = query.map_err(|error| bad_query(&error))?;
        let (name, payload) = match query.params {
            Some(params) => (&*query.query, Bytes::copy_from_slice(params.get().as_bytes())),
            // A text is JSON, whatever is in it.
            None => (QUERY, serde_json::to_vec(&query.query).unwrap_or_default().into()),
        };
        let command = self.command(name, access)?;
        if command.facts.is_streamed() {
            return Err(invalid("this command is streamed: call it by POST /call/NAME"));
        }
        let reply = self.door().call(beside.request(&command.name, payload)?).await?;
        answered(&reply, &self.node.member.id)
    }

    fn overview(&self, parts: &Parts) -> Result<Response<Bytes>, Refusal> {
        let cluster = self.cluster.as_ref().map(|cluster| cluster());
        let health = if self.is_open(parts) { "ready" } else { "draining" };
        let overview = self.node.overview(cluster, health);
        if accepts(&parts.headers, "text/html") {
            let mut response = Response::new(overview.page().into());
            set_type(response.headers_mut(), "text/html; charset=utf-8");
            let policy = HeaderValue::from_static("default-src 'none'");
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            return Ok(response);
        }
        line_of(&overview)
    }

    fn health(&self, parts: &Parts) -> Response<Bytes> {
        let is_open = self.is_open(parts);
        let health = if is_open { "ready" } else { "draining" };
        let mut response = json(format!("{{\"health\":\"{health}\"}}\n").into());
        if !is_open {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// Whether calls are taken.
    fn is_open(&self, parts: &Parts) -> bool {
        let is_draining = parts.extensions.get::<Draining>().is_some_and(Draining::is_draining);
        !is_draining && !self.first.is_closed()
    }

    fn check_open(&self, parts: &Parts) -> Result<(), Refusal> {
        if self.is_open(parts) { Ok(()) } else { Err(Refusal::draining()) }
    }

    /// The next door in turn.
    fn door(&self) -> &Door {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let index = count.checked_rem(self.doors.len()).unwrap_or_default();
        self.doors.get(index).unwrap_or(&self.first)
    }

    fn limits(&self) -> &Limits {
        Channel::limits(&self.first)
    }
}

/// A response of items, which ends with the server if nothing else ends it.
fn streamed(parts: &Parts, exchange: Exchange, style: Style, is_endless: bool) -> Response<Items> {
    let draining = parts.extensions.get::<Draining>().filter(|_| is_endless).cloned();
    // Of the headers, where `answer` has put it.
    let id = parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default().to_owned();
    let mut response = Response::new(Items::new(exchange, style, id, draining));
    set_type(response.headers_mut(), style.content_type());
    response
}

/// What a browser asks before it sends for a page of another origin.
fn preflight(allow: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
    let wanted = HeaderValue::from_static("content-type, last-event-id, request-timeout");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    response
}

fn answered(reply: &Reply, node: &str) -> Result<Response<Bytes>, Refusal> {
    // What the format JSON has written.
    let answer = serde_json::from_slice(reply.payload()).map_err(|_| failed())?;
    line_of(&QueryAnswer { answer, node })
}

fn line_of(value: &impl serde::Serialize) -> Result<Response<Bytes>, Refusal> {
    let mut line = serde_json::to_vec(value).map_err(|_| failed())?;
    line.push(b'\n');
    Ok(json(line.into()))
}

fn json(body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    set_type(response.headers_mut(), "application/json");
    response
}

fn set_type(headers: &mut http::HeaderMap, kind: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
}

/// Nothing stands for the request of a command that wants none.
fn or_null(payload: Bytes) -> Bytes {
    if payload.is_empty() { Bytes::from_static(b"null") } else { payload }
}

/// Where to go on behind the event with this id.
fn next_position(id: &HeaderValue) -> Result<u64, Refusal> {
    let position = id.to_str().ok().and_then(|id| id.parse::<u64>().ok());
    let next = position.and_then(|position| position.checked_add(1));
    next.ok_or_else(|| invalid("the last event has no id of this stream"))
}

fn bad_query(error: &serde_json::Error) -> Refusal {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Data => "it is not {\"query\": text, \"params\": any}",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "syntax error",
    };
    let text = format!("bad json: {what} at line {line} column {column}");
    Refusal::new(StatusCode::BAD_REQUEST, Code::BadPayload, text)
}

fn not_found(text: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, Code::NotFound, text)
}

fn failed() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Failed, "the reply has no form in JSON")
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("node", &self.shared.node).finish_non_exhaustive()
    }
}

/// The command that a text without a name goes to.
const QUERY: &str = "QUERY";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What the items of a request may be said to be.
const LINES: [&str; 2] = ["application/x-ndjson", "application/json"];

/// Doors of one gateway, whatever the limits say.
const DOORS_MAX: usize = 1024;
