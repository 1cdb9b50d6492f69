//! The one-way calls, of whose loss nobody but [`OneWay::flush`] tells.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::conn::Shared;
use crate::error::{Code, Error, Result};

/// What has been handed over and is not known to be written.
#[derive(Default)]
pub(crate) struct OneWay {
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct Unwritten {
    // The connection of now comes last. Those before it took calls until a moment ago.
    connections: Vec<Entrusted>,
    // There were more, and they are gone.
    is_lost: bool,
}

/// What one connection was handed.
#[derive(Clone)]
struct Entrusted {
    id: u64,
    connection: Weak<Shared>,
    calls: u64,
}

impl OneWay {
    /// A call went over this connection.
    pub(crate) fn handed_over(&self, connection: &Arc<Shared>, id: u64) {
        let mut unwritten = self.unwritten();
        if let Some(entrusted) = unwritten.connections.last_mut().filter(|last| last.id == id) {
            entrusted.calls = entrusted.calls.wrapping_add(1);
            return;
        }
        let before = unwritten.connections.len();
        unwritten.connections.retain(|entrusted| entrusted.connection.strong_count() > 0);
        unwritten.is_lost |= unwritten.connections.len() < before;
        let connection = Arc::downgrade(connection);
        unwritten.connections.push(Entrusted { id, connection, calls: 1 });
    }

    /// Waits until what was handed over is written. What went over a connection that is gone may
    /// not have been, which is told once.
    pub(crate) async fn flush(&self) -> Result<()> {
        let connections = self.unwritten().connections.clone();
        let mut result = Ok(());
        for entrusted in &connections {
            let flushed = match entrusted.connection.upgrade() {
                Some(connection) => connection.flush().await,
                None => Err(lost()),
            };
            result = result.and(flushed);
        }
        let mut unwritten = self.unwritten();
        // More may have been handed over meanwhile.
        let is_told = |it: &Entrusted| connections.iter().any(|told| told.is(it));
        unwritten.connections.retain(|entrusted| !is_told(entrusted));
        if std::mem::take(&mut unwritten.is_lost) { result.and(Err(lost())) } else { result }
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrusted {
    fn is(&self, other: &Self) -> bool {
        (self.id, self.calls) == (other.id, other.calls)
    }
}

fn lost() -> Error {
    let text = "the connection ended, and it is not known what had been written";
    Error::local(Code::Disconnected, text).after_sending()
}
