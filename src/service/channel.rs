//! The asking side of the seam: a service that can be closed.

use std::sync::OnceLock;

use super::{BoxFuture, Service};
use crate::error::Result;
use crate::limits::Limits;
use crate::transport::Peer;

/// A way to call: a service, and what its [`Client`](crate::Client) must know beside it.
///
/// A plain connection is a channel, a [`Door`](super::Door) is one, and a [`Client`](crate::Client)
/// is one as well, to be wrapped by another. Everything but the call itself has a default, which
/// suits a channel that cannot be closed.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use switchboard::service::{Answer, Channel, Request, Service};
/// use switchboard::{Client, Code, Command, Endpoint, Error, format::Line};
///
/// /// Fails every third call.
/// struct Flaky {
///     client: Client,
///     calls: AtomicU32,
/// }
///
/// impl Service for Flaky {
///     fn call(&self, request: Request) -> Answer {
///         if self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
///             return Answer::ready(Err(Error::new(Code::Overloaded, "the third call")));
///         }
///         Service::call(&self.client, request)
///     }
/// }
///
/// impl Channel for Flaky {}
///
/// const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> switchboard::Result<()> {
/// let endpoint = Endpoint::new()
///     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
/// let client = Client::over(Flaky { client: endpoint.client(), calls: AtomicU32::new(0) });
///
/// assert_eq!(client.call(SHOUT, &"one".into()).await?, "ONE");
/// assert_eq!(client.call(SHOUT, &"two".into()).await?, "TWO");
/// let error = client.call(SHOUT, &"three".into()).await.unwrap_err();
/// assert_eq!(error.code(), Code::Overloaded);
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a channel
///
/// They are given to the caller as they are. A handler that hands on an error of a channel tells
/// its own caller `failed` and no more, as with every error that was not made for that caller.
pub trait Channel: Service {
    /// The bounds of what is sent and of what comes back.
    fn limits(&self) -> &Limits {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        LIMITS.get_or_init(Limits::default)
    }

    /// Who is on the other side.
    fn peer(&self) -> &Peer {
        Peer::nobody()
    }

    /// Whether no more calls are taken.
    fn is_closed(&self) -> bool {
        false
    }

    /// Takes no more calls, and lets those under way finish.
    fn close(&self) {}

    /// Waits until no more calls are taken and none is under way.
    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Waits until everything that was handed over is written.
    ///
    /// # Errors
    ///
    /// What kept it from being written.
    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
