//! What is written is what Go writes, byte by byte.
//!
//! The bytes are those of Go programs, given as hexadecimal digits.

mod errors;
mod forms;
mod stream;

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::*;
use crate::error::ErrorKind;
use crate::kinds::{Definition, Field, Marshaler, Type};
use crate::schema::SchemaBuilder;
use crate::value::Value;

/// Definitions with the names that Go gives them.
impl SchemaBuilder {
    fn go_slice(&mut self, name: &str, element: Type) -> Type {
        self.add(Definition::Slice { name: name.into(), element: element.0 })
    }

    fn go_array(&mut self, name: &str, len: usize, element: Type) -> Type {
        self.add(Definition::Array { name: name.into(), element: element.0, len })
    }

    fn go_map(&mut self, name: &str, key: Type, value: Type) -> Type {
        self.add(Definition::Map { name: name.into(), key: key.0, value: value.0 })
    }
}

/// What `build` makes of a builder.
fn schema(build: impl FnOnce(&mut SchemaBuilder) -> Type) -> Schema {
    let mut builder = Schema::builder();
    let root = build(&mut builder);
    builder.build(root).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Expects these bytes, given as hexadecimal digits and blanks, of a new stream.
#[track_caller]
fn check<T: Serialize + ?Sized>(schema: &Schema, value: &T, bytes: &str) {
    let bytes: String = bytes.split_whitespace().collect();
    assert_eq!(hex(&to_vec_as(schema, value).unwrap()), bytes);
}

/// A map in this order.
#[derive(Clone, Copy)]
struct Pairs(&'static [(&'static str, i64)]);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ComplexData {
    n: i64,
    s: &'static str,
    m: Pairs,
    #[serde(with = "serde_bytes")]
    p: &'static [u8],
    c: Option<Box<Self>>,
}

