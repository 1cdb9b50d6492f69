//! Payloads that claim or make much: elements, lengths and memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::de::value::{self, SeqDeserializer};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Limits, Result};

use crate::checks::{OVER_MEMORY, check, decode, encode, in_child};

fn bincode_length(length: u64) -> Vec<u8> {
    [&[0xfd], length.to_le_bytes().as_slice()].concat()
}

#[cfg(feature = "postcard")]
fn postcard_length(length: u64) -> Vec<u8> {
    encode::<Postcard, u64>(&length).to_vec()
}

#[test]
fn claimed_lengths_reserve_nothing() {
    in_child("sizes::claimed_lengths_reserve_nothing", || {
        let lengths = [1 << 16, 1 << 32, 1 << 40, 1 << 60, 1 << 63, u64::MAX];
        for length in lengths {
            check_length::<Bincode>(&bincode_length(length), "the payload is not valid bincode");
            #[cfg(feature = "postcard")]
            check_length::<Postcard>(&postcard_length(length), "the payload is not valid postcard");
        }
    });
}

fn check_length<F>(payload: &[u8], text: &str)
where
    F: Format<String> + Format<Vec<u8>> + Format<ByteBuf> + Format<Vec<u64>>,
    F: Format<HashMap<String, i64>>,
{
    let payload = Bytes::copy_from_slice(payload);
    check::<F, String>(payload.clone(), Code::BadPayload, text);
    check::<F, Vec<u8>>(payload.clone(), Code::BadPayload, text);
    check::<F, ByteBuf>(payload.clone(), Code::BadPayload, text);
    check::<F, Vec<u64>>(payload.clone(), Code::BadPayload, text);
    check::<F, HashMap<String, i64>>(payload, Code::BadPayload, text);
}

#[test]
fn elements_of_no_size_are_counted() {
    for length in [1 << 32, 1 << 60] {
        let payload = Bytes::from(bincode_length(length));
        let text = "1034 elements from a payload of 9 bytes are over spare_elements_max (1024)";
        check::<Bincode, Vec<()>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, Vec<[u8; 0]>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, HashSet<()>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, BTreeMap<(), ()>>(payload, Code::TooLarge, text);
        #[cfg(feature = "postcard")]
        {
            let payload = Bytes::from(postcard_length(length));
            check::<Postcard, Vec<()>>(payload.clone(), Code::TooLarge, "10");
            check::<Postcard, HashSet<()>>(payload.clone(), Code::TooLarge, "10");
            check::<Postcard, BTreeMap<(), ()>>(payload, Code::TooLarge, "10");
        }
    }
    let allowed = vec![(); 1024];
    assert_eq!(decode::<Bincode, Vec<()>>(encode::<Bincode, _>(&allowed)).unwrap(), allowed);
}

#[test]
fn dense_but_honest_values_are_not_refused() {
    fn check_back<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_eq!(decode::<Bincode, T>(encode::<Bincode, T>(value)).unwrap(), *value);
        assert_eq!(decode::<Json, T>(encode::<Json, T>(value)).unwrap(), *value);
        #[cfg(feature = "postcard")]
        assert_eq!(decode::<Postcard, T>(encode::<Postcard, T>(value)).unwrap(), *value);
    }
    check_back(&vec![[1u8, 2, 3]; 100_000]);
    check_back(&vec![(1u8,); 100_000]);
    check_back(&vec![Vec::<u8>::new(); 100_000]);
    check_back(&vec![vec![((), 5u8)]; 100_000]);
    check_back(&(0..50_000u32).map(|key| (key, ())).collect::<HashMap<_, _>>());
    check_back(&vec![7u8; 1_000_000]);
}

#[test]
fn small_payloads_do_not_become_large_values() {
    const MIB: usize = 1024 * 1024;
    type Sparse = Vec<Option<[u64; 32]>>;
    type Boxed = Vec<Box<Option<[u64; 32]>>>;
    // A length of four bytes after its mark, then nothing but `None`, empty strings, empty lists.
    let length = u32::try_from(MIB).unwrap().to_le_bytes();
    let zeros = Bytes::from([[0xfc].as_slice(), &length, &vec![0; MIB]].concat());
    check::<Bincode, Sparse>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Boxed>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Vec<String>>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Vec<Vec<u64>>>(zeros, Code::TooLarge, OVER_MEMORY);
    let nulls = Bytes::from(["[", &"null,".repeat(MIB / 5), "null]"].concat());
    check::<Json, Sparse>(nulls, Code::TooLarge, OVER_MEMORY);
    let objects = Bytes::from(["[", &r#"{"":[]},"#.repeat(2 * MIB / 8), "0]"].concat());
    check::<Json, serde_json::Value>(objects, Code::TooLarge, OVER_MEMORY);
}

#[test]
fn memory_used_has_elements_and_text_in_it() {
    let payload = encode::<Bincode, _>(&vec!["abc".to_owned(), "d".to_owned()]);
    let budget = Budget::new(&Limits::default(), payload.len());
    let _: Vec<String> = Bincode::decode(payload, &budget).unwrap();
    // The vector itself, its piece of memory, and one for each string, as the allocator has them.
    assert_eq!(budget.memory_used(), 48 + 64 + 32 + 32);
}

#[test]
fn text_beyond_the_length_of_the_payload_is_charged() {
    let text = "x".repeat(1024 * 1024);
    // The first is free, and the vector and the strings themselves take a part of the 16 MiB.
    for (count, is_allowed) in [(1, true), (16, true), (17, false), (1000, false)] {
        let budget = Budget::new(&Limits::default(), text.len());
        let texts = std::iter::repeat_n(text.as_str(), count);
        let deserializer = SeqDeserializer::<_, value::Error>::new(texts);
        let decoded: Result<Vec<String>, _> = budget.deserialize(deserializer);
        if is_allowed {
            assert_eq!(decoded.map(|texts| texts.len()), Ok(count));
            let strings_bytes = (count * size_of::<String>() + 8).next_multiple_of(16).max(32);
            assert_eq!(budget.memory_used(), 48 + strings_bytes + count * (text.len() + 16));
        } else {
            let Err(cause) = decoded else { panic!("{count} texts were made") };
            let error = budget.error("again", cause);
            assert_eq!(error.code(), Code::TooLarge);
            assert!(error.text().starts_with(OVER_MEMORY), "{error}");
        }
    }
}

#[test]
fn a_limit_that_a_type_makes_light_of_is_reported_all_the_same() {
    #[derive(Debug)]
    struct Lenient;
    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            _ = Vec::<()>::deserialize(deserializer);
            Ok(Self)
        }
    }
    impl Serialize for Lenient {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    check::<Bincode, Lenient>(bincode_length(1 << 20), Code::TooLarge, "1034 elements");
}
