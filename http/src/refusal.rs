//! Errors as HTTP says them: a status, and one shape of JSON.
//!
//! ```json
//! {"error":{"code":"not_found","message":"no such job","details":{"id":7},"request_id":"a1"}}
//! ```
//!
//! `details` is there if the error has some, and `"ran": true` if a drain has cut off a call that
//! may have run. Requests that hyper refuses by itself get neither a
//! body nor a request id: they never reach us. The README has the list.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use switchboard::{Code, Error, Metadata};

/// Why a request is not answered as it would like to be.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: String,
    message: String,
    // Of an error of a handler, as a rule.
    beside: Option<Box<BesideError>>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    is_transient: bool,
    // It says `shutting_down` of a call that may have run.
    may_have_run: bool,
}

/// What goes beside an error.
#[derive(Debug)]
struct BesideError {
    details: Option<serde_json::Value>,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Shape<'r> {
    error: Inner<'r>,
}

#[derive(Serialize)]
struct Inner<'r> {
    code: &'r str,
    message: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'r serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<bool>,
    request_id: &'r str,
}

impl Refusal {
    /// One of HTTP's own, with a code of the library.
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self::worded(status, code.as_str(), message)
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let text = format!("allowed here: {allow}");
        let refusal = Self::worded(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        Self { allow: Some(allow), ..refusal }
    }

    pub(crate) fn draining() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(status, Code::ShuttingDown, "no more calls are taken");
        Self { retry_after: Some(RETRY_AFTER_LEAST), is_transient: true, ..refusal }
    }

    /// Whether it may go well later.
    pub(crate) fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// What the handler has set beside it.
    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.beside.as_ref().map(|beside| &beside.metadata)
    }

    fn worded(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        let (beside, retry_after, allow) = (None, None, None);
        let (is_transient, may_have_run) = (false, false);
        Self { status, code, message, beside, retry_after, allow, is_transient, may_have_run }
    }

    /// The whole response, without the headers that all responses have.
    pub(crate) fn response(&self, request_id: &str) -> Response<Bytes> {
        let mut body = self.json(request_id);
        body.push(b'\n');
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(time) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(time)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // One there must be (RFC 9110, 15.5.2), and only the handler knows which it wants.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }

    /// Its JSON, on one line and without the end of it.
    pub(crate) fn json(&self, request_id: &str) -> Vec<u8> {
        let Self { code, message, beside, .. } = self;
        let details = beside.as_ref().and_then(|beside| beside.details.as_ref());
        let ran = self.may_have_run.then_some(true);
        let error = Inner { code, message, details, ran, request_id };
        // Texts and values that were JSON before: there is nothing to fail.
        serde_json::to_vec(&Shape { error }).unwrap_or_default()
    }
}

impl BesideError {
    fn of(error: &Error) -> Option<Self> {
        let details = error.details::<serde_json::Value>().and_then(Result::ok);
        let metadata = error.metadata();
        let is_any = details.is_some() || !metadata.is_empty();
        is_any.then_some(Self { details, metadata })
    }
}

/// An error of the library, or of a handler, as its caller is told it.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = error.code();
        // A quota is the handler's; where the library found no room, the call did not run.
        let is_quota = code == Code::Overloaded && !error.is_safe_to_retry();
        let status = if is_quota { StatusCode::TOO_MANY_REQUESTS } else { status_of(code) };
        let waits = status == StatusCode::SERVICE_UNAVAILABLE || is_quota;
        Self {
            status,
            code: error.code_word().to_owned(),
            message: error.text().to_owned(),
            beside: BesideError::of(&error).map(Box::new),
            retry_after: error.retry_after().or_else(|| waits.then_some(RETRY_AFTER_LEAST)),
            allow: None,
            is_transient: error.is_transient() || status == StatusCode::SERVICE_UNAVAILABLE,
            may_have_run: code == Code::ShuttingDown && !error.is_safe_to_retry(),
        }
    }
}

/// The status of a code.
pub(crate) fn status_of(code: Code) -> StatusCode {
    known_status(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// `None` for a code that this crate does not know; a test fails for each of those.
fn known_status(code: Code) -> Option<StatusCode> {
    Some(match code {
        Code::BadPayload | Code::Invalid => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Denied => StatusCode::FORBIDDEN,
        Code::UnknownCommand | Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Failed | Code::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Protocol | Code::Disconnected => StatusCode::BAD_GATEWAY,
        Code::Overloaded | Code::ShuttingDown | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => return None,
    })
}

/// A time in whole seconds, rounded up: who comes too early comes in vain.
fn seconds_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// What is said where nobody knows.
const RETRY_AFTER_LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status() {
        for code in Code::ALL {
            assert!(known_status(*code).is_some(), "{code} has none");
        }
    }

    #[test]
    fn errors_have_their_status_and_say_when_to_come_again() {
        let check = |error: Error, status: u16, retry_after: Option<&str>| {
            let refusal = Refusal::from(error);
            let response = refusal.response("x");
            let header = response.headers().get(RETRY_AFTER);
            let header = header.map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), header), (status, retry_after));
        };
        let error = |code| Error::new(code, "text").after_sending();
        check(error(Code::Invalid), 400, None);
        check(error(Code::BadPayload), 400, None);
        check(error(Code::Unauthenticated), 401, None);
        check(error(Code::Denied), 403, None);
        check(error(Code::NotFound), 404, None);
        check(error(Code::UnknownCommand), 404, None);
        check(error(Code::Conflict), 409, None);
        check(error(Code::TooLarge), 413, None);
        check(error(Code::UnsupportedFormat), 415, None);
        check(error(Code::Failed), 500, None);
        check(error(Code::Panicked), 500, None);
        check(error(Code::ShuttingDown), 503, Some("1"));
        check(error(Code::DeadlineExceeded), 504, None);
        // A handler's own, which has run, and the library's, which has not.
        check(error(Code::Overloaded), 429, Some("1"));
        check(Error::new(Code::Overloaded, "text"), 503, Some("1"));
        let after =
            |millis| error(Code::Overloaded).with_retry_after(Duration::from_millis(millis));
        check(after(1), 429, Some("1"));
        check(after(2000), 429, Some("2"));
        check(after(2001), 429, Some("3"));
    }

    #[test]
    fn the_shape_is_one_line_of_json() {
        let refusal = Refusal::from(Error::new(Code::NotFound, "no \"job\"\n7"));
        let json = String::from_utf8(refusal.json("a1")).unwrap();
        let expected =
            r#"{"error":{"code":"not_found","message":"no \"job\"\n7","request_id":"a1"}}"#;
        assert_eq!(json, expected);
    }
}
