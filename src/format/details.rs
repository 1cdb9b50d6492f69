//! The details of an error: a value for programs beside the text for people.
//!
//! An author gives a value when nobody knows yet in which format the call speaks. So it is kept as
//! a function that encodes it in any format of serde, and becomes bytes where the reply would. They
//! are read the same way, in the format of the call that failed.

#[cfg(any(feature = "io", feature = "blocking"))]
use std::ops::Range;
use std::sync::Arc;

use ::bytes::Bytes;
#[cfg(any(feature = "io", feature = "blocking"))]
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Budget, Codec, without_surplus};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

impl Error {
    /// Adds a value for programs, which crosses the wire in the format of the call: `bincode`,
    /// `postcard`, `json` or `gob`. In a call in another format, and where the value has no payload
    /// or one over `payload_bytes_max`, the error is sent without it.
    ///
    /// ```
    /// # #[cfg(all(feature = "bincode", feature = "io"))] {
    /// use serde::{Deserialize, Serialize};
    /// use switchboard::{Code, Command, Endpoint, Error};
    ///
    /// #[derive(Debug, PartialEq, Serialize, Deserialize)]
    /// struct Missing {
    ///     id: u32,
    /// }
    ///
    /// const OPEN: Command<u32, ()> = Command::new("OPEN");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// let endpoint = Endpoint::new().on(OPEN, async |id: u32| {
    ///     Err::<(), _>(Error::new(Code::NotFound, "no such job").with_details(Missing { id }))
    /// });
    ///
    /// let error = endpoint.client().call(OPEN, &7).await.unwrap_err();
    /// assert_eq!(error.details::<Missing>().transpose()?, Some(Missing { id: 7 }));
    /// # Ok(())
    /// # } }
    /// ```
    #[must_use]
    pub fn with_details<T>(self, value: T) -> Self
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.with_encoder(Arc::new(move |format, bytes_max| {
            let codec = codec::<T>(format)?;
            let limits = Limits::default().with(|limits| limits.payload_bytes_max = bytes_max);
            let mut out = ::bytes::BytesMut::new();
            (codec.encode)(&value, &limits, &mut out).ok()?;
            let out = Some(out).filter(|bytes| bytes.len() <= bytes_max)?;
            // They are charged with their length, and may wait to be written.
            Some(without_surplus(out).freeze())
        }))
    }

    /// The value that the peer sent with the error; `None` if it sent no value. It is in the format
    /// of the call that failed. An error with [`positions`](Self::positions) has no other value.
    ///
    /// A format without field names, such as `bincode`, does not tell one type from another: what
    /// it says here may be a value that was written as another type. So let each code of a command
    /// have details of one type.
    ///
    /// # Errors
    ///
    /// What the format says of a value that is not a `T`.
    #[must_use]
    pub fn details<T: Serialize + DeserializeOwned + 'static>(&self) -> Option<Result<T>> {
        #[cfg(any(feature = "io", feature = "blocking"))]
        if self.positions().is_some() {
            return None;
        }
        self.decoded_details()
    }

    fn decoded_details<T>(&self) -> Option<Result<T>>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let (format, bytes) = self.encoded_details()?;
        let Some(codec) = codec::<T>(format) else {
            let text = "the details are in a format that this side does not speak";
            return Some(Err(Self::local(Code::UnsupportedFormat, text)));
        };
        let budget = Budget::new(&Limits::default(), bytes.len());
        Some((codec.decode)(Bytes::clone(bytes), &budget).map_err(Self::of_reply))
    }
}

#[cfg(any(feature = "io", feature = "blocking"))]
impl Error {
    /// The error of a call that wants to go on at a position that its source has no more, or not
    /// yet: `not_found`, with the positions that are there, the last one not included.
    ///
    /// ```
    /// use switchboard::{Code, Error};
    ///
    /// let error = Error::no_such_position(100..250);
    /// assert_eq!(error.code(), Code::NotFound);
    /// assert_eq!(error.text(), "the positions 100 to 249 are there, and 250 is the next");
    /// ```
    #[must_use]
    pub fn no_such_position(there: Range<u64>) -> Self {
        let positions = Positions { first: there.start, next: there.end };
        Self::new(Code::NotFound, positions.text()).with_details(positions)
    }

    /// The positions that are there, the last one not included, if this is
    /// [that error](Self::no_such_position) of a call that wanted to go on at another one, by
    /// [`StreamedCall::resume_at`](crate::StreamedCall::resume_at), or that was told at which one
    /// its items begin. `None` of any other call, and of a `not_found` with details of another
    /// type: a format with field names tells them apart by the names, and any other format only
    /// by the text, which is that of the library.
    ///
    /// A caller that is ahead of the positions has read what the source has lost: to go on at their
    /// beginning would repeat some.
    #[must_use]
    pub fn positions(&self) -> Option<Range<u64>> {
        if !self.has_positions() || self.code() != Code::NotFound {
            return None;
        }
        let positions = self.decoded_details::<Positions>()?.ok()?;
        let has_names = matches!(self.encoded_details(), Some(("json" | "gob", _)));
        let is_ours = has_names || positions.text() == self.text();
        is_ours.then_some(positions.first..positions.next)
    }
}

/// The positions of a source, for whoever wants to go on at another one.
#[cfg(any(feature = "io", feature = "blocking"))]
#[derive(Serialize, Deserialize)]
struct Positions {
    first: u64,
    next: u64,
}

#[cfg(any(feature = "io", feature = "blocking"))]
impl Positions {
    fn text(&self) -> String {
        let Self { first, next } = self;
        match next.checked_sub(1).filter(|last| last >= first) {
            Some(last) => {
                format!("the positions {first} to {last} are there, and {next} is the next")
            }
            None => format!("nothing is there, and {next} is the next"),
        }
    }
}

/// The format of this name, if it is one of serde.
fn codec<T: Serialize + DeserializeOwned>(format: &str) -> Option<Codec<T>> {
    let codecs: Vec<Codec<T>> = vec![
        #[cfg(feature = "bincode")]
        Codec::<T>::of::<super::Bincode>(),
        #[cfg(feature = "json")]
        Codec::<T>::of::<super::Json>(),
        #[cfg(feature = "postcard")]
        Codec::<T>::of::<super::Postcard>(),
        #[cfg(feature = "gob")]
        Codec::<T>::of::<super::Gob>(),
    ];
    codecs.into_iter().find(|codec| codec.name == format)
}
