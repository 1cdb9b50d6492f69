//! Several addresses and one connection: to the one that answers first.
//!
//! A name often has several addresses, and some of them may be silent: its IPv6 where only IPv4
//! gets through, or the one of a machine that is switched off. Tried one after the other, the first
//! of those would take all the time there is. So attempts are staggered, as RFC 8305 ("Happy
//! Eyeballs") says in its sections 4 and 5: in the order of the resolver, the two families in turn;
//! the next when the one before has failed, or after 250 ms at the latest; and the first that
//! connects ends all others.
//!
//! How a name is looked up is not seen to here: the system does it, all addresses at once.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::transport::addresses::alternated;

/// Connects to one of the addresses, and tells which.
pub(super) async fn first_of<S, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(S, SocketAddr)>
where
    F: Future<Output = io::Result<S>>,
{
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut waiting = alternated(addresses).into_iter();
    let mut running = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            running.push((Box::pin(connect(address)), address));
        }
        if running.is_empty() {
            return Err(failure);
        }
        let ended = tokio::select! {
            biased;
            ended = next_end(&mut running) => ended,
            () = sleep(DELAY), if waiting.len() > 0 => continue,
        };
        match ended {
            (Ok(stream), address) => return Ok((stream, address)),
            // That somebody refused tells more than that nobody can be reached.
            (Err(_), _) if failure.kind() == io::ErrorKind::ConnectionRefused => {}
            (Err(error), _) => failure = error,
        }
    }
}

/// Waits for the end of one of the attempts, and takes it out.
async fn next_end<F: Future>(
    running: &mut Vec<(Pin<Box<F>>, SocketAddr)>,
) -> (F::Output, SocketAddr) {
    poll_fn(|cx| {
        // They are few, so all are looked at each time.
        for (index, (attempt, address)) in running.iter_mut().enumerate() {
            if let Poll::Ready(output) = attempt.as_mut().poll(cx) {
                let ended = (output, *address);
                running.swap_remove(index);
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

/// The "Connection Attempt Delay" that RFC 8305 recommends.
const DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
