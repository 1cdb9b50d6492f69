//! Go's `net/rpc`, both ways: a door for each connection that is served, and a channel for each
//! that is dialled.
//!
//! The methods of [`Endpoint`] for it stand here: they need the feature.
//! Limits, draining and the report are those of any other caller, and the handlers see who calls.
//! Only mistakes in a row are not counted: many goroutines may share a connection, and one that
//! guesses names would end the calls of the others. Go's own server does not count them either.

use std::sync::Arc;

use super::connections::OpenConnection;
use super::incoming::Incoming;
use super::{Endpoint, Report, serving};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::handler::Router;
use crate::net_rpc::{client, log_end, net_rpc};
use crate::service::Door;
use crate::stream::Connection;
use crate::transport::{Address, BoxedIo, Io, Listener, Peer, SharedIo};

impl Endpoint {
    /// Serves the Go programs that connect to `listener` with `net/rpc`, for ever: by `rpc.Dial` or
    /// `rpc.DialHTTP`, in gob and not in JSON. [`net_rpc()`](crate::gob::net_rpc) says how calls
    /// become commands.
    ///
    /// ```
    /// # use switchboard::{Command, Endpoint, Error, Result, format::Gob, transport};
    /// // Go: client.Call("Arith.Negate", 7, &negated)
    /// const NEGATE: Command<i64, i64, Gob> = Command::new("Arith.Negate");
    ///
    /// # async fn serve() -> Result<()> {
    /// let listener = transport::bind("127.0.0.1:1234").await?;
    /// let arith = Endpoint::new().on(NEGATE, async |number: i64| Ok::<_, Error>(-number));
    /// arith.serve_net_rpc(listener).await
    /// # }
    /// ```
    ///
    /// All limits hold but `consecutive_errors_max`: as with Go's own server, a program may make as
    /// many mistakes in a row as it likes.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_net_rpc(&self, listener: impl Listener) -> Result<()> {
        self.serve_net_rpc_until(listener, std::future::pending::<()>()).await.map(|_| ())
    }

    /// As [`serve_net_rpc`](Self::serve_net_rpc) until `stop` is ready, and then drains, as
    /// [`serve_until`](Self::serve_until) does. A peer that is turned away gets no message.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_until`](Self::serve_until).
    pub async fn serve_net_rpc_until(
        &self,
        listener: impl Listener,
        stop: impl Future,
    ) -> Result<Report> {
        let endpoint = self.clone();
        let accept = self.accept(move |incoming| {
            let Incoming { io, peer, refused, tasks } = incoming;
            let door = endpoint.door_of(peer.clone(), Arc::new(tasks.of_connection()));
            if refused.is_some() {
                door.close();
            }
            accepted(&endpoint.router, door, io, peer)
        });
        Ok(accept.run(listener, stop).await)
    }

    /// Connects to a server of Go's `net/rpc`, as `rpc.Dial` does. Commands have the names of Go's
    /// methods and the format [`Gob`](crate::format::Gob); a call in another format fails with
    /// `unsupported_format`.
    ///
    /// An error of the server is `failed`, with its text. net/rpc cannot cancel a call or give it a
    /// deadline: the server goes on with a call that was given up. Such a call counts against
    /// `calls_per_connection_max` until its reply has come. Calls beyond that limit wait for
    /// others. Handlers of this endpoint are not served.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up connecting.
    pub async fn connect_net_rpc(
        &self,
        address: impl TryInto<Address, Error: Into<Error>>,
    ) -> Result<Client> {
        let (io, peer) = serving::dial(&self.router, address, self.tcp_keepalive).await?;
        Ok(dialled(&self.router, io, peer))
    }

    /// As [`connect_net_rpc`](Self::connect_net_rpc), over a stream that is open already.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect_net_rpc_over(&self, io: impl Io) -> Client {
        dialled(&self.router, Box::new(io), Peer::unknown())
    }
}

/// Serves a stream that was accepted by calls through a door of its own.
pub(super) fn accepted(
    router: &Router,
    door: Door,
    io: BoxedIo,
    peer: Peer,
) -> (impl Future<Output = ()> + use<>, OpenConnection) {
    let (limits, quota) = (Arc::clone(router.limits()), router.quota());
    let mut connection = Connection::new(SharedIo::new(io), peer, limits, quota);
    let open = OpenConnection::Door(door.clone());
    let served = async move {
        let ended = net_rpc(&mut connection, &door).await;
        if let Err(error) = &ended {
            log_end(connection.peer(), error);
        }
        if connection.end().await && ended.is_err() {
            connection.linger().await;
        }
    };
    (served, open)
}

/// Calls the server at the other end of a stream that this side has opened.
pub(super) fn dialled(router: &Router, io: BoxedIo, peer: Peer) -> Client {
    client(io, peer, router.limits(), router.quota())
}
