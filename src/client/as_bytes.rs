//! A streamed call whose items are read or written as bytes.
//!
//! The call stays inside of its reader or writer, since it goes on only while it is polled, and its
//! final value comes from there. A call with items both ways is [split](StreamedCall::split) first.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::streamed::StreamedCall;
use crate::asking::{Receives, Sends};
use crate::error::Result;
use crate::service::{ItemReader, ItemWriter, TakesBytes};
use crate::session::Item;

impl<Down, R> StreamedCall<Sends<Bytes>, Down, R> {
    /// Writes the items of the request as bytes: an [`AsyncWrite`](tokio::io::AsyncWrite), to copy
    /// a file to. See [`ItemWriter`] for how items are made. The call is sent when something is
    /// written, and given up if the writer is dropped.
    ///
    /// ```no_run
    /// use bytes::Bytes;
    /// use switchboard::{Client, Command, Result, Streamed, format};
    /// use tokio::fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// const STORE: Command<Streamed<Bytes, Bytes>, Bytes, format::Bytes> = Command::new("STORE");
    ///
    /// async fn upload(client: &Client) -> Result<Bytes> {
    ///     let mut file = File::open("notes").await?;
    ///     let mut upload = client.call(STORE, &Bytes::from("notes")).into_writer();
    ///     tokio::io::copy(&mut file, &mut upload).await?;
    ///     upload.shutdown().await?;
    ///     upload.finish().await
    /// }
    /// ```
    pub fn into_writer(self) -> ItemWriter<Self> {
        let item_bytes_max = self.limits().item_bytes_max;
        ItemWriter::new(self, item_bytes_max)
    }
}

impl<Up, R> StreamedCall<Up, Receives<Bytes>, R> {
    /// Reads the items of the reply as bytes: an [`AsyncRead`](tokio::io::AsyncRead), to copy into
    /// a file. See [`ItemReader`]. The call is sent when it is first read, and given up if the
    /// reader is dropped.
    ///
    /// ```no_run
    /// use bytes::Bytes;
    /// use switchboard::{Client, Command, Result, Streamed, format};
    /// use tokio::fs::File;
    ///
    /// const FETCH: Command<Bytes, Streamed<Bytes, Bytes>, format::Bytes> = Command::new("FETCH");
    ///
    /// async fn download(client: &Client) -> Result<Bytes> {
    ///     let mut download = client.call(FETCH, &Bytes::from("notes")).into_reader();
    ///     let mut file = File::create("notes").await?;
    ///     tokio::io::copy_buf(&mut download, &mut file).await?;
    ///     file.sync_all().await?;
    ///     download.finish().await
    /// }
    /// ```
    pub fn into_reader(self) -> ItemReader<Self> {
        ItemReader::new(self)
    }
}

impl<Down, R> ItemWriter<StreamedCall<Sends<Bytes>, Down, R>> {
    /// Waits for the final reply; what is gathered and the end are sent before, if they have not
    /// been.
    ///
    /// It ends the request, so it is not for whoever has failed to write all of it: drop the writer
    /// then.
    ///
    /// # Errors
    ///
    /// As [`StreamedCall::finish`]. If something that was written could not be sent, and the call
    /// has not ended by that, the call is given up, and the error is that of the write.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has given the call up.
    pub async fn finish(self) -> Result<R> {
        self.into_flushed().await?.finish().await
    }
}

impl<Up, R> ItemReader<StreamedCall<Up, Receives<Bytes>, R>> {
    /// Waits for the final reply. What has not been read is dropped.
    ///
    /// # Errors
    ///
    /// As [`StreamedCall::finish`]: if reading has already given the error that ended the call, it
    /// is the same error again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has given the call up.
    pub async fn finish(self) -> Result<R> {
        self.into_inner().finish().await
    }
}

impl<Down, R> TakesBytes for StreamedCall<Sends<Bytes>, Down, R> {
    fn encode(&self, bytes: Bytes) -> Result<Bytes> {
        self.encoded(&bytes)
    }

    fn poll_item(&mut self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        self.poll_payload(cx, item)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Self::poll_end(self, cx)
    }
}
