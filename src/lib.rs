//! An embeddable command-protocol endpoint: register async functions under names, call them from
//! other processes.
//!
//! # The one idea
//!
//! **A command is a constant.** `Command<Req, Rep, F>` ties a name to a request type, a reply type
//! and a format. The answering and the asking side use the same constant: no macro, no code
//! generation, nothing typed twice, and a mismatch is a compile error.
//!
#![cfg_attr(all(feature = "io", feature = "bincode"), doc = "```")]
#![cfg_attr(not(all(feature = "io", feature = "bincode")), doc = "```ignore")]
//! use serde::{Deserialize, Serialize};
//! use switchboard::{Client, Command, Endpoint, Result, transport};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greeting {
//!     text: String,
//! }
//!
//! const GREET: Command<Greet, Greeting> = Command::new("GREET");
//!
//! async fn greet(request: Greet) -> Result<Greeting> {
//!     Ok(Greeting { text: format!("Hello, {}!", request.name) })
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     // Port 0 lets the system choose one.
//!     let listener = transport::bind("127.0.0.1:0").await?;
//!     let address = listener.local_address()?;
//!     tokio::spawn(async move { Endpoint::new().on(GREET, greet).serve(listener).await });
//!
//!     let client = Client::connect(&address).await?;
//!     let greeting = client.call(GREET, &Greet { name: "Ada".into() }).await?;
//!     assert_eq!(greeting.text, "Hello, Ada!");
//!     Ok(())
//! }
//! ```
//!
//! # Four concepts
//!
//! - A [`Command`] is a name with its types and its [format](mod@format). Its request or its reply
//!   may come in items ([`Streamed`]). It may carry [`Facts`]: what it does, and how long and how
//!   large its calls may be.
//! - A [`Handler`] answers a command. It is an `async fn(Req) -> Result<Rep, E>`, a function that
//!   blocks ([`blocking`](fn@blocking)), or one that returns a stream ([`streaming`]). A
//!   [`Context`] may come after the request, and shared state before it ([`with_state`]). It takes
//!   the items of a request from a [`Receiver`], and gives those of a reply to a [`Sender`]. A
//!   [`RawHandler`] gets the [`Connection`] itself.
//! - An [`Endpoint`] holds handlers and [`Limits`]. Handlers come and go while it serves.
//! - To serve is to give it a listener: [`listen`](Endpoint::listen) for the short form,
//!   [`serve_until`](Endpoint::serve_until) to stop in good order.
//!
//! The asking side is a [`Client`]: many calls at once over one connection, from any number of
//! tasks. Either side may call: [`Context::client`] calls back the caller, and
//! [`Endpoint::connect`] makes a client that has handlers as well.
//!
//! # Goals and non-goals
//!
//! - A peer cannot use this process up: each bound is a field of [`Limits`], and what a peer sends
//!   is decoded within a [`Budget`](format::Budget).
//! - Every call ends: with a reply, or with an [`Error`] that says who failed and whether the
//!   request was sent.
//! - The protocol can be read and typed by a person, with netcat.
//! - It is small enough to be read whole.
//!
//! Non-goals: a schema language, clients for other languages, encryption, log-in, discovery, and
//! delivery beyond the life of a connection. Nothing is retried unless a program asks for it by
//! [`Client::reconnect`].
//!
//! # Cancel safety
//!
//! Each async function says what dropping its future does. In short: dropping a [`Call`] or a
//! [`StreamedCall`] cancels it, at the peer as well. So a handler can be stopped at any of its
//! awaits, when its caller gives up, its deadline passes or its connection is lost. Work that must
//! not stop half-way belongs in a task of its own ([`Context::spawn`]). A handler that blocks runs
//! to its end.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | this one | what most programs need |
//! | [`mod@format`] | values to bytes and back, and how to bring a format of your own |
//! | `blocking` | a client for threads, without tokio |
//! | [`transport`] | addresses, listeners, who is at the other end, connections in memory |
//! | [`service`] | calls as values: doors and channels of your own |
//! | [`wire`], [`session`] | the protocol without sockets, clocks and tasks, for tools and tests |
//! | `envelope` | the same for lines of JSON and JSON-RPC |
//!
//! `wire`, `session` and `envelope` are outside of semantic versioning: their types and functions
//! may change in any release. Programs need none of them. The protocols on the wire do not change
//! with them.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `io` | yes | sockets, endpoint, client: everything that needs tokio |
//! | `bincode` | yes | [`Bincode`](format::Bincode), the format of a command that names none |
//! | `json` | yes | [`Json`](format::Json), as an alternative of every format of serde, JSON-RPC |
//! | `blocking` | no | a client for threads, without tokio: `blocking::Client` |
//! | `metrics` | no | what an [`Endpoint`] counts ([`Stats`]), for the `metrics` facade |
//! | `postcard` | no | `Postcard`, a maintained binary format |
//! | `gob` | no | `Gob`, as an alternative of every serde format too, and Go's `net/rpc` |
//! | `tower` | no | layers of tower in front of handlers and clients: `Endpoint::layer` |
//! | `codec` | no | [`Frames`](wire::Frames), a codec of tokio-util for proxies |
//! | `udp` | no | calls by datagrams: `Endpoint::serve_datagrams` |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::print_stdout)]

