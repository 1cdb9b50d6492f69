//! Ids of requests: taken over from whoever sends one that is well formed, made otherwise.
//!
//! They are for logs, and are secret to nobody.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};

/// The header of a request id, in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request with these headers.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(id) if is_well_formed(id.as_bytes()) => id.clone(),
        // Hexadecimal digits, all of which may stand in a header.
        _ => HeaderValue::from_str(&made()).unwrap_or(HeaderValue::from_static("0")),
    }
}

/// An id that no other process makes, but for chance.
pub(crate) fn made() -> String {
    static SEED: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", SEED.get_or_init(RandomState::new).hash_one(count))
}

fn is_well_formed(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_plain)
}

const ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_if_it_is_well_formed() {
        let check = |id: &[u8], is_taken: bool| {
            let headers =
                HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]);
            let found = request_id(&headers);
            assert_eq!(found.as_bytes() == id, is_taken, "{id:?}");
            assert!(is_well_formed(found.as_bytes()));
        };
        check(b"a1", true);
        check(b"7d4e0c0a-4f0a-4f55-9a54-9b2a3a6f9d7e", true);
        check(&[b'a'; 128], true);
        check(&[b'a'; 129], false);
        check(b"", false);
        check(b"a b", false);
        check(b"a\"", false);
        check(b"\xc3\xa4", false);
        assert_ne!(made(), made());
    }
}
