//! The seam: a call as a value, independent of the door that it comes through and of its answerer.
//!
//! ```text
//!  doors: bytes -> Request                                           functions
//!  the session of a stream ─┐                                    ┌─ handlers
//!  Go's net/rpc ────────────┼─► Service: Request ──► Answer ─────┼─ a service of yours
//!  in process, or yours ────┘      (of a Reply or an error)      └─ another peer, by a Client
//! ```
//!
//! A [`Service`] takes a [`Request`] and gives an [`Answer`], a future of a [`Reply`]. An
//! [`Endpoint`](crate::Endpoint) is one, and every door calls it. The steps that all calls share
//! happen there, once: a call is admitted and charged, decoded within a budget, polled with its
//! panics caught, ended at its deadline, and logged. A door only turns bytes into requests and
//! replies into bytes.
//!
//! The asking side mirrors this: a [`Client`](crate::Client) is made of a [`Channel`], which is a
//! service with a way to close it. A connection is a channel, a [`Door`] is one, and you can build
//! your own on another channel.
//!
//! Raw commands bypass the seam, since they get the stream itself. Their connection is admitted,
//! and its limits on bytes and time hold for them, but they count against no limit of calls.
//!
//! # A door of your own
//!
//! Serve a [`Door`] of the endpoint, made by [`Endpoint::door`](crate::Endpoint::door): it bounds
//! the calls under way, knows who calls, and drains.
//!
//! ```
//! use switchboard::service::{Request, Service};
//! use switchboard::{Command, Endpoint, Error, format::Line};
//!
//! const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> switchboard::Result<()> {
//! let endpoint = Endpoint::new()
//!     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
//! let door = endpoint.door();
//!
//! // Wherever it came from: one datagram, a message on a bus, a line of a script.
//! let request = Request::new("SHOUT", "hello")?.with_format("line")?;
//! let reply = door.call(request).await?;
//! assert_eq!(reply.payload(), b"HELLO");
//!
//! door.close();
//! door.closed().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A channel of your own
//!
//! It stands in front of another channel, and does something with the calls that pass through it.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use switchboard::service::{Answer, Channel, Request, Service};
//! use switchboard::{Client, Code, Command, Endpoint, Error, format::Line};
//!
//! /// Fails every third call.
//! struct Flaky {
//!     client: Client,
//!     calls: AtomicU32,
//! }
//!
//! impl Service for Flaky {
//!     fn call(&self, request: Request) -> Answer {
//!         if self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
//!             return Answer::ready(Err(Error::new(Code::Overloaded, "the third call")));
//!         }
//!         // A client's own `call` takes a command: this is the call of a request.
//!         Service::call(&self.client, request)
//!     }
//! }
//!
//! impl Channel for Flaky {
//!     fn inner(&self) -> Option<&dyn Channel> {
//!         Some(&self.client)
//!     }
//! }
//!
//! const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> switchboard::Result<()> {
//! let endpoint = Endpoint::new()
//!     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
//! let client = Client::over(Flaky { client: endpoint.client(), calls: AtomicU32::new(0) });
//!
//! assert_eq!(client.call(SHOUT, &"one".into()).await?, "ONE");
//! assert_eq!(client.call(SHOUT, &"two".into()).await?, "TWO");
//! let error = client.call(SHOUT, &"three".into()).await.unwrap_err();
//! assert_eq!(error.code(), Code::Overloaded);
//! # Ok(())
//! # }
//! ```

mod answer;
mod commands;
mod counted;
mod direct;
mod door;
mod encoded;
mod extensions;
#[cfg(any(feature = "tower", feature = "udp"))]
mod gcra;
mod halves;
mod item_reader;
mod item_writer;
mod items;
#[cfg(feature = "tower")]
mod layers;
mod log;
mod origin;
#[cfg(feature = "json")]
mod other_payload;
mod panics;
#[cfg(feature = "tower")]
mod peer_limits;
#[cfg(any(feature = "tower", feature = "udp"))]
mod peer_table;
mod pipe;
mod reply;
mod request;
mod seam;
mod state;
mod tasks;
mod told;
mod trace;
mod way_back;

pub use self::answer::{Answer, BoxFuture};
pub(crate) use self::answer::{Time, Work};
pub(crate) use self::commands::Commands;
pub(crate) use self::counted::Counted;
pub(crate) use self::direct::{Direct, Plainly};
pub use self::door::Door;
pub use self::encoded::Encoded;
pub use self::extensions::Extensions;
pub(crate) use self::halves::{ItemsOfCall, start_send};
pub use self::halves::{Receiver, Sender};
pub use self::item_reader::ItemReader;
pub use self::item_writer::ItemWriter;
pub(crate) use self::item_writer::TakesBytes;
pub(crate) use self::items::{Items, poll_lent};
#[cfg(feature = "tower")]
pub(crate) use self::layers::{Ahead, Innermost, Layers, Run};
#[cfg(feature = "tower")]
pub use self::layers::{Layered, Next};
pub(crate) use self::log::{log_end, log_refusal};
pub(crate) use self::origin::Origin;
#[cfg(feature = "json")]
pub(crate) use self::other_payload::OtherPayload;
pub(crate) use self::panics::{caught, caught_to_end, panicked};
#[cfg(feature = "tower")]
pub use self::peer_limits::{PeerLimited, PeerLimits};
#[cfg(feature = "udp")]
pub(crate) use self::peer_table::{Counted as CountedCall, PeerBounds, PeerTable, key_of};
pub use self::pipe::Pipe;
pub(crate) use self::pipe::{PipeEnd, pipe};
pub use self::reply::Reply;
pub(crate) use self::seam::Caller;
pub use self::seam::{Channel, Request, Service};
pub use self::state::{ChannelState, ChannelStates};
pub use self::tasks::Draining;
pub(crate) use self::tasks::Tasks;
pub(crate) use self::told::told;
pub(crate) use self::trace::{TraceSpan, Traced, trace_here, traced};
pub(crate) use self::way_back::way_back;
pub use crate::quota::Held;
pub use crate::session::Item;
