//! What every value of serde can be spoken in: the formats that say themselves what they mean, as
//! far as they have a form for it. Gob is there for Go: a type of which Go would pass over a field
//! is not offered in it.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "json")]
use super::Format;
#[cfg(feature = "json")]
use super::Json;
#[cfg(feature = "gob")]
use super::gob::{Gob, is_for_go};
use super::{Codec, Tongues};

impl<T: Serialize + DeserializeOwned> Tongues for T {
    fn tongues() -> Vec<Codec<T>> {
        let tongues: Vec<Option<Codec<T>>> = vec![
            #[cfg(feature = "json")]
            <Json as Format<T>>::check().ok().map(|()| Codec::of::<Json>()),
            #[cfg(feature = "gob")]
            is_for_go::<T>().then(Codec::of::<Gob>),
        ];
        tongues.into_iter().flatten().collect()
    }
}
