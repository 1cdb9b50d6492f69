//! An endpoint as a service: calls that come as values.

use super::Endpoint;
use crate::service::{Answer, Request, Service};

/// Calls that come through no connection. Only the limits of the whole endpoint hold for them; a
/// [`Door`](crate::service::Door) also has the limits of a connection, and an end.
impl Service for Endpoint {
    fn call(&self, request: Request) -> Answer {
        let is_one_way = request.is_one_way();
        let answer = self.router.call(request);
        if is_one_way { answer.when_taken() } else { answer }
    }
}
