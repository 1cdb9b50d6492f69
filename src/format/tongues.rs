//! What every value of serde can be spoken in: the formats that say themselves what they mean, as
//! far as they have a form for it.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(any(feature = "gob", feature = "json"))]
use super::Format;
#[cfg(feature = "gob")]
use super::Gob;
#[cfg(feature = "json")]
use super::Json;
use super::{Codec, Tongues};

impl<T: Serialize + DeserializeOwned> Tongues for T {
    fn tongues() -> Vec<Codec<T>> {
        let tongues: Vec<Option<Codec<T>>> = vec![
            #[cfg(feature = "json")]
            <Json as Format<T>>::check().ok().map(|()| Codec::of::<Json>()),
            #[cfg(feature = "gob")]
            <Gob as Format<T>>::check().ok().map(|()| Codec::of::<Gob>()),
        ];
        tongues.into_iter().flatten().collect()
    }
}
