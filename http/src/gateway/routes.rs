//! The routes of a gateway: which request does what.
//!
//! Each route looks at everything that stands in the head before it reads a byte of a body, so that
//! what is refused costs little.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use switchboard::service::{Channel, Door, Draining, Pipe, Reply, Service};
use switchboard::{Code, CommandInfo, Endpoint, Facts, Limits};

use super::asked::{
    Beside, BytesMax, FREE_BYTES, Query, ReadBody, Reading, accepts, check_content, command_name,
    read_body, too_large,
};
use super::items::{Exchange, Items, Style, Upload};
use super::node::{self, Cluster, Node, QueryAnswer};
use super::origins::{Origins, invalid, one};
use super::response::{Access, GatewayBody, known_method};
use crate::body::{BodyRules, BoxError};
use crate::ids::{REQUEST_ID, request_id};
use crate::refusal::Refusal;

/// What clones of a gateway share, and what answers its requests.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) endpoint: Endpoint,
    pub(super) door: Door,
    pub(super) reading: Reading,
    pub(super) origins: Origins,
    pub(super) node: Node,
    pub(super) cluster: Option<Arc<dyn Fn() -> Cluster + Send + Sync>>,
}

/// What a request comes to, without the headers that all responses have.
enum Outcome {
    Whole(Response<Bytes>),
    Items(Response<Box<Items>>),
}

/// What the head of a request says of a streamed call.
struct StreamedCall<'r> {
    command: Arc<CommandInfo>,
    query: Query,
    beside: Beside,
    request_id: &'r HeaderValue,
}

