//! What has been read ahead of a stream: how it comes into its buffer, and the memory goes back.
//!
//! A connection on which nothing comes holds no buffer, and none is larger than what has come:
//! little is read by way of the stack, much into room that grows with what is there. The room is
//! charged to the endpoint before it is made, and with it what else is held of what was read
//! (`other_bytes`), which the connection says. Whoever takes bytes out settles after it.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::error::{Error, Result};
use crate::quota::{Quota, Reservation};
use crate::transport::SharedIo;

/// The bytes that have been read and not been used, and what they are charged.
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    account: Account,
}

/// What the buffer of a connection is charged.
pub(crate) struct Account {
    // The most that has waited in the buffer since it was made, and in the last large one before.
    bytes_peak: usize,
    bytes_peak_before: usize,
    // Held beside the buffer.
    other_bytes: usize,
    reservation: Reservation,
}

impl Input {
    /// Nothing so far, to be charged to `quota`.
    pub(super) fn new(quota: &Arc<Quota>) -> Self {
        let reservation = Reservation::new(quota);
        let account = Account { bytes_peak: 0, bytes_peak_before: 0, other_bytes: 0, reservation };
        Self { bytes: BytesMut::new(), account }
    }

    /// Is charged to `quota` from the next read on, with nothing beside the buffer.
    pub(super) fn charge_to(&mut self, quota: &Arc<Quota>) {
        self.account.reservation = Reservation::new(quota);
        self.account.other_bytes = 0;
    }

    /// Reads what is there, at least one byte unless the stream has ended; answers how many.
    /// `missing` bytes are known to be wanted.
    ///
    /// # Errors
    ///
    /// `disconnected` if the stream fails, `overloaded` if the endpoint cannot hold more.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut SharedIo,
        missing: usize,
    ) -> Poll<Result<usize>> {
        let spare = self.bytes.capacity().saturating_sub(self.bytes.len());
        // The end of a large body goes where there is room for it, and nothing from behind it.
        let is_end = (1..=spare).contains(&missing) && self.bytes.len() > STACK_BYTES;
        let count = if missing > STACK_BYTES || spare >= STACK_BYTES || is_end {
            let came = self.bytes.len().max(self.account.bytes_peak_before);
            self.reserve(room_for(missing, came))?;
            // Not what comes behind a body: the body will own the buffer.
            let most = if is_end { missing } else { missing.max(STACK_BYTES) };
            let mut room = (&mut self.bytes).limit(most);
            ready!(pin!(io.read_buf(&mut room)).poll(cx)).map_err(Error::of_stream)?
        } else {
            match self.poll_fill_from_stack(cx, io) {
                Poll::Ready(count) => count.map_err(Error::of_stream)?,
                Poll::Pending => return Poll::Pending,
            }
        };
        self.account.bytes_peak = self.account.bytes_peak.max(self.bytes.len());
        self.account.cover(self.bytes.capacity())?;
        Poll::Ready(Ok(count))
    }

    /// Makes room, which is charged before it is there.
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        let spare = self.bytes.capacity().saturating_sub(self.bytes.len());
        if spare < bytes {
            let wanted = self.bytes.len().saturating_add(bytes);
            self.account.cover(wanted)?;
            // Exactly, for the body will keep what is too much; `BytesMut` would make it twice as
            // large at least.
            let mut buffer = Vec::from(std::mem::take(&mut self.bytes));
            buffer.reserve_exact(bytes);
            self.bytes = BytesMut::from(Bytes::from(buffer));
        }
        Ok(())
    }

    /// The bytes that wait, and the account of them for whoever takes some out.
    pub(super) fn lend(&mut self) -> (&mut BytesMut, &mut Account) {
        (&mut self.bytes, &mut self.account)
    }

    /// Charges so much beside the buffer, from now on.
    ///
    /// # Errors
    ///
    /// `overloaded` if that is more than before, and the endpoint cannot hold it.
    pub(super) fn charge_other(&mut self, bytes: usize) -> Result<()> {
        let is_more = bytes > self.account.other_bytes;
        self.account.other_bytes = bytes;
        if is_more { self.account.cover(self.bytes.capacity()) } else { Ok(()) }
    }

    /// Charges no more than what waits; see [`Account::settle`].
    pub(super) fn settle(&mut self) {
        self.account.settle(&mut self.bytes);
    }

    /// Gives back the memory of a buffer that nothing waits in, or little after much.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.account.bytes_peak = 0;
        }
        self.settle();
    }

    /// Reads by way of the stack, so that a connection on which nothing comes holds no buffer.
    fn poll_fill_from_stack(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut SharedIo,
    ) -> Poll<io::Result<usize>> {
        let mut stack = [const { std::mem::MaybeUninit::uninit() }; STACK_BYTES];
        let mut buffer = ReadBuf::uninit(&mut stack);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        self.bytes.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl Account {
    /// Charges no more than what waits in `input`: what was taken out is its taker's, with the
    /// buffer if that is large.
    pub(crate) fn settle(&mut self, input: &mut BytesMut) {
        self.leave_large_buffer(input);
        // Covering less cannot fail.
        let _ = self.cover(input.capacity());
    }

    /// Moves little that waits out of a buffer that much has waited in: else a body that was taken
    /// out of it would live as long as what came behind it.
    fn leave_large_buffer(&mut self, input: &mut BytesMut) {
        let is_large = self.bytes_peak > STACK_BYTES.saturating_mul(2);
        if is_large && input.len() <= STACK_BYTES {
            self.bytes_peak_before = self.bytes_peak.min(PEAK_BEFORE_MAX);
            *input = BytesMut::from(&**input);
            self.bytes_peak = input.len();
        }
    }

    /// Charges a buffer with so many bytes of memory: the whole of it, empty places and all.
    fn cover(&mut self, buffer_bytes: usize) -> Result<()> {
        self.reservation.cover(buffer_bytes.saturating_add(self.other_bytes))
    }
}

/// Bytes to make room for when `missing` are wanted and so many `came`, of this body or of a large
/// one before: as much again as came, never what was merely announced. The last step takes up to
/// three times as much, so that it is no small one for which the whole buffer would move: at most
/// half of what is wanted moves.
fn room_for(missing: usize, came: usize) -> usize {
    let came = came.max(STACK_BYTES);
    if missing / 3 <= came { missing } else { came }
}

/// So much of what came before is believed to come again: the items of a file that is copied.
const PEAK_BEFORE_MAX: usize = 64 * 1024;

/// Read at once by way of the stack.
pub(super) const STACK_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_buffer_moves_at_most_half_of_what_is_wanted() {
        let sizes = [1, STACK_BYTES, STACK_BYTES + 1, 1 << 20, (1 << 20) + 25, 16 << 20];
        for wanted in sizes {
            let (mut here, mut moved) = (0, 0);
            while here < wanted {
                let room = room_for(wanted - here, here);
                assert!(room <= (3 * here).max(3 * STACK_BYTES), "{room} for {here} of {wanted}");
                moved = here;
                here += room;
            }
            assert_eq!(here, wanted);
            assert!(moved <= wanted / 2, "{moved} of {wanted} move in the last step");
        }
    }
}
