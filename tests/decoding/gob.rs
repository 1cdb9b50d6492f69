//! The same for gob: depth, claims and memory.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::Code;
use switchboard::format::Gob;
use switchboard_testing::nested::{Chain, Tree};

use crate::checks::{NO_GOB, OVER_MEMORY, check, decode, encode, in_child, repeat};

/// The definitions of a type, then a value of it with this body. `zero` is one whose own body is so
/// many bytes.
fn gob<T>(zero: &T, zero_bytes: usize, body: &[u8]) -> Bytes
where
    T: Serialize + DeserializeOwned,
{
    with_body(&encode::<Gob, T>(zero), zero_bytes, body)
}

fn with_body(zero: &[u8], zero_bytes: usize, body: &[u8]) -> Bytes {
    // Its message has a byte of length and two of type before the value.
    let (before, _) = zero.split_at(zero.len() - zero_bytes);
    let (definitions, message) = before.split_at(before.len() - 3);
    let length = u32::try_from(body.len() + 2).unwrap().to_be_bytes();
    [definitions, &[0xfc], &length, &message[1..], body].concat().into()
}

#[test]
fn nested_gobs_are_refused_on_any_stack() {
    in_child("gob::nested_gobs_are_refused_on_any_stack", || {
        let chain = |levels| gob(&Chain { next: None }, 1, &repeat(&[1], &[0], &[0], levels));
        let tree = |levels| {
            let lists = repeat(&[1], &[0], &[], levels);
            gob(&Tree(vec![]), 2, &[&[0], &lists[..]].concat())
        };
        assert!(decode::<Gob, Tree>(tree(62)).is_ok());
        assert!(decode::<Gob, Chain>(chain(63)).is_ok());
        for levels in [64, 65, 1000, 1_000_000, 3_000_000] {
            check::<Gob, Chain>(chain(levels), Code::TooLarge, "nesting of 129 levels");
        }
        for levels in [128, 1000, 1_000_000] {
            check::<Gob, Tree>(tree(levels), Code::TooLarge, "nesting of 129 levels");
        }
    });
}

#[test]
fn gobs_that_claim_more_than_they_have_reserve_nothing() {
    in_child("gob::gobs_that_claim_more_than_they_have_reserve_nothing", || {
        for power in [16, 32, 40, 60, 63] {
            let bytes = (1_u64 << power).to_be_bytes();
            // A 0, as before everything that is no struct, and the count.
            let body = [&[0, 0xf8], bytes.as_slice()].concat();
            check::<Gob, Vec<u64>>(gob(&Vec::<u64>::new(), 2, &body), Code::BadPayload, NO_GOB);
            let strings = gob(&Vec::<String>::new(), 2, &body);
            check::<Gob, Vec<String>>(strings, Code::BadPayload, NO_GOB);
            let map = gob(&BTreeMap::<String, u64>::new(), 2, &body);
            check::<Gob, BTreeMap<String, u64>>(map, Code::BadPayload, NO_GOB);
            let text = [&[13, 12, 0, 0xf8], bytes.as_slice()].concat();
            check::<Gob, String>(text, Code::BadPayload, NO_GOB);
            let message = [&[0xf8], bytes.as_slice(), &[12, 0]].concat();
            check::<Gob, String>(message, Code::BadPayload, NO_GOB);
        }
    });
}

/// An empty struct is one byte, whatever it is in memory, and however many fields its sender has.
#[test]
fn small_gobs_do_not_become_large_values() {
    #[derive(Default, Serialize, Deserialize)]
    struct Sparse {
        words: Option<[u64; 32]>,
    }
    let count = 1_000_000_u32;
    let body = [&[0, 0xfc], count.to_be_bytes().as_slice(), &vec![0; 1_000_000]].concat();
    let sparse = gob(&Vec::<Sparse>::new(), 2, &body);
    check::<Gob, Vec<Sparse>>(sparse, Code::TooLarge, OVER_MEMORY);

    let names: Vec<_> = (0..4000).map(|number| format!("F{number}")).collect();
    let mut builder = switchboard_gob::Schema::builder();
    let fields = names.iter().map(|name| (name.as_str(), switchboard_gob::Type::UINT));
    let wide = builder.structure("Wide", &fields.collect::<Vec<_>>());
    let slice = builder.slice(wide);
    let schema = builder.build(slice).unwrap();
    let none: [BTreeMap<String, u64>; 0] = [];
    let whole = switchboard_gob::to_vec_as(&schema, &none).unwrap();
    #[derive(Deserialize, Serialize)]
    struct Narrow {
        #[serde(rename = "F7")]
        field: u64,
    }
    let narrow = decode::<Gob, Vec<Narrow>>(with_body(&whole, 2, &body)).unwrap();
    assert!(narrow.len() == 1_000_000 && narrow.iter().all(|narrow| narrow.field == 0));
}

/// Elements of three bytes, each a struct with one field of this name. Gob has the name only once.
fn structs_with_a_field(name: &str, count: u32) -> Bytes {
    let mut builder = switchboard_gob::Schema::builder();
    let structure = builder.structure("T", &[(name, switchboard_gob::Type::UINT)]);
    let slice = builder.slice(structure);
    let schema = builder.build(slice).unwrap();
    let none: [BTreeMap<String, u64>; 0] = [];
    let whole = switchboard_gob::to_vec_as(&schema, &none).unwrap();
    let elements = [1, 7, 0].repeat(usize::try_from(count).unwrap());
    with_body(&whole, 2, &[&[0, 0xfc], count.to_be_bytes().as_slice(), &elements].concat())
}

#[test]
fn names_that_gob_has_once_are_not_kept_for_each_element_uncharged() {
    let gob = structs_with_a_field(&"F".repeat(200), 100_000);
    check::<Gob, switchboard_gob::Value>(gob, Code::TooLarge, OVER_MEMORY);
    // A name that is only compared is free.
    #[derive(Serialize, Deserialize)]
    struct Element {
        #[serde(rename = "TheNameOfThisFieldIsAsLongAsSomeThatGoProgramsReallyGiveToTheirs")]
        field: u64,
    }
    let name = "TheNameOfThisFieldIsAsLongAsSomeThatGoProgramsReallyGiveToTheirs";
    let elements = decode::<Gob, Vec<Element>>(structs_with_a_field(name, 330_000)).unwrap();
    assert!(elements.len() == 330_000 && elements.iter().all(|element| element.field == 7));
}

#[test]
fn dense_but_honest_gobs_are_not_refused() {
    fn check_back<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_eq!(decode::<Gob, T>(encode::<Gob, T>(value)).unwrap(), *value);
    }
    check_back(&vec![[1u8, 2, 3]; 100_000]);
    check_back(&vec![Vec::<u8>::new(); 100_000]);
    check_back(&vec![vec![(5u8, 6u8)]; 100_000]);
    check_back(&vec![7u8; 1_000_000]);
    check_back(&vec![7u64; 500_000]);
}
