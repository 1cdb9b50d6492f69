//! What cannot be written, and what the error says of it.

use super::*;

/// Expects this error.
#[track_caller]
fn check_error<T: Serialize + ?Sized>(schema: &Schema, value: &T, kind: ErrorKind, text: &str) {
    let error = to_vec_as(schema, value).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
}

/// Any value, so that a table can hold it.
trait Erased {
    fn check(&self, schema: &Schema, kind: ErrorKind, text: &str);
}

impl<T: Serialize> Erased for T {
    fn check(&self, schema: &Schema, kind: ErrorKind, text: &str) {
        check_error(schema, self, kind, text);
    }
}

#[test]
fn what_does_not_fit_the_schema_is_an_error_that_says_where() {
    let fails = |root: Type, value: &dyn Erased, text: &str| {
        let schema = Schema::builder().build(root).unwrap();
        value.check(&schema, ErrorKind::Mismatch, text);
    };
    fails(Type::STRING, &1_i64, "the schema says string, the value is a signed integer");
    fails(Type::INT, &1_u8, "the schema says int, the value is an unsigned integer");
    fails(Type::UINT, &1_i8, "the schema says uint, the value is a signed integer");
    fails(Type::UINT, &1.0_f32, "the schema says uint, the value is a float");
    fails(Type::FLOAT, &true, "the schema says float, the value is a bool");
    fails(Type::BYTES, &"text", "the schema says bytes, the value is a string");
    fails(Type::BOOL, &Inner { x: 0, y: 0 }, "the schema says bool, the value is a struct");
    fails(Type::BOOL, &Empty, "the schema says bool, the value is a unit struct");
    fails(Type::BOOL, &(), "the schema says bool, the value is ()");
    fails(Type::BOOL, &[0], "the schema says bool, the value is a tuple");
    fails(Type::BOOL, &vec![0], "the schema says bool, the value is a sequence");
    fails(Type::BOOL, &Pairs(&[]), "the schema says bool, the value is a map");
    let shape_text = "the schema says string, the value is an enum's variant with content";
    fails(Type::STRING, &Shape::Length(1), shape_text);
    fails(Type::BYTES, &[1_u16, 256], "[1]: the schema says bytes, an element is over 255");
    fails(Type::BYTES, &vec![1_u16, 256], "[1]: the schema says bytes, an element is over 255");
    fails(Type::BYTES, &vec!["text"], "[0]: the schema says bytes, an element is a string");
    fails(Type::BYTES, &[Some(1_u8), None], "[1]: the schema says bytes, an element is None");
    fails(Type::COMPLEX, &[1.0], "the schema says 2 elements, the value has 1");
    fails(Type::COMPLEX, &[1, 0], "[0]: the schema says float, the value is a signed integer");
}

/// A value that fails costs no more than the elements up to the one that is wrong.
#[test]
fn what_is_behind_a_wrong_byte_is_not_asked() {
    /// Counts how often it is asked.
    struct Asked<'a>(u16, &'a std::cell::Cell<u32>);
    impl Serialize for Asked<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            self.1.set(self.1.get() + 1);
            serializer.serialize_u16(self.0)
        }
    }
    let (schema, asked) = (Schema::builder().build(Type::BYTES).unwrap(), Default::default());
    let value: Vec<_> = [1, 2, 256, 3, 256, 4].map(|byte| Asked(byte, &asked)).into();
    let text = "[2]: the schema says bytes, an element is over 255";
    check_error(&schema, &value, ErrorKind::Mismatch, text);
    assert_eq!(asked.get(), 3);
}

#[test]
fn the_way_to_what_does_not_fit_is_told() {
    let mismatch = ErrorKind::Mismatch;
    let array = schema(|builder| builder.array(2, Type::INT));
    check_error(&array, &[1], mismatch, "the schema says 2 elements, the value has 1");
    check_error(&array, &vec![1; 3], mismatch, "the schema says 2 elements, the value has 3");
    let inners = schema(inner);
    check_error(&inners, &Pairs(&[("Z", 0)]), mismatch, "the schema has no field Z");
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Turned {
        y: i64,
        x: i64,
    }
    let late = "the field X comes too late: the schema has an order";
    check_error(&inners, &Turned { y: 0, x: 0 }, mismatch, late);
    for twice in [&[("X", 0), ("X", 0)][..], &[("X", 1), ("Y", 1), ("X", 1)]] {
        check_error(&inners, &Pairs(twice), mismatch, "the field X comes twice");
    }
    let twice = Pairs(&[("Y", 1), ("X", 0), ("Y", 0)]);
    check_error(&inners, &twice, mismatch, "the field Y comes twice");
    let key = "the schema says string, the value is a signed integer";
    check_error(&inners, &BTreeMap::from([(1, 1)]), mismatch, key);

    let recursive = schema(complex_data);
    let text = BTreeMap::from([("C", BTreeMap::from([("M", BTreeMap::from([("x", "y")]))]))]);
    let path = r#"C.M["x"]: the schema says int, the value is a string"#;
    check_error(&recursive, &text, mismatch, path);
    let keys = BTreeMap::from([("M", BTreeMap::from([(1, 1)]))]);
    let path = "M[]: the schema says string, the value is a signed integer";
    check_error(&recursive, &keys, mismatch, path);
    let table = schema(|builder| {
        let row = builder.slice(Type::BOOL);
        builder.map(Type::INT, row)
    });
    let rows = BTreeMap::from([(-7, (true, "no"))]);
    let path = "[-7][1]: the schema says bool, the value is a string";
    check_error(&table, &rows, mismatch, path);
    let shapes = schema(shape);
    #[derive(Serialize)]
    enum Other {
        Round(i64),
    }
    let text = "the schema's interface has no type Round";
    check_error(&shapes, &Other::Round(1), mismatch, text);
    #[derive(Serialize)]
    enum Nameless {
        #[serde(rename = "")]
        Nil(i64),
    }
    let nameless = schema(|builder| builder.interface(&[("", Type::INT)]));
    let text = "the schema's interface has no type ";
    check_error(&nameless, &Nameless::Nil(1), mismatch, text);
    let text = "the schema says interface, the value is a string";
    check_error(&shapes, "text", mismatch, text);
}

