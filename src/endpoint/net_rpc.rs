//! Serving Go's `net/rpc`: a door for each connection.
//!
//! Limits, draining and the report are those of any other caller, and the handlers see who calls.
//! Only mistakes in a row are not counted: many goroutines may share a connection, and one that
//! guesses names would end the calls of the others. Go's own server does not count them either.

use std::sync::Arc;

use super::accept::Accept;
use super::crowd::Guest;
use super::{Endpoint, Report};
use crate::error::Result;
use crate::net_rpc::net_rpc;
use crate::stream::Connection;
use crate::transport::{BoxedIo, Listener, Peer, SharedIo};

impl Endpoint {
    /// Serves the Go programs that connect to `listener` with `net/rpc`, for ever: `rpc.Dial` and
    /// its gob, not JSON and not HTTP. How calls become commands is told at
    /// [`net_rpc()`].
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use switchboard::{Command, Endpoint, Result, format::Gob, transport};
    ///
    /// // Go: type Args struct { A, B int }
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Args {
    ///     a: i64,
    ///     b: i64,
    /// }
    ///
    /// // Go: client.Call("Arith.Multiply", Args{7, 8}, &product)
    /// const MULTIPLY: Command<Args, i64, Gob> = Command::new("Arith.Multiply");
    ///
    /// async fn multiply(args: Args) -> Result<i64> {
    ///     Ok(args.a.wrapping_mul(args.b))
    /// }
    ///
    /// # async fn serve() -> Result<()> {
    /// let listener = transport::bind(&"127.0.0.1:1234".parse()?).await?;
    /// Endpoint::new().on(MULTIPLY, multiply).serve_net_rpc(listener).await
    /// # }
    /// ```
    ///
    /// # Limits
    ///
    /// Those of the endpoint, but for `consecutive_errors_max`: as with Go's own server, a program
    /// may make as many mistakes in a row as it likes.
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
    /// [`serve_until`](Self::serve_until) does. Who is turned away at the door is told nothing.
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
        Ok(Accept::new(self.clone(), Self::accepted_net_rpc).run(listener, stop).await)
    }

    /// Serves a stream that was accepted.
    fn accepted_net_rpc(
        &self,
        io: BoxedIo,
        peer: Peer,
    ) -> (impl Future<Output = ()> + use<>, Guest) {
        let door = self.door_of(peer.clone());
        let (limits, quota) = (self.router.limits(), self.router.quota());
        let mut connection = Connection::new(SharedIo::new(io), peer, Arc::clone(limits), quota);
        let guest = Guest::Door(door.clone());
        let served = async move {
            let ended = net_rpc(&mut connection, &door).await;
            if let Err(error) = &ended {
                tracing::info!(peer = %connection.peer(), %error, "closing the connection");
            }
            if connection.end().await && ended.is_err() {
                connection.linger().await;
            }
        };
        (served, guest)
    }
}
