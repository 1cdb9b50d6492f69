//! An endpoint for whoever brings calls to it: calls that come as values, and a place for each
//! connection that somebody else serves.

use super::{ConnectionPermit, Endpoint};
use crate::error::Result;
use crate::service::{Answer, Request, Service};
use crate::transport::Peer;

/// Calls that come through no connection. Only the limits of the whole endpoint hold for them; a
/// [`Door`](crate::service::Door) has those of a connection, and an end.
impl Service for Endpoint {
    fn call(&self, request: Request) -> Answer {
        let is_one_way = request.is_one_way();
        let answer = self.router.call(request);
        if is_one_way { answer.when_taken() } else { answer }
    }
}

impl Endpoint {
    /// Counts a connection of this peer until the permit is dropped, together with those that the
    /// endpoint serves itself: for whoever accepts connections of another protocol in front of a
    /// [`Door`](crate::service::Door). Nobody waits for a place.
    ///
    /// ```
    /// use switchboard::transport::Peer;
    /// use switchboard::{Code, Endpoint, Limits};
    ///
    /// let limits = Limits::default().with(|limits| limits.connections_max = 1);
    /// let endpoint = Endpoint::new().with_limits(limits);
    /// let permit = endpoint.admit(&Peer::unknown())?;
    /// assert_eq!(endpoint.admit(&Peer::unknown()).unwrap_err().code(), Code::Overloaded);
    /// drop(permit);
    /// assert!(endpoint.admit(&Peer::unknown()).is_ok());
    /// # switchboard::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `overloaded` if `connections_max` are open, or `connections_per_peer_max` of this peer.
    pub fn admit(&self, peer: &Peer) -> Result<ConnectionPermit> {
        self.limiter.acquire(peer)
    }
}
