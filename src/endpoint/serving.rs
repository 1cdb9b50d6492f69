//! A stream as a connection of lines and calls, whichever side opened it.
//!
//! It knows the handlers by their router, and neither listeners nor who else is connected.

use std::sync::Arc;
use std::time::Duration;

use super::connections::OpenConnection;
use super::incoming::Incoming;
use crate::client::Client;
use crate::clock::now;
use crate::conn::{Handle, Shared};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::handler::{AnyRaw, Router};
use crate::limits::{TIME_LEAST, at_least};
use crate::service::Tasks;
use crate::session::{Session, Side};
use crate::stream::Connection;
use crate::transport::{self, Address, BoxedIo, Peer, SharedIo, TcpKeepalive};

/// Serves a stream that was accepted.
pub(super) fn accepted(
    router: &Arc<Router>,
    incoming: Incoming,
) -> (impl Future<Output = ()> + use<>, OpenConnection) {
    let Incoming { io, peer, refused, tasks } = incoming;
    let (driver, shared) = driver(router, io, peer, Side::Accepted, Some(tasks));
    turn_away(&shared, refused);
    (driver.run(), OpenConnection::Stream(shared))
}

/// Lends a stream that was accepted to a handler, as long as that wants it.
pub(super) fn accepted_raw(
    router: &Arc<Router>,
    handler: Arc<AnyRaw>,
    incoming: Incoming,
) -> (impl Future<Output = ()> + use<>, OpenConnection) {
    let Incoming { io, peer, refused, .. } = incoming;
    let (driver, shared) = driver(router, io, peer, Side::Accepted, None);
    shared.with(Session::silence);
    turn_away(&shared, refused);
    (driver.run_raw(handler), OpenConnection::Stream(shared))
}

/// Serves a stream that is open already, until it ends by itself.
pub(super) fn alone(router: &Arc<Router>, io: BoxedIo) -> impl Future<Output = ()> + use<> {
    let (driver, _) = driver(router, io, Peer::unknown(), Side::Accepted, None);
    driver.run()
}

/// Tells a peer why there is no place for it.
fn turn_away(shared: &Shared, refused: Option<Error>) {
    if let Some(error) = refused {
        shared.with(|session| session.turn_away(&error));
    }
}

/// Opens a stream, within the time of one call.
pub(super) async fn dial(
    router: &Router,
    address: impl TryInto<Address, Error: Into<Error>>,
    tcp_keepalive: Option<TcpKeepalive>,
) -> Result<(BoxedIo, Peer)> {
    let address = Address::of(address)?;
    transport::dial(&address, router.limits().call_time_max, tcp_keepalive).await
}

/// A time after which a peer that is dialled is asked whether it is there.
///
/// # Panics
///
/// If it can't work.
#[track_caller]
pub(super) fn checked_keepalive(time: Duration) -> Duration {
    if let Err(error) = at_least("the time of keepalive", &time, &TIME_LEAST) {
        panic!("{}", error.text());
    }
    time
}

/// Serves a stream that this side has opened, and calls over it.
pub(super) fn dialled(
    router: &Arc<Router>,
    io: BoxedIo,
    peer: Peer,
    keepalive_time: Option<Duration>,
) -> Client {
    let (driver, shared) = driver(router, io, peer, Side::Dialled, None);
    if let Some(time) = keepalive_time {
        shared.with(|session| session.keep_alive(now(), time));
    }
    tokio::spawn(driver.run());
    Client::over_connection(Handle::owner(shared))
}

/// The driver of a connection, and what it shares.
fn driver(
    router: &Arc<Router>,
    io: BoxedIo,
    peer: Peer,
    side: Side,
    tasks: Option<Arc<Tasks>>,
) -> (Box<Driver>, Arc<Shared>) {
    let (limits, quota) = (router.limits(), router.quota());
    let io = SharedIo::new(io);
    let connection = Connection::new(io.clone(), peer.clone(), Arc::clone(limits), quota);
    let shared = Shared::new(side, io, peer, Arc::clone(limits), Arc::clone(quota), tasks);
    if router.is_silent() {
        shared.with(Session::silence);
    }
    let driver = Driver::new(connection, Arc::clone(&shared), Arc::clone(router));
    (driver, shared)
}
