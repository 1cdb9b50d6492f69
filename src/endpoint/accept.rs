//! The accept loop: never ends by itself, never spins, never waits for a peer.
//!
//! | accept gives              | what is done                                           |
//! |---------------------------|--------------------------------------------------------|
//! | a stream, and a permit    | a task serves it                                       |
//! | a handshake, and a permit | a task makes it, and then serves what came of it       |
//! | a stream, but no permit   | it is told `overloaded`, and closed                    |
//! | a handshake, but no permit| it is closed                                           |
//! | an error                  | a pause of 10 ms, twice as long after each, up to 1 s  |
//! | at the end, a stream      | as before: it is told `shutting_down`, not reset       |
//! | at the end, a handshake   | it is closed, also one that is under way               |
//!
//! Errors come from a process that is out of file descriptors or memory as a rule. Trying again at
//! once burned a whole core and accepted nobody sooner.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::unconstrained;
use tokio::time::timeout;

use super::connections::{Connections, OpenConnection};
use super::incoming::Incoming;
use super::limiter::{ConnectionLimiter, ConnectionPermit};
use crate::clock::after;
use crate::error::Error;
use crate::limits::Limits;
use crate::service::caught;
use crate::transport::{Accepted, Begun, BoxedIo, Handshake, Listener, Peer};

/// One listener being served.
pub(super) struct Accept<S> {
    limiter: Arc<ConnectionLimiter>,
    // How one stream is served or refused, and how it is told to end.
    serve: Arc<S>,
    handshake_time_max: Duration,
    drain_time_max: Duration,
    connections: Arc<Connections>,
    // Those who are being told that there is no place for them.
    refusals: Arc<Semaphore>,
    report: Report,
}

/// The counts of an endpoint's serving, given when it has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections that were served.
    pub connections: u64,
    /// Connections whose handshake failed, took too long, or was under way at the end. It is 0 if
    /// the listener gives streams.
    pub handshakes_failed: u64,
    /// Connections that were turned away at the door.
    pub connections_refused: u64,
    /// Tagged calls that got an answer or an error, from their handler or from the library. Calls
    /// over a limit of their connection do not count, nor do calls that came when it was closing.
    pub calls_answered: u64,
    /// Calls that ended with their connection: it was lost, or `drain_time_max` had passed.
    pub calls_cut_off: u64,
    /// One-way calls that ran to their end or to their deadline.
    pub one_way_calls: u64,
    /// One-way calls that did not run, without their callers hearing of it: the endpoint was full
    /// or stopping, there is no such command, or the payload was too large or bad. Their number is
    /// also logged, at most once a second. Calls that were not yet read when their connection ended
    /// are in no count.
    pub one_way_calls_refused: u64,
    /// Plain calls that were begun, however they ended, also those of no command. Plain calls that
    /// came when their connection was closing do not count, and a connection of
    /// [`serve_raw`](crate::Endpoint::serve_raw) is no call.
    pub plain_calls: u64,
    /// Tasks that handlers had [spawned](crate::Context::spawn), and that were dropped when
    /// `drain_time_max` had passed. Of datagrams for a handler of the program's own, the handlers
    /// as well.
    pub tasks_cut_off: u64,
    /// Datagrams that were dropped without a word: they were no call, too long, of nobody who can
    /// be answered, or over a bound of their address or of all. It is 0 for streams.
    pub datagrams_dropped: u64,
}

