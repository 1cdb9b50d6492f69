//! Which web pages may reach the gateway: a page must not drive a local endpoint.
//!
//! A browser sends requests for any page to any address, also to one that only this machine can
//! reach. Three things tell such requests from others, and each is looked at:
//!
//! - `Host`: a page that had its own name resolved to `127.0.0.1` (DNS rebinding) still says that
//!   name. So the host is an IP address, `localhost`, or one that the program has listed.
//! - `Origin`, which browsers send along with whatever changes something: it is the same host and
//!   port, or one that the program has listed.
//! - `Sec-Fetch-Site: cross-site`, which newer ones send along with everything.
//!
//! A fourth is that a body has to say that it is JSON, which no form of HTML can.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{StatusCode, Version};
use switchboard::Code;
use switchboard::transport::{Peer, PeerAddress};

use crate::refusal::Refusal;

/// Hosts and origins beside those that are taken anyway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) hosts: Vec<String>,
    pub(crate) cors: Vec<String>,
}

impl Origins {
    /// Whether this request may come in. Gives the origin that is to hear that it may read the
    /// response, if that is another one.
    pub(crate) fn check(&self, parts: &Parts) -> Result<Option<HeaderValue>, Refusal> {
        let host = host(parts)?;
        if host.is_some_and(|host| is_reached_by_browsers(parts) && !self.is_host(host)) {
            return Err(denied("this host is not served here"));
        }
        let origin = one(&parts.headers, &header::ORIGIN)?;
        let listed = origin.filter(|origin| {
            let is_origin = |listed: &String| listed.as_bytes() == origin.as_bytes();
            self.cors.iter().any(is_origin)
        });
        if let Some(listed) = listed {
            return Ok(Some(listed.clone()));
        }
        if let Some(origin) = origin {
            let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            let authority = authority.filter(|(scheme, _)| ["http", "https"].contains(scheme));
            let authority = authority.map(|(_, authority)| authority);
            let is_ours = authority.zip(host).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            if !is_ours {
                return Err(denied("web pages of another origin are not served here"));
            }
        }
        let site = parts.headers.get(SEC_FETCH_SITE);
        if site.is_some_and(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
            return Err(denied("web pages of another site are not served here"));
        }
        Ok(None)
    }

    /// Tells a browser which page may read the response, and what of it.
    pub(crate) fn tell(&self, reader: Option<HeaderValue>, headers: &mut HeaderMap) {
        if !self.cors.is_empty() {
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(reader) = reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, reader);
            let shown = HeaderValue::from_static("retry-after, x-request-id");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
        }
    }

    fn is_host(&self, authority: &str) -> bool {
        let Some(host) = without_port(authority) else { return false };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
            None => {
                let is_listed = |listed: &String| listed.eq_ignore_ascii_case(host);
                host.parse::<Ipv4Addr>().is_ok()
                    || host.eq_ignore_ascii_case("localhost")
                    || self.hosts.iter().any(is_listed)
            }
        }
    }
}

/// The host that a request is for: that of its target, if it is in there, else that of its header.
fn host(parts: &Parts) -> Result<Option<&str>, Refusal> {
    let said = one(&parts.headers, &header::HOST)?;
    let said = match said {
        Some(said) => Some(said.to_str().map_err(|_| invalid("the host is no text"))?),
        None => None,
    };
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    if said.zip(target).is_some_and(|(said, target)| !said.eq_ignore_ascii_case(target)) {
        return Err(invalid("the target and the header name two hosts"));
    }
    let host = target.or(said);
    let is_needed = parts.version > Version::HTTP_10 || is_reached_by_browsers(parts);
    if host.is_none() && is_needed {
        return Err(invalid("there is no host"));
    }
    Ok(host)
}

/// Over memory and Unix sockets no browser comes; if nobody said over what, it may.
fn is_reached_by_browsers(parts: &Parts) -> bool {
    let address = parts.extensions.get::<Peer>().map(Peer::address);
    !matches!(address, Some(PeerAddress::Unix | PeerAddress::Memory))
}

/// A header that must not be there twice.
pub(crate) fn one<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(invalid(format!("the header {name} is there twice")));
    }
    Ok(first)
}

fn without_port(authority: &str) -> Option<&str> {
    let end = authority.rfind(']').map_or(0, |end| end.saturating_add(1));
    let (before, after) = authority.split_at_checked(end)?;
    match after.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if before.is_empty() { Some(host) } else { Some(before).filter(|_| host.is_empty()) }
        }
        Some(_) => None,
        None if before.is_empty() => Some(after),
        None => Some(before).filter(|_| after.is_empty()),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, Code::Invalid, message)
}

fn denied(message: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, Code::Denied, message)
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_page_of_elsewhere_is_refused() {
        let origins =
            Origins { hosts: vec!["box.lan".into()], cors: vec!["https://app.example".into()] };
        let check = |headers: &[(&str, &str)], expected: Option<u16>| {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let refused = origins.check(&parts).err().map(|refusal| refusal.status.as_u16());
            assert_eq!(refused, expected, "{headers:?}");
        };
        for good in [
            "127.0.0.1",
            "127.0.0.1:80",
            "10.1.2.3:8080",
            "[::1]",
            "[::1]:80",
            "localhost",
            "LocalHost:80",
            "localhost:",
            "box.lan:1",
            "BOX.LAN",
        ] {
            check(&[("host", good)], None);
        }
        for bad in [
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":80",
            "[::1",
            "::1",
            "[::1]x",
            "[localhost]",
            "localhost:80:80",
            "localhost:x",
            "a@localhost",
            "box.lan.",
        ] {
            check(&[("host", bad)], Some(403));
        }
        check(&[], Some(400));
        check(&[("host", "localhost"), ("host", "localhost")], Some(400));
        check(&[("host", "localhost:1"), ("origin", "http://localhost:1")], None);
        check(&[("host", "localhost:1"), ("origin", "http://localhost:2")], Some(403));
        check(&[("host", "localhost:1"), ("origin", "foo://localhost:1")], Some(403));
        check(&[("host", "localhost:1"), ("origin", "://localhost:1")], Some(403));
        check(&[("host", "localhost:1"), ("origin", "null")], Some(403));
        check(&[("host", "localhost:1"), ("origin", "http://evil.example")], Some(403));
        check(&[("host", "localhost:1"), ("origin", "https://app.example")], None);
        check(&[("host", "localhost"), ("sec-fetch-site", "cross-site")], Some(403));
        check(&[("host", "localhost"), ("sec-fetch-site", "Cross-Site")], Some(403));
        check(&[("host", "localhost"), ("sec-fetch-site", "same-origin")], None);
        check(&[("host", "localhost"), ("sec-fetch-site", "none")], None);
    }
}
