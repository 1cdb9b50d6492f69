//! Protocols that are not the library's: the streams that are handed over to them, and the door
//! that their calls go through. HTTP is one, in a package of its own.
//!
//! The methods of [`Endpoint`] for them stand here. Whoever speaks such a protocol listens, counts
//! and drains as the endpoint does, by the same loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::connections::OpenConnection;
use super::incoming::Incoming;
use super::{Endpoint, Report};
use crate::handler::Router;
use crate::limits::Limits;
use crate::service::{Door, Tasks};
use crate::transport::{Listener, Peer};

impl Endpoint {
    /// Gives each stream that connects to `listener` to `serve`, for a protocol that is not the
    /// library's, until `stop` is ready. The connections count with those that the endpoint serves.
    /// Handshakes have `handshake_time_max`. At the end all connections hear of it by
    /// [`Incoming::draining`], and have `drain_time_max`. The rest is dropped after another
    /// `linger_time_max`, in which `serve` may still write a last answer.
    ///
    /// Calls go through a [`door`](Self::door). With
    /// [`Request::with_draining`](crate::service::Request::with_draining) they end with the
    /// listener.
    ///
    /// ```
    /// # use switchboard::{Endpoint, Incoming, transport};
    /// # use tokio::io::AsyncWriteExt;
    /// # async fn serve(stop: tokio::sync::oneshot::Receiver<()>) -> switchboard::Result<()> {
    /// let listener = transport::bind("127.0.0.1:1717").await?;
    /// let serve = async |mut incoming: Incoming| {
    ///     if incoming.refused.is_none() {
    ///         let _ = incoming.io.write_all(b"the quote of the day\n").await;
    ///     }
    /// };
    /// let report = Endpoint::new().accept_until(listener, serve, stop).await;
    /// println!("{} have read it", report.connections);
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`serve_until`](Self::serve_until).
    pub async fn accept_until<F>(
        &self,
        listener: impl Listener,
        serve: impl Fn(Incoming) -> F + Send + Sync + 'static,
        stop: impl Future,
    ) -> Report
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let &Limits { drain_time_max, linger_time_max, .. } = &**self.router.limits();
        let time_max = drain_time_max.saturating_add(linger_time_max);
        let serve = Arc::new(serve);
        let accept = self.accept(move |incoming| {
            (handed_over(Arc::clone(&serve), incoming, time_max), OpenConnection::Foreign)
        });
        accept.run(listener, stop).await
    }

    /// A way in that is not a stream: it takes calls as values, and it drains.
    ///
    /// ```
    /// use switchboard::service::{Request, Service};
    /// # use switchboard::{Command, Endpoint, Error, format::Line};
    /// # const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// # let endpoint = Endpoint::new()
    /// #     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
    /// let door = endpoint.door();
    /// let request = Request::new("SHOUT", "hello")?.with_format("line")?;
    /// let reply = door.call(request).await?;
    /// assert_eq!(reply.payload(), b"HELLO");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn door(&self) -> Door {
        self.door_of(Peer::unknown(), Arc::default())
    }

    /// A door that stands for many connections, which bound their own calls: one HTTP/1 connection
    /// has one at a time. `calls_per_connection_max` does not hold for it.
    #[must_use]
    pub fn door_for_many(&self) -> Door {
        self.door().for_many()
    }

    pub(super) fn door_of(&self, peer: Peer, tasks: Arc<Tasks>) -> Door {
        let router: Arc<Router> = Arc::clone(&self.router);
        let (limits, quota) = (self.router.limits(), self.router.quota());
        Door::new(router, Arc::clone(limits), Arc::clone(quota), peer, tasks)
    }
}

/// Has a stream that was accepted served by a protocol that the library knows nothing of.
async fn handed_over<F: Future<Output = ()>>(
    serve: Arc<impl Fn(Incoming) -> F>,
    incoming: Incoming,
    time_max: Duration,
) {
    let draining = incoming.draining();
    let over = async {
        draining.wait().await;
        sleep(time_max).await;
    };
    tokio::select! {
        biased;
        () = serve(incoming) => {}
        () = over => {}
    }
}
