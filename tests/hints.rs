//! A type that reserves what it is told to expect, as most do, is told no more than may come.

use std::fmt;

use serde::de::value::{
    self, MapAccessDeserializer, MapDeserializer, SeqAccessDeserializer, SeqDeserializer,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use switchboard::Limits;
use switchboard::format::Budget;

/// What a sequence or a map said of its length.
#[derive(PartialEq, Debug)]
struct Hint(Option<usize>);

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HintVisitor)
    }
}

struct HintVisitor;

impl<'de> Visitor<'de> for HintVisitor {
    type Value = Hint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence or a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Hint, A::Error> {
        let hint = access.size_hint();
        access.next_element::<u64>()?;
        // Some of what is left is set aside for those that were announced.
        assert!(access.size_hint() <= hint.map(|hint| hint.saturating_sub(1)));
        Ok(Hint(hint))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Hint, A::Error> {
        let hint = access.size_hint();
        access.next_entry::<u64, u64>()?;
        assert!(access.size_hint() <= hint.map(|hint| hint.saturating_sub(1)));
        Ok(Hint(hint))
    }
}

#[test]
fn a_hint_is_no_more_than_the_elements_that_are_left() {
    let limits = Limits::default().with(|limits| limits.spare_elements_max = 100);
    // (elements that the format announces, what the type is told, for a payload of ten bytes)
    for (announced, told) in [(0, 0), (5, 5), (110, 110), (111, 110), (1_u64 << 60, 110)] {
        let hint = Ok(Hint(Some(told)));
        let sequence = SeqDeserializer::<_, value::Error>::new(0..announced);
        let sequence = SeqAccessDeserializer::new(sequence);
        assert_eq!(Budget::new(&limits, 10).deserialize(sequence), hint, "{announced}");
        let entries = (0..announced).map(|key| (key, key));
        let map = MapAccessDeserializer::new(MapDeserializer::<_, value::Error>::new(entries));
        assert_eq!(Budget::new(&limits, 10).deserialize(map), hint, "{announced}");
    }
}
