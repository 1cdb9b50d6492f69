//! The commands of a switchboard endpoint over HTTP and JSON.

mod ahead;
mod body;
mod connection;
mod gateway;
mod ids;
mod limits;
mod refusal;
mod report;
mod server;
mod service;
mod stream;

pub use self::body::{BodyTooSlow, BoxError, RequestBody};
pub use self::gateway::{Cluster, Gateway, GatewayBody, Guarded, Member};
pub use self::limits::HttpLimits;
pub use self::report::HttpReport;
pub use self::server::{serve_http, serve_http_until};
pub use self::service::HttpService;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
