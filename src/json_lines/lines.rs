//! A stream, cut into lines of which none is longer than it may be.
//!
//! ```text
//!         blank                    too long: told at once
//!        ┌─────┐                 ┌────────────────────────┐
//!        ▼     │                 │                        ▼
//!   ┌─► Between ──a byte──► in a line ──LF, or the end──► (a line)
//!   │                            │
//!   └───────────── LF ── passing over the rest ◄── too long
//! ```
//!
//! A line that is too long is passed over and does no harm to the next one: where it ends is known
//! without reading it. Its time goes on all the while, so a line without an end ends the
//! connection.
//!
//! The end of the stream ends a line too: `printf` without `\n` is a usual mistake, and an object
//! that was cut off is no object, so half a request is never taken for a whole one.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::stream::{Connection, Wait};

/// Cuts what one peer sends. It outlives the reading, which stops for every answer.
pub(super) struct Lines {
    bytes_max: usize,
    // Bytes at the beginning of the input that have no line end in them.
    scanned: usize,
    is_passing: bool,
    is_over: bool,
    // `None` while nothing is read.
    wait: Option<Wait>,
}

/// What has come.
pub(super) enum Came {
    Line(Bytes),
    /// A line that is passed over, as far as it has come.
    TooLong(Bytes, Error),
    /// Nothing that is to be answered. What comes next has a time of its own.
    Nothing,
    /// The end of the peer's side.
    End,
}

impl Lines {
    pub(super) fn new(limits: &Limits) -> Self {
        // As much as a payload may have, and what is round it.
        let bytes_max = limits.payload_bytes_max.saturating_add(limits.line_bytes_max);
        Self { bytes_max, scanned: 0, is_passing: false, is_over: false, wait: None }
    }

    /// Sets the time for what is to come, if it is read now: none while it is not, and anew from
    /// when it is read again.
    pub(super) fn wait(&mut self, connection: &mut Connection, is_read: bool, is_busy: bool) {
        let has_begun = self.is_in_line(connection) || self.is_passing;
        if !has_begun {
            connection.release();
        }
        let limits = connection.limits();
        self.wait = match self.wait.take() {
            _ if !is_read => None,
            Some(wait) if has_begun => Some(wait),
            _ if has_begun => Some(connection.body_wait()),
            _ if is_busy => Some(endless()),
            _ => Some(Wait::idle(limits)),
        };
    }

    /// Whether a line has begun that is not passed over.
    pub(super) fn is_in_line(&self, connection: &mut Connection) -> bool {
        !self.is_passing && !connection.input().is_empty()
    }

    /// Reads the next line, or while none is wanted watches the stream. Cancel safe.
    ///
    /// # Errors
    ///
    /// Those of the stream, and `deadline_exceeded` or `overloaded`.
    pub(super) async fn come(
        &mut self,
        connection: &mut Connection,
        is_read: bool,
    ) -> Result<Came> {
        if is_read { self.next(connection).await } else { self.watch(connection).await }
    }

    async fn next(&mut self, connection: &mut Connection) -> Result<Came> {
        loop {
            if let Some(came) = self.take(connection.input()) {
                self.wait = None;
                return Ok(came);
            }
            if self.is_over {
                return Ok(Came::End);
            }
            if self.is_passing {
                connection.settle();
            }
            let wait = self.wait.get_or_insert_with(|| connection.wait());
            // Each read that finds nothing waiting would begin to count anew.
            let mut passing = wait.clone();
            let wait = if self.is_passing { &mut passing } else { wait };
            if connection.fill(wait, 0).await? == 0 {
                self.is_over = true;
            }
        }
    }

    /// Waits for something to come, and no more of it: that shows whether the peer is still there.
    async fn watch(&mut self, connection: &mut Connection) -> Result<Came> {
        if connection.fill(&mut endless(), 0).await? > 0 {
            return Ok(Came::Nothing);
        }
        self.is_over = true;
        Ok(Came::End)
    }

    /// Takes what is complete.
    fn take(&mut self, input: &mut BytesMut) -> Option<Came> {
        if self.is_passing {
            return self.pass(input);
        }
        if self.scanned == 0 && skip_blanks(input) && input.is_empty() {
            return Some(Came::Nothing);
        }
        let fresh = input.get(self.scanned..).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh).map(|end| self.scanned.saturating_add(end));
        let len = end.unwrap_or(input.len());
        self.scanned = len;
        if len > self.bytes_max {
            self.is_passing = true;
            let begin = input.split_to(len).freeze();
            self.scanned = 0;
            return Some(Came::TooLong(begin, self.too_long(len)));
        }
        if end.is_none() && (!self.is_over || input.is_empty()) {
            return None;
        }
        let line = input.split_to(len).freeze();
        if end.is_some() {
            input.advance(1);
        }
        self.scanned = 0;
        Some(Came::Line(line))
    }

    /// Drops what has come of a line that is passed over.
    fn pass(&mut self, input: &mut BytesMut) -> Option<Came> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            input.clear();
            return None;
        };
        input.advance(end.saturating_add(1));
        self.is_passing = false;
        Some(Came::Nothing)
    }

    fn too_long(&self, len: usize) -> Error {
        let max = self.bytes_max;
        let text = format!(
            "a line of {len} bytes or more is over payload_bytes_max and line_bytes_max \
             together ({max})"
        );
        Error::found(Code::TooLarge, text)
    }
}

/// Drops white space before a line, empty lines and all; whether there was any.
fn skip_blanks(input: &mut BytesMut) -> bool {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let blanks = input.iter().take_while(|byte| is_blank(byte)).count();
    input.advance(blanks);
    blanks > 0
}

/// While a call is under way, nothing need come.
fn endless() -> Wait {
    Wait::new("no line came", Duration::MAX)
}
