//! The doors of a service, opened together and closed together.
//!
//! ```text
//!   open ─► serving ─stop─► draining: all doors, at most 10 s ─► everything answered, or cut off
//! ```
//!
//! What was answered is on the disk, so nothing is closed behind the doors.

use std::fmt;
use std::sync::Arc;

use switchboard::transport::{self, Address, AnyListener};
use switchboard::{Endpoint, Result};
use switchboard_http::{HttpLimits, serve_http_until};
use tokio::sync::watch;

use crate::inventory::Inventory;
use crate::page::{Page, routes};

/// An endpoint whose doors are open, and that does not serve yet.
pub struct Doors {
    endpoint: Endpoint,
    commands: AnyListener,
    lines: Option<AnyListener>,
    http: Option<(AnyListener, Page)>,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Whatever was accepted was answered.
    Clean,
    /// Something was still under way when the time for it was over.
    CutOff {
        /// Connections of HTTP that were cut off.
        connections: u64,
        /// Calls of the other doors that were cut off.
        calls: u64,
    },
}

impl Doors {
    /// Opens the door for commands.
    ///
    /// # Errors
    ///
    /// An address that is none, or is taken.
    pub async fn open(endpoint: Endpoint, commands: &str) -> Result<Self> {
        let commands = transport::bind(commands).await?;
        Ok(Self { endpoint, commands, lines: None, http: None })
    }

    /// Opens the door for lines of JSON as well.
    ///
    /// # Errors
    ///
    /// An address that is none, or is taken.
    pub async fn with_lines(mut self, address: &str) -> Result<Self> {
        self.lines = Some(transport::bind(address).await?);
        Ok(self)
    }

    /// Opens the door for HTTP as well, with a page of metrics.
    ///
    /// # Errors
    ///
    /// An address that is none, or is taken.
    pub async fn with_http(mut self, address: &str, inventory: &Arc<Inventory>) -> Result<Self> {
        let page = Page::new(&self.endpoint, inventory).map_err(switchboard::Error::internal)?;
        self.http = Some((transport::bind(address).await?, page));
        Ok(self)
    }

    /// Where each door is, beside what it is for.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn addresses(&self) -> Result<Vec<(&'static str, Address)>> {
        let mut all = vec![("commands", self.commands.local_address()?)];
        if let Some(lines) = &self.lines {
            all.push(("lines of JSON", lines.local_address()?));
        }
        if let Some((http, _)) = &self.http {
            all.push(("HTTP", http.local_address()?));
        }
        Ok(all)
    }

    /// Serves until `stop` is ready, and then until everything is answered or the time for that
    /// (`drain_time_max` of the endpoint) is over.
    ///
    /// # Errors
    ///
    /// What ended a door before that.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops accepting.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<End> {
        let Self { endpoint, commands, lines, http } = self;
        let (tell, told) = watch::channel(false);
        let stopped = || {
            let mut told = told.clone();
            // That nobody tells any more is a stop as well.
            async move { drop(told.wait_for(|is_stopping| *is_stopping).await) }
        };
        let commands = endpoint.serve_until(commands, stopped());
        let lines = async {
            match lines {
                Some(lines) => {
                    let served = endpoint.serve_json_lines_until(lines, stopped());
                    served.await.map(|report| report.calls_cut_off)
                }
                None => Ok(0),
            }
        };
        let http = async {
            let Some((listener, page)) = http else { return 0 };
            let (routes, limits) = (routes(&endpoint, page), HttpLimits::default());
            let served = serve_http_until(&endpoint, listener, routes, limits, stopped());
            served.await.connections_cut_off
        };
        let stop = async {
            stop.await;
            tell.send_replace(true);
        };
        let (commands, lines, connections, ()) = tokio::join!(commands, lines, http, stop);
        let calls = commands?.calls_cut_off.saturating_add(lines?);
        let is_clean = (connections, calls) == (0, 0);
        Ok(if is_clean { End::Clean } else { End::CutOff { connections, calls } })
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").finish_non_exhaustive()
    }
}
