//! The doors of the service: HTTP and the command port, opened together and closed together.
//!
//! ```text
//!   open ─► serving ─stop─► draining: both doors, at most 10 s ─► everything answered, or cut off
//! ```
//!
//! The store is not closed: whatever was answered is on the disk, and whatever was not may be lost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use switchboard::transport::{self, Address, AnyListener};
use switchboard::{Endpoint, Result};
use switchboard_http::{HttpLimits, serve_http_until};
use tokio::sync::watch;

use crate::commands::endpoint;
use crate::routes::{BODY_BYTES_MAX, router};
use crate::store::Store;

/// A service whose doors are open, and that does not serve yet.
pub struct Service {
    endpoint: Endpoint,
    http: AnyListener,
    port: Option<AnyListener>,
    // Names that requests may be for.
    hosts: Vec<String>,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Whatever was accepted was answered.
    Clean,
    /// Something was still under way after [`DRAIN_TIME_MAX`](crate::DRAIN_TIME_MAX).
    CutOff {
        /// Connections of HTTP that were cut off.
        connections: u64,
        /// Calls on the command port that were cut off.
        calls: u64,
    },
}

impl Service {
    /// Opens the doors of a service with this store: HTTP at one address, and commands at another,
    /// if there is one.
    ///
    /// # Errors
    ///
    /// An address that is none, or is taken.
    pub async fn open<S: Store>(store: S, http: &str, port: Option<&str>) -> Result<Self> {
        let endpoint = endpoint(&Arc::new(store));
        let http = transport::bind(http).await?;
        let port = match port {
            Some(address) => Some(transport::bind(address).await?),
            None => None,
        };
        Ok(Self { endpoint, http, port, hosts: Vec::new() })
    }

    /// Takes requests for these hosts, too: names, without a port. An IP address and `localhost`
    /// are taken anyway.
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Where HTTP is served.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn http_address(&self) -> Result<Address> {
        self.http.local_address()
    }

    /// Where commands are served, if they are.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn command_address(&self) -> Result<Option<Address>> {
        self.port.as_ref().map(AnyListener::local_address).transpose()
    }

    /// Serves until `stop` is ready, and then until everything is answered or
    /// [`DRAIN_TIME_MAX`](crate::DRAIN_TIME_MAX) has passed.
    ///
    /// # Errors
    ///
    /// What ended the command port before that.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops accepting.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<End> {
        let Self { endpoint, http, port, hosts } = self;
        let (tell, told) = watch::channel(false);
        let stopped = || {
            let mut told = told.clone();
            // That nobody tells any more is a stop as well.
            async move { drop(told.wait_for(|is_stopping| *is_stopping).await) }
        };
        let routes = router(&endpoint, &hosts);
        let http = serve_http_until(&endpoint, http, routes, http_limits(), stopped());
        let commands = async {
            match port {
                Some(port) => {
                    endpoint.serve_until(port, stopped()).await.map(|report| report.calls_cut_off)
                }
                None => Ok(0),
            }
        };
        let stop = async {
            stop.await;
            tell.send_replace(true);
        };
        let (report, calls, ()) = tokio::join!(http, commands, stop);
        let (connections, calls) = (report.connections_cut_off, calls?);
        Ok(if (connections, calls) == (0, 0) {
            End::Clean
        } else {
            End::CutOff { connections, calls }
        })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

fn http_limits() -> HttpLimits {
    HttpLimits::default().with(|limits| {
        limits.head_time_max = READ_TIME_MAX;
        limits.body_time_max = READ_TIME_MAX;
        limits.body_bytes_max = BODY_BYTES_MAX;
        limits.write_stall_time_max = Duration::from_secs(10);
        limits.idle_time_max = Duration::from_secs(120);
    })
}

/// Time for a head to come, and as much for a body.
const READ_TIME_MAX: Duration = Duration::from_secs(5);