// The code of these documents is compiled with the documentation tests.
#[cfg(all(doctest, feature = "io", feature = "bincode", feature = "gob"))]
#[doc = include_str!("../docs/GO.md")]
mod go {}

#[cfg(all(doctest, feature = "io", feature = "bincode"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "io", feature = "bincode"))]
#[doc = include_str!("../docs/GUIDE.md")]
struct Guide;

#[cfg(all(doctest, feature = "io", feature = "bincode"))]
#[doc = include_str!("../docs/TRACING.md")]
struct Tracing;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "json")]
pub mod envelope;
pub mod format;
#[cfg(feature = "io")]
pub mod service;
pub mod session;
#[cfg(any(feature = "io", feature = "blocking"))]
pub mod transport;
pub mod wire;

#[cfg(any(feature = "io", feature = "blocking"))]
mod asking;
#[cfg(feature = "io")]
mod balance;
#[cfg(feature = "io")]
mod client;
#[cfg(feature = "io")]
mod clock;
#[cfg(feature = "codec")]
mod codec;
mod command;
#[cfg(feature = "io")]
mod conn;
#[cfg(feature = "udp")]
mod datagrams;
#[cfg(feature = "io")]
mod driver;
#[cfg(feature = "io")]
mod endpoint;
mod error;
#[cfg(feature = "io")]
mod handler;
#[cfg(all(feature = "json", feature = "io"))]
mod json_lines;
#[cfg(feature = "io")]
mod ledger;
mod limits;
#[cfg(all(feature = "gob", feature = "io"))]
mod net_rpc;
#[cfg(any(feature = "io", feature = "blocking"))]
#[cfg_attr(
    not(feature = "io"),
    allow(dead_code, unreachable_pub, reason = "without handlers only bytes are counted")
)]
mod quota;
#[cfg(feature = "io")]
mod reconnect;
#[cfg(feature = "io")]
mod stream;

/// Go's gob beyond its [format](mod@format): types that only Go has, and `net/rpc`. The whole codec
/// is the crate `switchboard-gob`.
#[cfg(feature = "gob")]
pub mod gob {
    pub use switchboard_gob::{BinaryBytes, Complex, GobBytes, Time};

    #[cfg(feature = "io")]
    pub use crate::net_rpc::net_rpc;
}

#[cfg(any(feature = "io", feature = "blocking"))]
pub use crate::asking::{NoItems, Receives, Sends};
#[cfg(feature = "io")]
pub use crate::balance::{BackEnds, Balance};
#[cfg(feature = "io")]
pub use crate::client::{Call, CallWithMetadata, Callable, Client, Notification, StreamedCall};
pub use crate::command::{Command, Described, Facts, Signature, Streamed, check_all};
#[cfg(feature = "udp")]
pub use crate::datagrams::{Datagram, Datagrams};
#[cfg(feature = "io")]
pub use crate::endpoint::{Endpoint, Incoming, Report};
pub use crate::error::{Code, Error, Fault, Result, UnknownCode};
#[cfg(feature = "io")]
pub use crate::handler::{
    Blocking, CommandInfo, Context, Handler, IntoError, Outcome, RawFuture, RawHandler, Speaks,
    Streaming, WithState, blocking, streaming, with_state,
};
#[cfg(feature = "io")]
pub use crate::ledger::{CallStats, ConnectionStats, Latency, Stats};
pub use crate::limits::Limits;
#[cfg(feature = "io")]
pub use crate::reconnect::Reconnect;
#[cfg(feature = "io")]
pub use crate::service::{Encoded, ItemReader, ItemWriter, Receiver, Sender};
#[cfg(feature = "io")]
pub use crate::stream::Connection;
pub use crate::wire::{Metadata, Traceparent};