#[test]
fn what_gob_has_no_form_for_is_an_error() {
    let unsupported = ErrorKind::Unsupported;
    let ints = schema(|builder| builder.slice(Type::INT));
    let none = "None has no form in gob, unless it is a struct's field or in an interface";
    check_error(&ints, &None::<()>, unsupported, none);
    check_error(&ints, &[Some(1), None], unsupported, &format!("[1]: {none}"));
    let inners = schema(inner);
    let text = format!("X: {none}");
    check_error(&inners, &BTreeMap::from([("X", Some(None::<i64>))]), unsupported, &text);
    let text = "[0]: an integer of 128 bits has no form in gob";
    check_error(&ints, &[1_i128], unsupported, text);
    check_error(&ints, &[1_u128], unsupported, text);
    let any = Schema::builder().build(Type::INTERFACE).unwrap();
    let way_out = "in an interface of any type: its registered name is not known; a Value that \
                   is a struct, a map or a sequence needs its schema: Encoder::encode_as with \
                   Decoder::schema";
    let fails = |value: &dyn Erased, text: &str| {
        value.check(&any, unsupported, &format!("{text} {way_out}"));
    };
    fails(&Inner { x: 1, y: 2 }, "a struct");
    fails(&Value::Struct(vec![("X".to_owned(), Value::Int(1))]), "a map");
    fails(&Value::Struct(Vec::new()), "an empty map");
    fails(&Value::Slice(Vec::new()), "a sequence");
    #[derive(Serialize)]
    #[serde(rename = "$gob:gob:Tag")]
    struct Tag(#[serde(with = "serde_bytes")] Vec<u8>);
    fails(&Tag(vec![1]), "bytes of a type's own");
}

#[test]
fn levels_are_bounded() {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct List {
        next: Option<Box<Self>>,
    }
    let list = |levels: usize| {
        (1..levels).fold(List { next: None }, |list, _| List { next: Some(list.into()) })
    };
    let lists = schema(|builder| {
        let list = builder.declare();
        builder.define_structure(list, "List", &[("Next", list)]);
        list
    });
    let shapes = schema(shape);
    // Each is two levels: the interface and the slice.
    let shape = |levels: usize| {
        (2..levels)
            .step_by(2)
            .fold(Shape::Group(vec![]), |shape, _| Shape::Group(vec![Some(shape)]))
    };
    for depth_max in [2, 10, 200] {
        let limits = Limits { depth_max, ..Limits::default() };
        let (mut encoder, mut out) = (Encoder::with_limits(limits), Vec::new());
        for _ in 0..2 {
            encoder.encode_as(&lists, &list(depth_max), &mut out).unwrap();
            encoder.encode_as(&shapes, &shape(depth_max), &mut out).unwrap();
        }
        let text = format!("a value with more levels: over depth_max ({depth_max})");
        for error in [
            encoder.encode_as(&lists, &list(depth_max + 1), &mut out).unwrap_err(),
            encoder.encode_as(&shapes, &shape(depth_max + 1), &mut out).unwrap_err(),
        ] {
            assert_eq!((error.text(), error.kind()), (text.as_str(), ErrorKind::Limit));
        }
    }
}

#[test]
fn a_struct_that_nobody_could_read_is_not_built() {
    let cases = [
        (["X", "X"], "the struct S has two fields X"),
        (["X", ""], "the struct S has a field without a name"),
    ];
    for (names, text) in cases {
        let mut builder = Schema::builder();
        let root = builder.structure("S", &names.map(|name| (name, Type::INT)));
        let error = builder.build(root).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Unsupported));
    }
}