impl Routes {
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response<GatewayBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let request_id = request_id(&parts.headers);
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
            let mut response = refusal.response(request_id.to_str().unwrap_or_default());
            if let Some(metadata) = refusal.metadata() {
                self.reading.tell(metadata, response.headers_mut());
            }
            Outcome::Whole(response)
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
        self.origins.tell(reader, headers);
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
            return Ok(Outcome::Whole(preflight(allow, &self.reading.metadata)));
        }
        if is_get != (allow != "POST") || !is_get && method != Method::POST {
            return Err(Refusal::method_not_allowed(allow));
        }
        match (path, call, events) {
            ("/", ..) => Ok(Outcome::Whole(self.overview(parts)?)),
            ("/health", ..) => Ok(Outcome::Whole(self.health(parts))),
            (_, Some(name), _) => {
                let command = self.find(name, access)?;
                self.call(parts, body, command, &access.request_id).await
            }
            // In boxes, so that a plain call need not carry room for them about.
            (_, _, Some(name)) => {
                let command = self.find(name, access)?;
                Box::pin(self.events(parts, command, &access.request_id)).await
            }
            _ => Box::pin(self.query(parts, body, access)).await.map(Outcome::Whole),
        }
    }

    /// The command that a path names, if it can be called in JSON.
    fn find(&self, path: &str, access: &mut Access) -> Result<Arc<CommandInfo>, Refusal> {
        let name = command_name(path);
        self.command(name.as_deref().unwrap_or_default(), access)
    }

    fn command(&self, name: &str, access: &mut Access) -> Result<Arc<CommandInfo>, Refusal> {
        let command = self.endpoint.command(name).ok_or_else(|| {
            let text = "there is no command of this name";
            Refusal::new(StatusCode::NOT_FOUND, Code::UnknownCommand, text)
        })?;
        access.command = Some(Arc::clone(&command));
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
        command: Arc<CommandInfo>,
        request_id: &HeaderValue,
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
            let bytes_max = self.bytes_max(parts, facts);
            let read = read_body(body, bytes_max, self.door.held()).await?;
            let request = beside.request(&command.name, or_null(read.bytes))?;
            let answer = self.door.call(request);
            // From here on the call itself is charged for it.
            drop(read.held);
            let reply = answer.await?;
            return Ok(Outcome::Whole(self.replied(reply)));
        }
        let call = StreamedCall { command, query, beside, request_id };
        Box::pin(self.call_streamed(parts, body, call)).await
    }

    async fn call_streamed<B>(
        &self,
        parts: &Parts,
        body: B,
        call: StreamedCall<'_>,
    ) -> Result<Outcome, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let StreamedCall { command, query, beside, request_id } = call;
        let facts = command.facts;
        let Some(last) = last_position(&parts.headers)? else { return Ok(no_more()) };
        let (read, upload) = if facts.has_request_items() {
            let body = Box::pin(body.map_err(Into::into));
            if let Some(rules) = parts.extensions.get::<BodyRules>() {
                rules.goes_on();
            }
            let line_max = BytesMax::new("item_bytes_max", self.limits().item_bytes_max);
            let read = ReadBody::of(query.request.unwrap_or_default());
            (read, Some(Upload::new(body, line_max)))
        } else {
            let bytes_max = self.bytes_max(parts, facts);
            (read_body(body, bytes_max, self.door.held()).await?, None)
        };
        let ReadBody { bytes: payload, held } = read;
        let mut request = beside.request(&command.name, or_null(payload))?;
        if let Some(position) = last {
            request = request.resume_at(position);
        }
        let pipe = Pipe::of(&mut request);
        let mut exchange = Exchange::new(self.door.call(request), pipe, upload);
        drop(held);
        if !facts.has_reply_items() {
            return Ok(Outcome::Whole(self.replied(exchange.reply().await?)));
        }
        exchange.open().await?;
        let is_events = accepts(&parts.headers, Style::Events.content_type());
        let style = if is_events { Style::Events } else { Style::Lines };
        Ok(Outcome::Items(self.streamed(exchange, style, request_id)))
    }

    /// The items of a command that changes nothing, for whoever can only ask by GET.
    async fn events(
        &self,
        parts: &Parts,
        command: Arc<CommandInfo>,
        request_id: &HeaderValue,
    ) -> Result<Outcome, Refusal> {
        let facts = command.facts;
        if !facts.is_read_only() {
            let text = "this command is not read-only: call it by POST /call/NAME";
            return Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, text));
        }
        if !facts.has_reply_items() || facts.has_request_items() {
            return Err(invalid("this command gives no events: call it by POST /call/NAME"));
        }
        let Some(last) = last_position(&parts.headers)? else { return Ok(no_more()) };
        let query = Query::of(&parts.uri)?;
        let beside = self.reading.beside(parts, &query)?;
        self.check_open(parts)?;
        if parts.method == Method::HEAD {
            let mut response = Response::new(Bytes::new());
            set_type(response.headers_mut(), Style::Events.content_type());
            return Ok(Outcome::Whole(response));
        }
        let (payload, bytes_max) = (query.request.unwrap_or_default(), self.payload_max(facts));
        if payload.len() > bytes_max.bytes {
            return Err(too_large(bytes_max));
        }
        let mut request = beside.request(&command.name, or_null(payload))?;
        if let Some(position) = last {
            request = request.resume_at(position);
        }
        let pipe = Pipe::of(&mut request);
        let mut exchange = Exchange::new(self.door.call(request), pipe, None);
        exchange.open().await?;
        Ok(Outcome::Items(self.streamed(exchange, Style::Events, request_id)))
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
        let bytes_max = self.bytes_max(parts, Facts::default());
        let read = read_body(body, bytes_max, self.door.held()).await?;
        let query = serde_json::from_slice::<node::Query<'_>>(&read.bytes);
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
        let answer = self.door.call(beside.request(&command.name, payload)?);
        drop(read);
        let reply = answer.await?;
        let mut response = answered(&reply, &self.node.member.id)?;
        self.reading.tell(&reply.metadata(), response.headers_mut());
        Ok(response)
    }

    /// A response of items.
    fn streamed(
        &self,
        exchange: Exchange,
        style: Style,
        request_id: &HeaderValue,
    ) -> Response<Box<Items>> {
        let id = request_id.to_str().unwrap_or_default().to_owned();
        let items = Items::new(exchange, style, id, self.door.clone());
        let mut response = Response::new(Box::new(items));
        set_type(response.headers_mut(), style.content_type());
        response
    }

    fn replied(&self, reply: Reply) -> Response<Bytes> {
        let metadata = reply.metadata();
        let mut response = json(until_written(reply));
        self.reading.tell(&metadata, response.headers_mut());
        response
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

    /// Bytes of a request of a command with these facts.
    fn payload_max(&self, facts: Facts) -> BytesMax {
        let bytes = facts.payload_bytes_max();
        BytesMax::new("payload_bytes_max", bytes.unwrap_or_else(|| self.limits().payload_bytes_max))
    }

    /// The same in a body, of which the server may take less.
    fn bytes_max(&self, parts: &Parts, facts: Facts) -> BytesMax {
        let of_command = self.payload_max(facts);
        match parts.extensions.get::<BodyRules>() {
            Some(rules) if rules.bytes_max < of_command.bytes => {
                BytesMax::new("body_bytes_max", rules.bytes_max)
            }
            _ => of_command,
        }
    }

    /// Whether calls are taken.
    fn is_open(&self, parts: &Parts) -> bool {
        let is_draining = parts.extensions.get::<Draining>().is_some_and(Draining::is_draining);
        !is_draining && !self.door.is_closed()
    }

    fn check_open(&self, parts: &Parts) -> Result<(), Refusal> {
        if self.is_open(parts) { Ok(()) } else { Err(Refusal::draining()) }
    }

    fn limits(&self) -> &Limits {
        Channel::limits(&self.door)
    }
}

