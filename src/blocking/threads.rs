//! How the two threads of a connection are started. They are waited for by nobody: each ends with
//! the connection.

use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::connection::Connection;
use super::socket::Socket;
use super::{keeping, reading};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// Makes a connection of a socket.
///
/// # Errors
///
/// The socket is of no use, or there is no thread.
pub(super) fn open(
    socket: Socket,
    limits: &Limits,
    keepalive_time: Option<Duration>,
) -> Result<Arc<Connection>> {
    socket.prepare().map_err(Error::of_stream)?;
    let connection = Arc::new(Connection::new(socket, limits, keepalive_time));
    let (read, keep) = (Arc::clone(&connection), Arc::clone(&connection));
    start("switchboard-read", move || reading::run(&read))?;
    start("switchboard-keep", move || keeping::run(&keep)).inspect_err(|_| {
        // The reader comes back by that, and ends.
        connection.socket.shut_down(Shutdown::Both);
    })?;
    Ok(connection)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    let text = "the system gives no thread for the connection";
    started.map(drop).map_err(|error| Error::local(Code::Failed, text).with_source(error))
}
