//! Whom to ask, as it is said on the command line.

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use switchboard::transport::Address;

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A node over HTTP: where to post a query.
    Http(Uri),
    /// An endpoint over the command protocol.
    Commands(Address),
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("this program speaks no TLS, so there is no https:// here".to_owned());
        }
        if !text.starts_with("http://") {
            let address = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
            return Ok(Self::Commands(address));
        }
        let uri = text.parse::<Uri>().map_err(|error| format!("{text:?}: {error}"))?;
        let mut parts = uri.into_parts();
        match parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str) {
            "/" | "/query" => parts.path_and_query = Some(PathAndQuery::from_static("/query")),
            path => return Err(format!("{text:?}: queries are posted to /query, not to {path}")),
        }
        Uri::from_parts(parts).map(Self::Http).map_err(|error| format!("{text:?}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Target::parse(text) {
            Ok(Target::Http(uri)) => uri.to_string(),
            Ok(Target::Commands(address)) => format!("commands at {address}"),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn an_address_says_how_to_ask() {
        check("http://localhost:3000", "http://localhost:3000/query");
        check("http://localhost:3000/", "http://localhost:3000/query");
        check("http://[::1]:3000/query", "http://[::1]:3000/query");
        check("localhost:61000", "commands at localhost:61000");
        check("[::1]:61000", "commands at [::1]:61000");
        check("unix:/run/node", "commands at unix:/run/node");
        check("https://localhost", "error");
        check("http://localhost/call/ADD", "error");
        check("http://", "error");
        check("localhost:many", "error");
    }
}
