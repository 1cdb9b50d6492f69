//! A value may come in another form than its schema: with a wrong count, as a map for a struct.

use super::*;

/// Says nothing, or something wrong, about how long it is.
struct Announced<T>(Option<usize>, T);

impl Serialize for Announced<&[i64]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(self.0)?;
        self.1.iter().try_for_each(|element| elements.serialize_element(element))?;
        elements.end()
    }
}

impl Serialize for Announced<&BTreeMap<i64, i64>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(self.0)?;
        self.1.iter().try_for_each(|(key, value)| entries.serialize_entry(key, value))?;
        entries.end()
    }
}

#[test]
fn counts_are_what_came_and_not_what_was_announced() {
    let slice = schema(|builder| builder.slice(Type::INT));
    let map = schema(|builder| builder.map(Type::INT, Type::INT));
    let field = schema(|builder| {
        let (slice, map) = (builder.slice(Type::INT), builder.map(Type::INT, Type::INT));
        builder.structure("", &[("Slice", slice), ("Map", map), ("Last", Type::INT)])
    });
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Both<S, M> {
        slice: S,
        map: M,
        last: i8,
    }
    for len in [0, 1, 127, 128, 300] {
        let list: Vec<i64> = (0..len).collect();
        let entries: BTreeMap<i64, i64> = (0..len).map(|number| (number, -number)).collect();
        let both = Both { slice: &list, map: &entries, last: 1 };
        let [list_bytes, map_bytes, both_bytes] = [
            to_vec_as(&slice, &list).unwrap(),
            to_vec_as(&map, &entries).unwrap(),
            to_vec_as(&field, &both).unwrap(),
        ];
        for announced in [None, Some(0), Some(1), Some(128), Some(300), Some(70_000)] {
            let list = Announced(announced, &*list);
            let entries = Announced(announced, &entries);
            assert_eq!(to_vec_as(&slice, &list).unwrap(), list_bytes);
            assert_eq!(to_vec_as(&map, &entries).unwrap(), map_bytes);
            let both = Both { slice: list, map: entries, last: 1 };
            assert_eq!(to_vec_as(&field, &both).unwrap(), both_bytes);
        }
    }
}

/// Nothing is said of how many they are.
struct OneByOne<'a>(&'a [u8]);

impl Serialize for OneByOne<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter(|_| true))
    }
}

#[test]
fn bytes_that_come_one_by_one_are_bytes() {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Around<T> {
        bytes: T,
        last: i64,
    }
    let schema =
        schema(|builder| builder.structure("", &[("Bytes", Type::BYTES), ("Last", Type::INT)]));
    for len in [0, 1, 127, 128, 70_000] {
        let bytes: Vec<u8> = (0..len).map(|index: u32| index.to_le_bytes()[0]).collect();
        let whole = Around { bytes: serde_bytes::Bytes::new(&bytes), last: 1 };
        let whole = to_vec_as(&schema, &whole).unwrap();
        let parts = Around { bytes: OneByOne(&bytes), last: 1 };
        assert_eq!(to_vec_as(&schema, &parts).unwrap(), whole);
        assert_eq!(to_vec_as(&schema, &Around { bytes, last: 1 }).unwrap(), whole);
    }
}

#[test]
fn a_map_can_be_a_struct() {
    let schema = schema(inner);
    let expected = hex(&to_vec_as(&schema, &Inner { x: 0, y: 4 }).unwrap());
    check(&schema, &Pairs(&[("X", 0), ("Y", 4)]), &expected);
    check(&schema, &Pairs(&[("Y", 4)]), &expected);

    #[derive(Serialize)]
    struct Flattened {
        #[serde(rename = "X", skip_serializing_if = "Option::is_none")]
        x: Option<i64>,
        #[serde(flatten)]
        rest: Rest,
    }
    #[derive(Serialize)]
    struct Rest {
        #[serde(rename = "Y")]
        y: i64,
    }
    check(&schema, &Flattened { x: None, rest: Rest { y: 4 } }, &expected);
}

#[test]
fn the_keys_of_a_map_that_is_a_struct_come_in_any_order() {
    // Over 128 fields, so that how far one is behind another takes one byte or two.
    let names: Vec<String> = (0..300).map(|number| format!("F{number}")).collect();
    let schema = schema(|builder| {
        let list = builder.slice(Type::INT);
        let of = |number| if number % 3 == 0 { list } else { Type::INT };
        let fields: Vec<_> = names.iter().enumerate().map(|(n, name)| (&**name, of(n))).collect();
        builder.structure("", &fields)
    });
    #[derive(Clone, Serialize)]
    #[serde(untagged)]
    enum Field {
        List(Vec<i64>),
        Number(i64),
    }
    struct Turned<'a>(Vec<(&'a str, Field)>);
    impl Serialize for Turned<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
        }
    }
    // (the fields that come, some of which are zero)
    let cases = [vec![0, 1], vec![0, 299, 150], vec![3, 2, 1], (0..300).collect::<Vec<_>>()];
    for mut numbers in cases {
        numbers.sort_unstable();
        let field = |number: &usize| match number % 3 {
            0 => Field::List(vec![1; number % 200]),
            rest => Field::Number(i64::from(rest == 1) * 300),
        };
        let mut fields: Vec<_> =
            numbers.iter().map(|number| (&*names[*number], field(number))).collect();
        let wanted = to_vec_as(&schema, &Turned(fields.clone())).unwrap();
        fields.reverse();
        assert_eq!(to_vec_as(&schema, &Turned(fields.clone())).unwrap(), wanted);
        fields.rotate_left(1);
        assert_eq!(to_vec_as(&schema, &Turned(fields)).unwrap(), wanted);
    }
}