/// What a browser asks before it sends for a page of another origin.
fn preflight(allow: &'static str, metadata: &[HeaderName]) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
    let wanted = metadata.iter().map(HeaderName::as_str).chain(HEADERS_TAKEN);
    let wanted = HeaderValue::try_from(wanted.collect::<Vec<_>>().join(", "));
    if let Ok(wanted) = wanted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
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

/// The payload of a reply, which is counted among what the endpoint holds until it is written.
fn until_written(reply: Reply) -> Bytes {
    struct Kept(Reply);
    impl AsRef<[u8]> for Kept {
        fn as_ref(&self) -> &[u8] {
            self.0.payload()
        }
    }
    if reply.payload().len() <= FREE_BYTES {
        return reply.into_payload();
    }
    Bytes::from_owner(Kept(reply))
}

fn set_type(headers: &mut HeaderMap, kind: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
}

/// Nothing stands for the request of a command that wants none.
fn or_null(payload: Bytes) -> Bytes {
    if payload.is_empty() { Bytes::from_static(b"null") } else { payload }
}

/// Where to go on behind the last event, if there was one; `None` if that was the end of all.
fn last_position(headers: &HeaderMap) -> Result<Option<Option<u64>>, Refusal> {
    let Some(id) = one(headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty()) else {
        return Ok(Some(None));
    };
    if id.as_bytes() == b"end" {
        return Ok(None);
    }
    let position = id.to_str().ok().and_then(|id| id.parse::<u64>().ok());
    let next = position.and_then(|position| position.checked_add(1));
    let next = next.ok_or_else(|| invalid("the last event has no id of this stream"))?;
    Ok(Some(Some(next)))
}

/// There is nothing behind the end, and nothing to come back for.
fn no_more() -> Outcome {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Outcome::Whole(response)
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

/// The command that a text without a name goes to.
const QUERY: &str = "QUERY";

/// The headers that a page of another origin may send, beside those of metadata.
const HEADERS_TAKEN: [&str; 5] =
    ["content-type", "last-event-id", "request-timeout", "traceparent", "x-request-id"];

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What the items of a request may be said to be.
const LINES: [&str; 2] = ["application/x-ndjson", "application/json"];
