//! A door for HTTP: requests become calls of an endpoint, and replies become responses.
//!
//! ```text
//!   a request ─► origins: may a page send it? ─► route ─┬─ POST /call/NAME ──┐
//!                                                       ├─ GET /events/NAME ─┼─► asked ─► a Door
//!                                                       ├─ POST /query ──────┘
//!                                                       └─ GET /, /health: node
//! ```
//!
//! It knows no connection: `server`, or another server, has that. The extensions of a request tell
//! it the peer, and whether the server drains. Limits on calls, their memory and their time are the
//! endpoint's.
//!
//! One HTTP/1 connection has one request at a time, so the limit of calls on one connection holds
//! by itself.

mod asked;
mod guard;
mod items;
mod node;
mod origins;
mod response;
mod routes;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, Response};
use http_body::Body;
use switchboard::Endpoint;

use self::asked::Reading;
pub use self::guard::Guarded;
use self::node::Node;
pub use self::node::{Cluster, Member};
use self::origins::Origins;
pub use self::response::GatewayBody;
use self::routes::Routes;
use crate::body::BoxError;
use crate::ids::made;

/// The commands of an endpoint over HTTP and JSON. It is a `tower_service::Service`: give it to
/// [`serve_http`](crate::serve_http), or nest it in an axum `Router`. Clones are the same gateway.
///
/// | request | does |
/// |---|---|
/// | `POST /call/NAME` | calls a command that speaks JSON; items are JSON lines, or events |
/// | `GET /events/NAME?request=JSON` | the items of a [read-only] command, for an `EventSource` |
/// | `POST /query` | `{"query": "text"}` calls `QUERY`, `{"query": "NAME", "params": ..}` another |
/// | `GET /`, `GET /health` | describes the node, and says whether it takes calls |
///
/// [read-only]: switchboard::Command::read_only
///
/// ```
/// use switchboard::{Command, Endpoint, Error, format::Json, transport};
/// use switchboard_http::{Gateway, HttpLimits, serve_http};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let endpoint = Endpoint::new().on(ADD, async |(a, b)| Ok::<_, Error>(a + b));
/// let (listener, dialer) = transport::memory_listener();
/// let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
/// tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
///
/// let mut stream = dialer.dial().await.unwrap();
/// let head = "POST /call/ADD HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
///             content-type: application/json\r\ncontent-length: 5\r\n\r\n";
/// stream.write_all(format!("{head}[1,2]").as_bytes()).await?;
/// let mut response = String::new();
/// stream.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
/// assert!(response.ends_with("\r\n\r\n3"), "{response}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    routes: Arc<Routes>,
}

impl Gateway {
    /// A gateway to the commands of this endpoint, also to commands that are added later.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let door = endpoint.door_for_many();
        let member = Member::new(made(), None);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let node = Node { member, version, began: Instant::now() };
        let routes = Routes {
            endpoint: endpoint.clone(),
            door,
            reading: Reading::default(),
            origins: Origins::default(),
            node,
            cluster: None,
        };
        Self { routes: Arc::new(routes) }
    }

    /// Also takes requests for these hosts, which are names without a port. IP addresses and
    /// `localhost` are taken anyway; over Unix sockets and in memory every host is taken.
    #[must_use]
    pub fn with_hosts<T: Into<String>>(self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.with(|routes| routes.origins.hosts.extend(hosts.into_iter().map(Into::into)))
    }

    /// Lets web pages of these origins (`https://app.example`) call, and read the answers.
    #[must_use]
    pub fn with_cors<T: Into<String>>(self, origins: impl IntoIterator<Item = T>) -> Self {
        self.with(|routes| routes.origins.cors.extend(origins.into_iter().map(Into::into)))
    }

    /// Passes these headers on to handlers, as [metadata](switchboard::Context::metadata) of the
    /// same names, in lower case. Metadata that a handler
    /// [sets](switchboard::Context::set_reply_metadata) under these names, for a reply or an error,
    /// becomes headers of the response. A reply of items gets no such headers: its head is written
    /// before.
    ///
    /// # Panics
    ///
    /// If one is not a key of metadata, which has a `-` in it and no digit: a mistake in the
    /// program.
    #[must_use]
    #[track_caller]
    pub fn with_metadata_headers<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(|name| {
            let name = name.as_ref();
            let header = HeaderName::try_from(name).ok();
            let is_key = |name: &HeaderName| {
                switchboard::Metadata::default().with(name.as_str(), "").is_ok()
            };
            let header = header.filter(is_key);
            header.unwrap_or_else(|| panic!("{name:?} is no key of metadata"))
        });
        let names: Vec<_> = names.collect();
        self.with(|routes| routes.reading.metadata.extend(names))
    }

    /// Takes the caller's address from `X-Forwarded-For` if the request comes from one of these
    /// proxies. From any other peer the header is ignored.
    #[must_use]
    pub fn trusting_proxies(self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let proxies = proxies.into_iter().map(|ip| ip.to_canonical());
        self.with(|routes| routes.reading.proxies.extend(proxies))
    }

    /// Sets the identity of this node, in place of a made-up id.
    #[must_use]
    pub fn with_node(self, member: Member, version: impl Into<String>) -> Self {
        self.with(|routes| {
            (routes.node.member, routes.node.version) = (member, version.into());
        })
    }

    /// Sets a function that gives the cluster of this node, called at each `GET /`. Without it the
    /// node is alone.
    #[must_use]
    pub fn with_cluster(self, cluster: impl Fn() -> Cluster + Send + Sync + 'static) -> Self {
        self.with(|routes| routes.cluster = Some(Arc::new(cluster)))
    }

    /// Puts another service behind the same rule: a request whose host or origin the gateway
    /// refuses does not reach it. Use it for routes of your own beside the gateway, since a web
    /// page must not drive these either. The service itself answers preflight requests (`OPTIONS`).
    ///
    /// ```
    /// # use switchboard::Endpoint;
    /// # use switchboard_http::Gateway;
    /// let endpoint = Endpoint::new();
    /// let gateway = Gateway::new(&endpoint);
    /// let app: axum::Router = axum::Router::new()
    ///     .route("/hello", axum::routing::get(async || "hello"))
    ///     .fallback_service(gateway.clone());
    /// let service = gateway.guarding(app);
    /// // serve_http(&endpoint, listener, service, limits)
    /// ```
    pub fn guarding<S>(&self, service: S) -> Guarded<S> {
        Guarded { routes: Arc::clone(&self.routes), service }
    }

    /// Takes no more calls. Those under way may go on for the endpoint's `drain_time_max`; calls of
    /// endless commands end at once.
    pub fn close(&self) {
        self.routes.door.close();
    }

    /// Waits until the gateway was closed, no call is under way, and all tasks that handlers have
    /// spawned are done or dropped.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn closed(&self) {
        self.routes.door.closed().await;
    }

    fn with(mut self, change: impl FnOnce(&mut Routes)) -> Self {
        change(Arc::make_mut(&mut self.routes));
        self
    }
}

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<GatewayBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let routes = Arc::clone(&self.routes);
        Box::pin(async move { Ok(routes.answer(request).await) })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("node", &self.routes.node).finish_non_exhaustive()
    }
}
