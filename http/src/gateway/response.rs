//! The body of a response, and the one line that is logged when it has ended.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use switchboard::CommandInfo;
use switchboard::transport::Peer;

use super::items::Items;

/// The body of a response of a [`Gateway`](crate::Gateway). Dropped before its end, it cancels the
/// call.
pub struct GatewayBody {
    content: Content,
    access: Access,
}

enum Content {
    /// Empty once it has been given out.
    Whole(Bytes),
    Items(Box<Items>),
}

/// What the access line says, at the end.
pub(crate) struct Access {
    pub(crate) began: Instant,
    pub(crate) method: &'static str,
    // A name that is registered: what a peer made up is not logged.
    pub(crate) command: Option<Arc<CommandInfo>>,
    pub(crate) peer: Peer,
    pub(crate) request_id: HeaderValue,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) is_whole: bool,
}

impl GatewayBody {
    pub(crate) fn whole(bytes: Bytes, access: Access) -> Self {
        Self { content: Content::Whole(bytes), access }
    }

    pub(crate) fn items(items: Box<Items>, access: Access) -> Self {
        Self { content: Content::Items(items), access }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { content, access } = &mut *self;
        let bytes = match content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Items(items) => std::task::ready!(items.poll_bytes(cx)),
        };
        let len = bytes.as_ref().map_or(0, Bytes::len);
        access.bytes = access.bytes.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        access.is_whole = bytes.is_none();
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Content::Items(_) => SizeHint::default(),
        }
    }
}

impl Drop for GatewayBody {
    fn drop(&mut self) {
        self.access.is_whole |= self.is_end_stream() || self.access.method == "HEAD";
    }
}

/// One line for each request, also for one that nobody waits for any more before it has a response:
/// it has no status.
impl Drop for Access {
    fn drop(&mut self) {
        let Self { began, method, command, peer, request_id, status, bytes, is_whole } = self;
        let is_cut = !*is_whole;
        tracing::info!(
            method,
            command = command.as_ref().map(|command| command.name.as_str()),
            status = (*status > 0).then_some(*status),
            bytes,
            is_cut,
            time = ?began.elapsed(),
            %peer,
            request_id = request_id.to_str().unwrap_or_default(),
            "answered over HTTP"
        );
    }
}

impl fmt::Debug for GatewayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBody").finish_non_exhaustive()
    }
}

/// The name of a method that HTTP has; others are made up.
pub(crate) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "another",
    }
}
