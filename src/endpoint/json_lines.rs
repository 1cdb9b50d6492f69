//! Lines of JSON: a door for each connection that is served.
//!
//! The methods of [`Endpoint`] for it stand here: they need the feature. Limits, draining and the
//! report are those of any other caller, and the handlers see who calls. Mistakes in a row are not
//! counted: a line is often typed, and one that is wrong does no harm to the next.

use std::sync::Arc;

use super::connections::OpenConnection;
use super::incoming::Incoming;
use super::{Endpoint, Report};
use crate::error::Result;
use crate::json_lines::{json_lines, log_end};
use crate::stream::Connection;
use crate::transport::{Listener, SharedIo};

impl Endpoint {
    /// Serves those who connect to `listener` and speak in lines of JSON, for ever. A line is a
    /// request in one of three dialects, and is answered in the same one: as it is bare, in
    /// JSON-RPC 1.0 and in JSON-RPC 2.0,
    ///
    /// ```text
    /// {"Method":"ADD","Params":[1,2]}
    /// {"Result":3,"Error":""}
    /// {"method":"ADD","params":[[1,2]],"id":7}
    /// {"id":7,"result":3,"error":null}
    /// {"jsonrpc":"2.0","method":"ADD","params":[1,2],"id":7}
    /// {"jsonrpc":"2.0","result":3,"id":7}
    /// ```
    ///
    /// ```
    /// # use switchboard::{Command, Endpoint, Error, Result, format::Json, transport};
    /// // {"Method":"CheckStock","Params":"item1"}
    /// const CHECK_STOCK: Command<String, u32, Json> = Command::new("CheckStock");
    ///
    /// # async fn serve() -> Result<()> {
    /// let listener = transport::bind("127.0.0.1:1234").await?;
    /// let stock = Endpoint::new().on(CHECK_STOCK, async |_: String| Ok::<_, Error>(100));
    /// stock.serve_json_lines(listener).await
    /// # }
    /// ```
    ///
    /// The method is the name of the command, which may be any that speaks JSON, whatever its own
    /// format. The parameters are its request as they stand; without them it is `null`. In JSON-RPC
    /// 2.0 a list of one may also be that one, if the command cannot read it as a list, and an
    /// empty list `null`. In 1.0, as Go's `net/rpc/jsonrpc` speaks it, a list of one is that one
    /// first.
    ///
    /// Calls of JSON-RPC run at once, and are answered as they end; those of a batch together, in
    /// the order of its entries. A bare request has no `id`, so the next line is read when it is
    /// answered. JSON-RPC 2.0 without an `id`, and 1.0 with `null` for it, is a notification: a
    /// call whose answer is not written, whatever becomes of it.
    ///
    /// [`put_error`](crate::envelope::put_error) lists the numbers of errors in JSON-RPC 2.0; in
    /// the other dialects an error is a text. A line that cannot be read is answered with an error,
    /// in the dialect of the line before it, and the connection goes on. Who speaks HTTP or TLS is
    /// not answered, and the connection ends at once: else a web page could post lines to it.
    ///
    /// # Limits
    ///
    /// A line may have `payload_bytes_max` and `line_bytes_max` bytes together; more are passed
    /// over. It has `body_time_max` from its first byte on, and while no call is under way the next
    /// line has `idle_time_max`. A command with a larger `payload_bytes_max` of its own makes no
    /// line longer, since its name may stand at the end of it. At most `calls_per_connection_max`
    /// calls are under way; more are not read until one has ended. A batch may have as many
    /// entries, and those without a place are refused. `consecutive_errors_max` does not hold.
    /// Raw commands and streamed ones are refused with `unsupported_format`.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_json_lines(&self, listener: impl Listener) -> Result<()> {
        self.serve_json_lines_until(listener, std::future::pending::<()>()).await.map(|_| ())
    }

    /// As [`serve_json_lines`](Self::serve_json_lines) until `stop` is ready, and then drains, as
    /// [`serve_until`](Self::serve_until) does: requests that come meanwhile are answered with
    /// `shutting_down`. A peer that is turned away gets no message.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_until`](Self::serve_until).
    pub async fn serve_json_lines_until(
        &self,
        listener: impl Listener,
        stop: impl Future,
    ) -> Result<Report> {
        let endpoint = self.clone();
        let accept = self.accept(move |incoming| accepted(&endpoint, incoming));
        Ok(accept.run(listener, stop).await)
    }
}

/// Serves a stream that was accepted by calls through a door of its own.
fn accepted(
    endpoint: &Endpoint,
    incoming: Incoming,
) -> (impl Future<Output = ()> + use<>, OpenConnection) {
    let Incoming { io, peer, refused, tasks } = incoming;
    let door = endpoint.door_of(peer.clone(), Arc::new(tasks.of_connection()));
    if refused.is_some() {
        door.close();
    }
    let (limits, quota) = (Arc::clone(endpoint.router.limits()), endpoint.router.quota());
    let mut connection = Connection::new(SharedIo::new(io), peer, limits, quota);
    let open = OpenConnection::Door(door.clone());
    let served = async move {
        let ended = json_lines(&mut connection, &door).await;
        if let Err(error) = &ended {
            log_end(connection.peer(), error);
        }
        if connection.end().await && ended.is_err() {
            connection.linger().await;
        }
    };
    (served, open)
}
