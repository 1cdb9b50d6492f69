//! Go's `net/rpc`, both ways: a door for each connection that is served, and a channel for each
//! that is dialled.
//!
//! Limits, draining and the report are those of any other caller, and the handlers see who calls.
//! Only mistakes in a row are not counted: many goroutines may share a connection, and one that
//! guesses names would end the calls of the others. Go's own server does not count them either.

use std::sync::Arc;

use super::connections::OpenConnection;
use crate::client::Client;
use crate::handler::Router;
use crate::net_rpc::{client, log_end, net_rpc};
use crate::service::Door;
use crate::stream::Connection;
use crate::transport::{BoxedIo, Peer, SharedIo};

/// Serves a stream that was accepted by calls through a door of its own.
pub(super) fn accepted(
    router: &Router,
    door: Door,
    io: BoxedIo,
    peer: Peer,
) -> (impl Future<Output = ()> + use<>, OpenConnection) {
    let (limits, quota) = (Arc::clone(router.limits()), router.quota());
    let mut connection = Connection::new(SharedIo::new(io), peer, limits, quota);
    let open = OpenConnection::Door(door.clone());
    let served = async move {
        let ended = net_rpc(&mut connection, &door).await;
        if let Err(error) = &ended {
            log_end(connection.peer(), error);
        }
        if connection.end().await && ended.is_err() {
            connection.linger().await;
        }
    };
    (served, open)
}

/// Calls the server at the other end of a stream that this side has opened.
pub(super) fn dialled(router: &Router, io: BoxedIo, peer: Peer) -> Client {
    client(io, peer, router.limits(), router.quota())
}
