//! What the HTTP routes answer: one envelope, `{"data": .., "status": 200}` or `{"error": "..",
//! "status": 404}`, and the status line says the same.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use switchboard::{Client, Code, Error};

use crate::commands::LIST_TODOS;
use crate::todo::{Page, Todo, TodosAfter};

#[derive(Serialize)]
struct Data<'a, T> {
    data: &'a T,
    status: u16,
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    status: u16,
}

/// A request that was not done, and why.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    text: String,
}

/// Why a request failed inside: beside its response, for the log, and never in it.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

/// The envelope of what was asked for.
pub(crate) fn data<T: Serialize>(status: StatusCode, data: &T) -> Response {
    (status, Json(Data { data, status: status.as_u16() })).into_response()
}

/// The envelope of all to-dos, of which this is the first page. The others are fetched while the
/// response is written, so a list takes no more memory than a page.
pub(crate) fn list(client: Client, first: Page) -> Response {
    if first.next.is_none() {
        return data(StatusCode::OK, &first.todos);
    }
    let pages = stream::try_unfold(Some(first), move |page| next_page(client.clone(), page));
    // What is said already cannot be taken back: a failure cuts the response off.
    let head = stream::once(async { Ok(Bytes::from_static(b"{\"data\":[")) });
    let tail = stream::once(async { Ok(Bytes::from_static(b"],\"status\":200}")) });
    let body = Body::from_stream(head.chain(pages).chain(tail));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The to-dos of a page as they stand in the list, and the page behind it.
async fn next_page(
    client: Client,
    page: Option<Page>,
) -> Result<Option<(Bytes, Option<Page>)>, Error> {
    let Some(Page { todos, next }) = page else { return Ok(None) };
    let rest = match next {
        Some(after) => Some(client.call(LIST_TODOS, &TodosAfter { after: Some(after) }).await?),
        None => None,
    };
    // The last page that there may be has nothing on it, if the list ends with a page.
    let rest = rest.filter(|rest| !rest.todos.is_empty());
    Ok(Some((in_list(&todos, rest.is_some())?, rest)))
}

fn in_list(todos: &[Todo], has_more: bool) -> Result<Bytes, Error> {
    let mut text = serde_json::to_vec(todos).map_err(Error::internal)?;
    // Without the brackets: they are round all pages.
    text.pop();
    if has_more {
        text.push(b',');
    }
    Ok(Bytes::from(text).slice(1..))
}

impl Failure {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::Invalid | Code::BadPayload => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Overloaded | Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => Self::new(status, error.to_string()),
            _ => Self::new(status, error.text()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, text } = self;
        let is_inside = status == StatusCode::INTERNAL_SERVER_ERROR;
        let error = if is_inside { "the service failed" } else { text.as_str() };
        let problem = Json(Problem { error, status: status.as_u16() });
        let mut response = (status, problem).into_response();
        if is_inside {
            response.extensions_mut().insert(Cause(text));
        }
        response
    }
}
