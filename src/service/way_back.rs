//! The way from a handler back to whoever calls it.

use std::sync::Arc;

use super::answer::Answer;
use super::seam::{Channel, Request, Service};
use crate::error::{Code, Error};

/// A way to call whoever makes this call.
pub(crate) fn way_back(request: &Request) -> Arc<dyn Channel> {
    let caller = request.caller().map(Arc::clone);
    let channel = caller.and_then(|caller| caller.channel(request.id()));
    channel.unwrap_or_else(|| Arc::new(NoWayBack))
}

/// The way back where there is none.
struct NoWayBack;

impl Service for NoWayBack {
    fn call(&self, request: Request) -> Answer {
        let text = format!("{} cannot be called: there is no way back", request.command());
        let error = Error::found(Code::UnknownCommand, text);
        Answer::ready(Err(error.without_way_back()))
    }
}

impl Channel for NoWayBack {}
