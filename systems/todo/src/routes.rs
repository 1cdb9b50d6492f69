//! The HTTP routes: each turns a request into the call of a command, and its reply into a response.
//!
//! ```text
//!   identify ─┬─► /api/todos: the body, bounded ─► a command, in process ─► the envelope
//!             └─► /call/NAME, /query: the gateway
//! ```
//!
//! No route touches the store. What HTTP adds is in here: methods, statuses, the limit on bodies,
//! a request id on every response, and a line in the log for each failure inside.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use switchboard::{Client, Endpoint};
use switchboard_http::{BodyTooSlow, Gateway, Guarded};

use crate::commands::{CREATE_TODO, DELETE_TODO, GET_TODO, LIST_TODOS, UPDATE_TODO};
use crate::reply::{Cause, Failure, data, list};
use crate::todo::{Change, NewTodo, TodoChange, TodoId, TodosAfter};

/// Bytes of the body of a request.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The routes, which call commands of this endpoint. The gateway answers under its own paths, in
/// its own words; everywhere else the envelope is kept.
///
/// A web page of elsewhere is refused at all of them, as is a host that is no IP address, not
/// `localhost` and not one of `hosts`.
pub fn router(endpoint: &Endpoint, hosts: &[String]) -> Guarded<Router> {
    let gateway = Gateway::new(endpoint).with_hosts(hosts);
    // `endpoint.client()` would do the same with two tasks between us and the handler, which may
    // then run in another runtime. This client calls it from here: see the figures in the README.
    let client = Client::over(endpoint.door());
    let routes = Router::new()
        .route("/api/todos", get(list_todos).post(create))
        .route("/api/todos/{id}", get(find).put(update).delete(delete))
        .route_service("/call/{name}", gateway.clone())
        .route_service("/query", gateway.clone())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_route)
        .layer(middleware::from_fn_with_state(Arc::new(RequestIds::new()), identify))
        .with_state(client);
    gateway.guarding(routes)
}

async fn list_todos(State(client): State<Client>) -> Result<Response, Failure> {
    let first = client.call(LIST_TODOS, &TodosAfter::default()).await?;
    Ok(list(client, first))
}

async fn create(State(client): State<Client>, body: Body) -> Result<Response, Failure> {
    let new: NewTodo = json(body).await?;
    Ok(data(StatusCode::CREATED, &client.call(CREATE_TODO, &new).await?))
}

async fn find(State(client): State<Client>, id: Id) -> Result<Response, Failure> {
    Ok(data(StatusCode::OK, &client.call(GET_TODO, &id_of(id)?).await?))
}

async fn update(State(client): State<Client>, id: Id, body: Body) -> Result<Response, Failure> {
    let TodoId { id } = id_of(id)?;
    let Change { title, completed } = json(body).await?;
    let change = TodoChange { id, title, completed };
    Ok(data(StatusCode::OK, &client.call(UPDATE_TODO, &change).await?))
}

async fn delete(State(client): State<Client>, id: Id) -> Result<Response, Failure> {
    client.call(DELETE_TODO, &id_of(id)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn wrong_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here")
}

async fn unknown_route() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing here")
}

type Id = Result<Path<String>, PathRejection>;

/// An id that is no text is one that no to-do has.
fn id_of(id: Id) -> Result<TodoId, Failure> {
    match id {
        Ok(Path(id)) => Ok(TodoId { id }),
        Err(_) => Err(Failure::new(StatusCode::NOT_FOUND, "there is no such to-do")),
    }
}

/// The body of a request as a value. Its `Content-Type` is not looked at: only JSON can be meant.
async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    let bytes = bytes(body).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("bad JSON: {error}")))
}

async fn bytes(body: Body) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "the body has over 1 MiB");
    // One that says that it will be too large is not read at all.
    if HttpBody::size_hint(&body).lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let causes = || std::iter::successors(error.source(), |error| (*error).source());
        if causes().any(|cause| cause.is::<LengthLimitError>()) {
            too_large()
        } else if causes().any(|cause| cause.is::<BodyTooSlow>()) {
            Failure::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
        } else {
            Failure::new(StatusCode::BAD_REQUEST, "the body did not come whole")
        }
    })
}

/// Gives each response its request id, and logs what failed inside.
async fn identify(
    State(ids): State<Arc<RequestIds>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = ids.id_of(request.headers());
    // The gateway says the same one in the errors that it tells.
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        let text = "a route panicked";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    });
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        let cause = response.extensions().get::<Cause>().map_or("", |Cause(text)| text);
        tracing::error!(%method, path, request_id = ?id, cause, "a request failed");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Counts requests, behind a word that another process does not have.
struct RequestIds {
    word: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self { word: RandomState::new().hash_one(()), count: AtomicU64::new(0) }
    }

    /// The caller's own, if it has one that is short, so that its log and ours agree.
    fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        let is_fit =
            |id: &&HeaderValue| (1..=ID_BYTES_MAX).contains(&id.len()) && id.to_str().is_ok();
        if let Some(id) = headers.get(REQUEST_ID).filter(is_fit) {
            return id.clone();
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}-{count}", self.word);
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }
}

const REQUEST_ID: &str = "x-request-id";

/// Bytes of a request id of a caller's.
const ID_BYTES_MAX: usize = 128;
