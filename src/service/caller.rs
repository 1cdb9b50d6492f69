//! Where a call came from, as far as whoever answers it has to know.

use std::sync::Arc;

use super::answer::Answer;
use super::channel::Channel;
use super::{Request, Service};
use crate::error::{Code, Error};
use crate::quota::Quota;
use crate::session::CallId;
use crate::transport::Peer;

/// Where calls come from: a connection, or a single request.
pub(crate) trait Caller: Send + Sync {
    /// Who is there.
    fn peer(&self) -> &Peer;

    /// What its calls count against.
    fn quota(&self) -> &Arc<Quota>;

    /// Whether the answer to this call is still waited for.
    fn is_waiting(&self, call: CallId) -> bool;

    /// A way to call back, for the handler of this call.
    fn channel(self: Arc<Self>, call: CallId) -> Arc<dyn Channel>;
}

/// The way back where there is none.
#[derive(Debug)]
pub(crate) struct NoWayBack;

impl Service for NoWayBack {
    fn call(&self, request: Request) -> Answer {
        let text = format!("{} cannot be called: there is no way back", request.command());
        Answer::ready(Err(Error::found(Code::UnknownCommand, text)))
    }
}

impl Channel for NoWayBack {}
