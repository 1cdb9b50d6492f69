//! The details of an error: a value for programs beside the text for people.
//!
//! An author gives a value when nobody knows yet in which format the call speaks. So it is kept as
//! a function that encodes it in any format of serde, and becomes bytes where the reply would. They
//! are read the same way, in the format of the call that failed.

#[cfg(feature = "io")]
use std::ops::Range;
use std::sync::Arc;

use ::bytes::Bytes;
#[cfg(feature = "io")]
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
    /// of the call that failed.
    ///
    /// # Errors
    ///
    /// What the format says of a value that is not a `T`.
    #[must_use]
    pub fn details<T: Serialize + DeserializeOwned + 'static>(&self) -> Option<Result<T>> {
        let (format, bytes) = self.encoded_details()?;
        let Some(codec) = codec::<T>(format) else {
            let text = "the details are in a format that this side does not speak";
            return Some(Err(Self::local(Code::UnsupportedFormat, text)));
        };
        let budget = Budget::new(&Limits::default(), bytes.len());
        Some((codec.decode)(Bytes::clone(bytes), &budget).map_err(Self::of_reply))
    }
}

#[cfg(feature = "io")]
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
        let Range { start: first, end: next } = there;
        let text = match next.checked_sub(1).filter(|last| *last >= first) {
            Some(last) => {
                format!("the positions {first} to {last} are there, and {next} is the next")
            }
            None => format!("nothing is there, and {next} is the next"),
        };
        Self::new(Code::NotFound, text).with_details(Positions { first, next })
    }

    /// The positions that are there, the last one not included, if this is the error of a call that
    /// wanted to go on at another one; see
    /// [`StreamedCall::resume_at`](crate::StreamedCall::resume_at). `None` of any other error. A
    /// caller that is ahead of them has read what the source has lost: to go on at their beginning
    /// would repeat some.
    #[must_use]
    pub fn positions(&self) -> Option<Range<u64>> {
        let Positions { first, next } = self.details::<Positions>()?.ok()?;
        (self.code() == Code::NotFound).then_some(first..next)
    }
}

/// The positions of a source, for whoever wants to go on at another one.
#[cfg(feature = "io")]
#[derive(Serialize, Deserialize)]
struct Positions {
    first: u64,
    next: u64,
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
