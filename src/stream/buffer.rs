//! How bytes come into the buffer of a connection, and its memory goes back.
//!
//! A connection on which nothing comes holds no buffer, and none is larger than what has come:
//! little is read by way of the stack, much into room that grows with what is there. The room is
//! charged to the endpoint before it is made.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::{Connection, STACK_BYTES};
use crate::error::Result;
use crate::quota::{Charge, Quota};

/// What the buffer of a connection is charged, while it is lent.
pub(crate) struct Settling<'a> {
    input_bytes_peak: &'a mut usize,
    other_bytes: usize,
    held: &'a mut Charge,
    quota: &'a Arc<Quota>,
}

impl Connection {
    /// Reads what is there, at least one byte unless the stream has ended; answers how many.
    /// `missing` bytes are known to be wanted.
    ///
    /// # Errors
    ///
    /// `disconnected` if the stream fails, `overloaded` if the endpoint cannot hold more.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        missing: usize,
    ) -> Poll<Result<usize>> {
        let spare = self.input.capacity().saturating_sub(self.input.len());
        // The end of a large body goes where there is room for it, and nothing from behind it.
        let is_end = (1..=spare).contains(&missing) && self.input.len() > STACK_BYTES;
        let count = if missing > STACK_BYTES || spare >= STACK_BYTES || is_end {
            self.reserve(room_for(missing, self.input.len()))?;
            // Not what comes behind a body: the body will own the buffer.
            let most = if is_end { missing } else { missing.max(STACK_BYTES) };
            let mut room = (&mut self.input).limit(most);
            ready!(pin!(self.io.read_buf(&mut room)).poll(cx))?
        } else {
            match self.poll_fill_from_stack(cx) {
                Poll::Ready(count) => count?,
                Poll::Pending => return Poll::Pending,
            }
        };
        self.input_bytes_peak = self.input_bytes_peak.max(self.input.len());
        self.held.cover(&self.quota, self.held_bytes())?;
        Poll::Ready(Ok(count))
    }

    /// Makes room, which is charged before it is there.
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        let spare = self.input.capacity().saturating_sub(self.input.len());
        if spare < bytes {
            let wanted = self.input.len().saturating_add(bytes);
            let others = self.held_bytes().saturating_sub(self.input.capacity());
            self.held.cover(&self.quota, wanted.saturating_add(others))?;
            // Exactly, for the body will keep what is too much; `BytesMut` would make it twice as
            // large at least.
            let mut buffer = Vec::from(std::mem::take(&mut self.input));
            buffer.reserve_exact(bytes);
            self.input = BytesMut::from(Bytes::from(buffer));
        }
        Ok(())
    }

    /// The bytes that wait, and the account of them for whoever takes some out.
    pub(crate) fn lend_input(&mut self) -> (&mut BytesMut, Settling<'_>) {
        let other_bytes = self.other_bytes();
        let Self { input, input_bytes_peak, held, quota, .. } = self;
        (input, Settling { input_bytes_peak, other_bytes, held, quota })
    }

    /// Charges no more than what waits; see [`Settling::settle`].
    pub(crate) fn settle(&mut self) {
        let (input, mut settling) = self.lend_input();
        settling.settle(input);
    }

    /// Gives back the memory of a buffer that nothing waits in, or little after much.
    pub(crate) fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.input_bytes_peak = 0;
        }
        self.settle();
    }

    /// Reads by way of the stack, so that a connection on which nothing comes holds no buffer.
    fn poll_fill_from_stack(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stack = [const { std::mem::MaybeUninit::uninit() }; STACK_BYTES];
        let mut buffer = ReadBuf::uninit(&mut stack);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Bytes of memory that what was read takes: the whole buffer, empty places and all.
    fn held_bytes(&self) -> usize {
        self.input.capacity().saturating_add(self.other_bytes())
    }

    /// Bytes of memory that is charged beside the buffer.
    fn other_bytes(&self) -> usize {
        #[cfg(feature = "gob")]
        if let Some(gobs) = &self.gobs {
            return gobs.held_bytes();
        }
        0
    }
}

impl Settling<'_> {
    /// Charges no more than what waits in `input`: what was taken out is its taker's, with the
    /// buffer if that is large.
    pub(crate) fn settle(&mut self, input: &mut BytesMut) {
        self.leave_large_buffer(input);
        // Covering less cannot fail.
        let _ = self.held.cover(self.quota, input.capacity().saturating_add(self.other_bytes));
    }

    /// Moves little that waits out of a buffer that much has waited in: else a body that was taken
    /// out of it would live as long as what came behind it.
    fn leave_large_buffer(&mut self, input: &mut BytesMut) {
        let is_large = *self.input_bytes_peak > STACK_BYTES.saturating_mul(2);
        if is_large && input.len() <= STACK_BYTES {
            *input = BytesMut::from(&**input);
            *self.input_bytes_peak = input.len();
        }
    }
}

/// Bytes to make room for when `missing` are wanted and `here` have come: as much again as has
/// come, never what was merely announced. The last step takes up to three times as much, so that it
/// is no small one for which the whole buffer would move: at most half of what is wanted moves.
fn room_for(missing: usize, here: usize) -> usize {
    let here = here.max(STACK_BYTES);
    if missing / 3 <= here { missing } else { here }
}

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