/// Go: `type complexData struct { N int; S string; M map[string]int; P []byte;
/// C *complexData }`
fn complex_data(builder: &mut SchemaBuilder) -> Type {
    let (root, m) = (builder.declare(), builder.map(Type::STRING, Type::INT));
    let fields = [("N", Type::INT), ("S", Type::STRING), ("M", m), ("P", Type::BYTES), ("C", root)];
    builder.define_structure(root, "complexData", &fields);
    root
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inner {
    x: i64,
    y: i64,
}

/// Go: `type Inner struct { X, Y int }`
fn inner(builder: &mut SchemaBuilder) -> Type {
    builder.structure("Inner", &[("X", Type::INT), ("Y", Type::INT)])
}

#[derive(Serialize)]
#[serde(rename = "$gob:complex")]
struct Complex(f64, f64);

#[derive(Serialize)]
#[serde(rename = "$gob:complex")]
struct NewComplex((f64, f64));

#[test]
fn the_article_s_struct_is_as_in_go() {
    let inner = ComplexData {
        n: 256,
        s: "Recursive structs? Piece of cake!",
        m: Pairs(&[("01", 1), ("10", 2), ("11", 3)]),
        p: b"",
        c: None,
    };
    let value = ComplexData {
        n: 23,
        s: "string data",
        m: Pairs(&[("one", 1), ("two", 2), ("three", 3)]),
        p: b"abc",
        c: Some(inner.into()),
    };
    let schema = schema(complex_data);
    let bytes = "39ff810301010b636f6d706c65784461746101ff8200010501014e010400010153010c0001014d
        01ff8400010150010a0001014301ff820000001eff830401010e6d61705b737472696e675d696e7401ff84
        00010c0104000061ff82012e010b737472696e6720646174610103036f6e65020374776f04057468726565
        0601036162630101fe0200012152656375727369766520737472756374733f205069656365206f66206361
        6b652101030230310202313004023131060000";
    check(&schema, &value, bytes);
    assert_eq!(to_vec_as(&schema, &value).unwrap().len(), 187);
}

/// Go: `type Zeros struct { A bool; B int; C uint; D float64; E string; F []byte; G []int;
/// H map[string]int; I complex128; J *int; K [2]int; L Empty }`, `type Empty struct{}`
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Zeros {
    a: bool,
    b: i8,
    c: u16,
    d: f32,
    e: &'static str,
    #[serde(with = "serde_bytes")]
    f: &'static [u8],
    g: &'static [i64],
    h: Pairs,
    i: Complex,
    j: Option<i64>,
    k: [i64; 2],
    l: Empty,
}

#[derive(Serialize)]
struct Empty;

#[test]
fn zero_fields_are_left_out() {
    let schema = schema(|builder| {
        let (slice, map) = (builder.slice(Type::INT), builder.map(Type::STRING, Type::INT));
        let (array, empty) = (builder.array(2, Type::INT), builder.structure("Empty", &[]));
        let types = [
            ("A", Type::BOOL),
            ("B", Type::INT),
            ("C", Type::UINT),
            ("D", Type::FLOAT),
            ("E", Type::STRING),
            ("F", Type::BYTES),
            ("G", slice),
            ("H", map),
            ("I", Type::COMPLEX),
            ("J", Type::INT),
            ("K", array),
            ("L", empty),
        ];
        builder.structure("Zeros", &types)
    });
    let definitions = "5fff81030101055a65726f7301ff8200010c0101410102000101420104000101430106
        00010144010800010145010c00010146010a0001014701ff840001014801ff8600010149010e0001014a01
        040001014b01ff880001014c01ff8a00000013ff83020101055b5d696e7401ff8400010400001eff850401
        010e6d61705b737472696e675d696e7401ff8600010c0104000016ff87010101065b325d696e7401ff8800
        01040104000011ff8903010105456d70747901ff8a000000";
    let zeros = Zeros {
        a: false,
        b: 0,
        c: 0,
        d: 0.0,
        e: "",
        f: b"",
        g: &[],
        h: Pairs(&[]),
        i: Complex(0.0, -0.0),
        j: None,
        k: [0, 0],
        l: Empty,
    };
    check(&schema, &zeros, &format!("{definitions} 09ff820b020000010000"));
    // What Go never writes and always reads: a zero that is there.
    let explicit = Zeros { j: Some(0), ..zeros };
    check(&schema, &explicit, &format!("{definitions} 0bff820a0001020000010000"));
    let full = Zeros {
        a: true,
        b: -1,
        c: 300,
        d: 1.5,
        e: "x",
        f: &[1, 200],
        g: &[0, -5],
        h: Pairs(&[("", 0)]),
        i: Complex(0.0, -2.0),
        j: None,
        k: [7, 0],
        l: Empty,
    };
    let bytes = "28ff820101010101fe012c01fef83f010178010201c8010200090101000001 00ffc002020e
        00010000";
    check(&schema, &full, &format!("{definitions} {bytes}"));
}

/// Go: `type Floats struct { A, B, C float64 }`, `type Outer struct { A Inner; B []Inner }`,
/// `type Tree struct { Kids []Tree; V int }`, and types without names
#[test]
fn values_are_as_in_go() {
    let floats = schema(|builder| {
        let fields = [("A", Type::FLOAT), ("B", Type::FLOAT), ("C", Type::FLOAT)];
        builder.structure("Floats", &fields)
    });
    let value = BTreeMap::from([("A", -0.0), ("B", f64::from_bits(0x7ff8 << 48 | 1)), ("C", 17.0)]);
    let bytes = "26ff8103010106466c6f61747301ff8200010301014101080001014201080001014301080000
        0011ff8202f8010000000000f87f01fe314000";
    check(&floats, &value, bytes);

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Outer {
        a: Inner,
        b: [Inner; 2],
    }
    let outer = schema(|builder| {
        let inner = inner(builder);
        let inners = builder.go_slice("[]main.Inner", inner);
        builder.structure("Outer", &[("A", inner), ("B", inners)])
    });
    let [a, b, c] = [(1, 0), (0, 0), (0, 2)].map(|(x, y)| Inner { x, y });
    let bytes = "21ff81030101054f7574657201ff8200010201014101ff840001014201ff860000001fff8303
        010105496e6e657201ff8400010201015801040001015901040000001bff850201010c5b5d6d61696e2e49
        6e6e657201ff860001ff8400000dff820101020001020002040000";
    check(&outer, &Outer { a, b: [b, c] }, bytes);

    #[derive(Default, Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tree {
        kids: Vec<Self>,
        v: i64,
    }
    let tree = schema(|builder| {
        let tree = builder.declare();
        let kids = builder.go_slice("[]main.Tree", tree);
        builder.define_structure(tree, "Tree", &[("Kids", kids), ("V", Type::INT)]);
        tree
    });
    let kids = vec![Tree { v: 1, ..Tree::default() }, Tree { kids: vec![Tree::default()], v: 0 }];
    let bytes = "22ff81030101045472656501ff8200010201044b69647301ff840001015601040000001aff83
        0201010b5b5d6d61696e2e5472656501ff840001ff8200000eff82010202020001010000010a00";
    check(&tree, &Tree { kids, v: 5 }, bytes);
    let slices = schema(|builder| {
        let ints = builder.go_slice("", Type::INT);
        builder.go_slice("", ints)
    });
    let bytes = "0dff83020102ff840001ff8200000cff81020102ff82000104000008ff84000202020400";
    check(&slices, &[vec![1, 2], vec![]], bytes);
    let map = schema(|builder| builder.go_map("", Type::STRING, Type::UINT));
    let bytes = "0eff81040102ff8200010c0106000008ff8200010161ff80";
    check(&map, &BTreeMap::from([("a", 128_u8)]), bytes);
    let array = schema(|builder| builder.go_array("", 3, Type::STRING));
    check(&array, &("", "b", ""), "0eff81010102ff8200010c0106000008ff82000300016200");
}