impl<S, F> Accept<S>
where
    S: Fn(Incoming) -> (F, OpenConnection) + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    pub(super) fn new(limiter: Arc<ConnectionLimiter>, limits: &Limits, serve: S) -> Self {
        let &Limits { handshake_time_max, drain_time_max, .. } = limits;
        Self {
            limiter,
            serve: Arc::new(serve),
            handshake_time_max,
            drain_time_max,
            connections: Arc::default(),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            report: Report::default(),
        }
    }

    /// Accepts until `stop` is ready, then drains.
    pub(super) async fn run(mut self, mut listener: impl Listener, stop: impl Future) -> Report {
        let mut stop = pin!(stop);
        let mut pause = PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((io, peer)) => {
                    pause = PAUSE_MIN;
                    self.welcome(io.begin(), peer);
                }
                Err(error) => {
                    if pause == PAUSE_MIN {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    if timeout(pause, &mut stop).await.is_ok() {
                        break;
                    }
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
        self.connections.close();
        let drained = after(self.drain_time_max);
        self.welcome_waiting(&mut listener).await;
        drop(listener);
        self.connections.empty().await;
        let tasks_cut_off = self.connections.tasks().end(drained).await;
        let (connections, handshakes_failed, tally) = self.connections.outcome();
        Report {
            connections,
            handshakes_failed,
            calls_answered: tally.answered,
            calls_cut_off: tally.cut_off,
            one_way_calls: tally.one_way,
            one_way_calls_refused: tally.one_way_refused,
            plain_calls: tally.plain,
            tasks_cut_off,
            ..self.report
        }
    }

    /// Takes in those whom the system has let in already. Closing the listener would reset their
    /// connections, and none of them could know whether the calls that it has sent have run.
    async fn welcome_waiting(&mut self, listener: &mut impl Listener) {
        for _ in 0..WAITING_MAX {
            // The runtime has to look at the listener once more, to know who waits.
            tokio::task::yield_now().await;
            let mut accept = pin!(unconstrained(listener.accept()));
            let accepted = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await;
            let Poll::Ready(Ok((io, peer))) = accepted else { break };
            self.welcome(io.begin(), peer);
        }
    }

    fn welcome(&mut self, accepted: Begun, peer: Peer) {
        match (self.limiter.acquire(&peer), accepted) {
            (Ok(permit), Begun::Stream(io)) => self.serve(io, peer, permit),
            (Ok(permit), Begun::Handshake(handshake)) => self.shake_hands(handshake, peer, permit),
            (Err(error), accepted) => {
                let refused = &mut self.report.connections_refused;
                *refused = refused.saturating_add(1);
                tracing::info!(peer = %peer, %error, "turned a connection away");
                match accepted {
                    Begun::Stream(io) => self.refuse(io, peer, error),
                    // It is somebody else's code that is dropped here.
                    Begun::Handshake(handshake) => drop(caught(|| drop(handshake))),
                }
            }
        }
    }

    fn serve(&self, io: BoxedIo, peer: Peer, permit: ConnectionPermit) {
        let (served, connection) = (self.serve)(self.connections.incoming(io, peer, None));
        let registration = self.connections.register(&connection);
        tokio::spawn(async move {
            served.await;
            drop((registration, permit));
        });
    }

    /// Makes a stream of a connection, and serves it, all in its own task.
    fn shake_hands(&self, handshake: Handshake, peer: Peer, permit: ConnectionPermit) {
        let registration = self.connections.register(&OpenConnection::Handshake);
        let (serve, time_max) = (Arc::clone(&self.serve), self.handshake_time_max);
        let (connections, limiter) = (Arc::clone(&self.connections), Arc::clone(&self.limiter));
        let handshake = timeout(time_max, handshake.run());
        tokio::spawn(async move {
            let draining = connections.tasks().draining();
            let made = tokio::select! {
                biased;
                () = draining.cancelled() => return,
                made = handshake => made,
            };
            let (io, peer) = match made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(made) => made,
                Err(error) => {
                    tracing::info!(peer = %peer, %error, ?time_max, "a handshake failed");
                    limiter.note_handshake_failed();
                    return;
                }
            };
            let (served, connection) = serve(connections.incoming(io, peer, None));
            registration.become_open(&connection);
            served.await;
            drop((registration, permit));
        });
    }

    /// Tells a peer why there is no place, if that can be done on the side.
    fn refuse(&self, io: BoxedIo, peer: Peer, error: Error) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let (served, _) = (self.serve)(self.connections.incoming(io, peer, Some(error)));
        tokio::spawn(async move {
            // A peer that does not listen is not waited for.
            let _ = timeout(REFUSAL_TIME_MAX, served).await;
            drop(permit);
        });
    }
}

impl<S> Drop for Accept<S> {
    /// Not waiting for the drain any longer does not stop it.
    fn drop(&mut self) {
        self.connections.close();
    }
}

/// The pause after the first accept that failed.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Those who are taken in at the end: no more than may wait at a listener as a rule.
const WAITING_MAX: usize = 4096;

/// Peers that are told at one time that there is no place for them; more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// Time for telling one.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
