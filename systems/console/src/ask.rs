//! Asking: one line there, one answer back, over HTTP or the command protocol.
//!
//! Either way a connection is kept from line to line and made anew when it has ended. No line is
//! asked twice: whoever typed it knows whether that would be right.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use switchboard::transport::Address;
use switchboard::{Client, Code};
use tokio::time::timeout;

use crate::line::Line;
use crate::target::Target;

/// Asks a target.
pub(crate) enum Asker {
    Http { uri: Uri, client: HttpClient<HttpConnector, Full<Bytes>> },
    Commands { address: Address, client: Option<Client> },
}

impl Asker {
    pub(crate) fn new(target: Target) -> Self {
        match target {
            Target::Http(uri) => {
                let client = HttpClient::builder(TokioExecutor::new()).build_http();
                Self::Http { uri, client }
            }
            Target::Commands(address) => Self::Commands { address, client: None },
        }
    }

    /// The answer, as it is to be printed, or why there is none.
    pub(crate) async fn ask(&mut self, line: &Line) -> Result<String, String> {
        let answer = match self {
            Self::Http { uri, client } => {
                let asked = timeout(HTTP_TIME_MAX, post(client, uri, line)).await;
                asked.map_err(|_| format!("no answer came within {HTTP_TIME_MAX:?}"))??
            }
            Self::Commands { address, client } => call(address, client, line).await?,
        };
        Ok(shown(answer))
    }
}

/// Asks a node by `POST /query`.
async fn post(
    client: &HttpClient<HttpConnector, Full<Bytes>>,
    uri: &Uri,
    line: &Line,
) -> Result<Value, String> {
    let query = match line {
        Line::Text(text) => json!({ "query": text }),
        Line::Call { name, request } => json!({ "query": name, "params": request }),
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(query.to_string()))
        .map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| reasons(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| format!("the answer did not come whole: {error}"))?.to_bytes();
    let json = serde_json::from_slice(&body).ok();
    match json {
        Some(Value::Object(mut answer)) if status.is_success() => {
            answer.remove("answer").ok_or_else(|| "there is no answer in the response".to_owned())
        }
        json => Err(refused(status, json.as_ref())),
    }
}

/// Asks an endpoint. A connection that has ended, for want of lines as a rule, is made anew.
async fn call(
    address: &Address,
    client: &mut Option<Client>,
    line: &Line,
) -> Result<Value, String> {
    let open = client.take().filter(|client| !client.is_closed());
    let open = match open {
        Some(open) => open,
        None => Client::connect(address).await.map_err(|error| error.to_string())?,
    };
    let open = client.insert(open);
    let answer = match line {
        Line::Text(text) => open.call_json("QUERY", &Value::from(text.as_str())).await,
        Line::Call { name, request } => open.call_json(name, request).await,
    };
    answer.map_err(|error| match error.code() {
        Code::UnknownCommand if matches!(line, Line::Text(_)) => {
            "this endpoint takes no texts, only calls such as NAME {}: see --help".to_owned()
        }
        _ => error.to_string(),
    })
}

/// Why a node has refused, as the gateway says it, or only the status.
fn refused(status: StatusCode, json: Option<&Value>) -> String {
    let error = json.and_then(|json| json.get("error"));
    let field = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str);
    match (field("code"), field("message"), error) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (_, _, Some(Value::String(text))) => format!("{status}: {text}"),
        _ => status.to_string(),
    }
}

/// A text as it is, and everything else as JSON in one line.
fn shown(answer: Value) -> String {
    match answer {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// An error with its causes, in which hyper's have all that matters.
fn reasons(error: &dyn StdError) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Time for an answer over HTTP, as long as a call of the command protocol has.
const HTTP_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer over HTTP.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
