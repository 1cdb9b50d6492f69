//! The frames of the wire as a codec of tokio-util.
//!
//! Only the traits are here; what a frame is, and why nothing that comes is an error, stands in
//! `wire/frames.rs`.

use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::wire::{Frame, Frames};

/// Nothing that comes is an error, and nothing is lost at the end of the stream.
impl Decoder for Frames {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<Frame>> {
        Ok(Self::decode(self, input))
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> io::Result<Option<Frame>> {
        Ok(self.decode_end(input))
    }
}

/// Writes what was read, byte for byte. It never fails.
impl Encoder<Frame> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> io::Result<()> {
        frame.encode(out);
        Ok(())
    }
}

/// The same for a frame that is kept.
impl Encoder<&Frame> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: &Frame, out: &mut BytesMut) -> io::Result<()> {
        frame.encode(out);
        Ok(())
    }
}
