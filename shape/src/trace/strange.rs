//! A struct or an enum with a name in it that it has not announced: is it taken?

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, EnumAccess, MapAccess};

use super::error::Error;
use super::graph::Graph;

/// A name that no struct and no enum has announced.
const NAME: &str = "a name of nothing";

/// Whether the name is taken is all that is to be known.
pub(super) struct Strange<'g> {
    pub(super) graph: &'g mut Graph,
    pub(super) node: usize,
}

impl Strange<'_> {
    fn look<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Error {
        let name = BorrowedStrDeserializer::<Error>::new(NAME);
        self.graph.note_open(self.node, seed.deserialize(name).is_ok());
        self.graph.finish()
    }
}

impl<'de> MapAccess<'de> for Strange<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        Err(self.look(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value, Error> {
        Err(self.graph.finish())
    }
}

impl<'de> EnumAccess<'de> for Strange<'_> {
    type Error = Error;
    type Variant = <U32Deserializer<Error> as EnumAccess<'de>>::Variant;

    fn variant_seed<S: DeserializeSeed<'de>>(
        mut self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Error> {
        Err(self.look(seed))
    }
}