/// Go: `type SS struct { A [][]int; M map[int][]string; R [2][2]uint8; Last bool }`
#[test]
fn types_in_types_are_as_in_go() {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Types {
        a: [&'static [i64]; 2],
        m: BTreeMap<i8, (&'static str, &'static str)>,
        r: [[u8; 2]; 2],
        last: bool,
    }
    let schema = schema(|builder| {
        let ints = builder.go_slice("", Type::INT);
        let a = builder.go_slice("[][]int", ints);
        let strings = builder.go_slice("", Type::STRING);
        let m = builder.go_map("map[int][]string", Type::INT, strings);
        let pair = builder.go_array("", 2, Type::UINT);
        let r = builder.go_array("[2][2]uint8", 2, pair);
        builder.structure("SS", &[("A", a), ("M", m), ("R", r), ("Last", Type::BOOL)])
    });
    let value = Types {
        a: [&[1], &[]],
        m: BTreeMap::from([(-1, ("a", ""))]),
        r: [[1, 2], [0, 255]],
        last: true,
    };
    let bytes = "2eff8103010102535301ff8200010401014101ff860001014d01ff8a0001015201ff8e000104
        4c617374010200000016ff85020101075b5d5b5d696e7401ff860001ff8400000cff83020102ff84000104
        000021ff89040101106d61705b696e745d5b5d737472696e6701ff8a00010401ff8800000cff87020102ff
        8800010c00001cff8d0101010b5b325d5b325d75696e743801ff8e0001ff8c010400000eff8b010102ff8c
        000106010400001aff8201020102000101010201610001020201020200ffff010100";
    check(&schema, &value, bytes);
}

/// Go: `type G struct { Name string; T Tag; U *Tag }`, `type Tag struct{ V byte }` with
/// `GobEncode`
#[test]
fn bytes_of_a_type_s_own_are_as_in_go() {
    #[derive(Serialize)]
    #[serde(rename = "$gob:gob:Tag")]
    struct Tag(#[serde(with = "serde_bytes")] Vec<u8>);
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tagged {
        name: &'static str,
        t: Tag,
        u: Option<Tag>,
    }
    let tagged = schema(|builder| {
        let tag = builder.opaque("Tag", Marshaler::Gob);
        builder.structure("G", &[("Name", Type::STRING), ("T", tag), ("U", tag)])
    });
    let value = Tagged { name: "g", t: Tag(vec![7]), u: Some(Tag(vec![9])) };
    let bytes = "26ff81030101014701ff8200010301044e616d65010c0001015401ff840001015501ff840000
        000fff830501010354616701ff840000000cff8201016701010701010900";
    check(&tagged, &value, bytes);
    let tag = schema(|builder| builder.opaque("Tag", Marshaler::Gob));
    check(&tag, &Tag(vec![7]), "0fff810501010354616701ff8200000005ff82000107");
}

/// Go: `type Octet uint8`
#[derive(Serialize)]
struct Octet(u8);

#[test]
fn basic_types_are_as_in_go() {
    let schema = |root| Schema::builder().build(root).unwrap();
    check(&schema(Type::STRING), "text", "070c000474657874");
    check(&schema(Type::STRING), "", "030c0000");
    check(&schema(Type::INT), &-5_i8, "03040009");
    check(&schema(Type::INT), &0, "03040000");
    check(&schema(Type::INT), &'\u{1f}', "0304003e");
    check(&schema(Type::UINT), &500_u64, "050600fe01f4");
    check(&schema(Type::BOOL), &true, "03020001");
    check(&schema(Type::FLOAT), &1.5_f32, "050800fef83f");
    check(&schema(Type::COMPLEX), &Complex(1.0, 2.0), "060e00fef03f40");
    check(&schema(Type::COMPLEX), &NewComplex((1.0, 2.0)), "060e00fef03f40");
    check(&schema(Type::BYTES), serde_bytes::Bytes::new(b"ab"), "050a00026162");
    check(&schema(Type::BYTES), &[0_u8, 127, 128, 255], "070a0004007f80ff");
    check(&schema(Type::BYTES), &vec![0_u8, 127, 128, 255], "070a0004007f80ff");
    check(&schema(Type::BYTES), &[Octet(5), Octet(200)], "050a000205c8");
    check(&schema(Type::BYTES), &vec![Octet(5), Octet(200)], "050a000205c8");
    check(&schema(Type::BYTES), &vec![5_u64, 200], "050a000205c8");
    check(&schema(Type::BYTES), &Vec::<u8>::new(), "030a0000");
    check(&schema(Type::BYTES), serde_bytes::Bytes::new(b""), "030a0000");
    check(&schema(Type::INTERFACE), &(), "03100000");
}

/// Go: `type Shapes struct { Any any; List []any }`
#[test]
fn basic_types_in_interfaces_are_as_in_go() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Any {
        Nil,
        Bool(bool),
        Int(i8),
        Uint(u8),
        Float(f32),
        String(&'static str),
        Bytes(#[serde(with = "serde_bytes")] &'static [u8]),
        Complex(NewComplex),
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Shapes {
        any: Any,
        list: Vec<Any>,
    }
    let schema = schema(|builder| {
        let list = builder.go_slice("[]interface {}", Type::INTERFACE);
        builder.structure("Shapes", &[("Any", Type::INTERFACE), ("List", list)])
    });
    let list = vec![
        Any::Bool(true),
        Any::Uint(9),
        Any::Float(2.5),
        Any::String("s"),
        Any::Bytes(b"b"),
        Any::Complex(NewComplex((1.0, 0.0))),
        Any::Nil,
    ];
    let definitions = "26ff810301010653686170657301ff820001020103416e7901100001044c69737401ff
        840000001cff830201010e5b5d696e74657266616365207b7d01ff840001100000";
    let bytes = "5eff820105696e74363404020005010704626f6f6c020200010675696e743634060200090766
        6c6f61743634080400fe044006737472696e670c03000173075b5d75696e74380a030001620a636f6d706c
        65783132380e0500fef03f000000";
    check(&schema, &Shapes { any: Any::Int(-3), list }, &format!("{definitions} {bytes}"));
    let nothing = Shapes { any: Any::Nil, list: vec![] };
    check(&schema, &nothing, &format!("{definitions} 03ff8200"));
}

#[derive(Serialize)]
enum Shape {
    #[serde(rename = "main.Square", rename_all = "PascalCase")]
    Square { side: f64 },
    #[serde(rename = "main.Length")]
    Length(i64),
    #[serde(rename = "main.Pair")]
    Pair(u8, u8),
    #[serde(rename = "main.Group")]
    Group(Vec<Option<Self>>),
    #[serde(rename = "main.Text")]
    Text(String),
}

/// Go: `type Square struct{ Side float64 }; type Length int; type Pair [2]uint8;
/// type Group []any; type Text string`
fn shape(builder: &mut SchemaBuilder) -> Type {
    let shape = builder.declare();
    let square = builder.structure("Square", &[("Side", Type::FLOAT)]);
    let pair = builder.go_array("Pair", 2, Type::UINT);
    let group = builder.go_slice("Group", shape);
    let variants = [
        ("main.Square", square),
        ("main.Length", Type::INT),
        ("main.Pair", pair),
        ("main.Group", group),
        ("main.Text", Type::STRING),
    ];
    let variants = variants.map(|(name, of)| Field { name: name.into(), kind: of.0 }).into();
    builder.define(shape, Definition::Choice { variants });
    shape
}

/// Go: `type Drawing struct { First any; Rest []any }`. Go itself defines `Square` in the
/// middle of the value; it has read these bytes and found the same value.
#[test]
fn enums_are_values_of_registered_types() {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Drawing {
        first: Option<Shape>,
        rest: Vec<Shape>,
    }
    let drawing = schema(|builder| {
        let shape = shape(builder);
        let shapes = builder.go_slice("[]interface {}", shape);
        builder.structure("Drawing", &[("First", shape), ("Rest", shapes)])
    });
    let group = vec![None, Some(Shape::Text("x".repeat(130))), Some(Shape::Pair(1, 128))];
    let value = Drawing {
        first: Some(Shape::Square { side: 2.0 }),
        rest: vec![Shape::Length(-1), Shape::Group(group), Shape::Square { side: 0.0 }],
    };
    let definitions = "29ff810301010744726177696e6701ff82000102010546697273740110000104526573
        7401ff840000001cff830201010e5b5d696e74657266616365207b7d01ff8400011000001dff85030101
        0653717561726501ff86000101010453696465010800000014ff87010101045061697201ff8800010601
        04000013ff890201010547726f757001ff8a0001100000";
    let head = "ffeeff82010b6d61696e2e537175617265ff860301400001030b6d61696e2e4c656e67
        7468040200010a6d61696e2e47726f7570ff8affa7000300096d61696e2e546578740cff8500ff82";
    let text = "78".repeat(130);
    let tail = "096d61696e2e50616972ff8805000201ff800b6d61696e2e537175617265ff86010000";
    check(&drawing, &value, &format!("{definitions} {head} {text} {tail}"));
    let empty = Drawing { first: None, rest: vec![] };
    check(&drawing, &empty, &format!("{definitions} 03ff8200"));
    check(&drawing, &Pairs(&[]), &format!("{definitions} 03ff8200"));
}
