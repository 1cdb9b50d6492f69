//! Schemas from outside: walked through, and checked for Go.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchboard_gob::{
    Complex, Decoder, ErrorKind, GobBytes, Marshaler, Schema, Shape, Time, Type, to_vec,
};

#[derive(Serialize, Deserialize)]
enum Choice {
    #[serde(rename = "main.Leaf")]
    Leaf(Leaf),
    #[serde(rename = "int")]
    Number(i64),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Leaf {
    at: Option<Time>,
    own: Option<GobBytes>,
    children: Vec<Self>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole {
    leaf: Leaf,
    pair: [i64; 2],
    bytes: Vec<u8>,
    complex: Complex,
    map: BTreeMap<String, u64>,
    choice: Option<Choice>,
}

/// The type as a text, as deep as it goes.
fn told(schema: &Schema, of: Type, outer: &mut Vec<Type>) -> String {
    let basics = [
        (Type::BOOL, "bool"),
        (Type::INT, "int"),
        (Type::UINT, "uint"),
        (Type::FLOAT, "float"),
        (Type::BYTES, "bytes"),
        (Type::STRING, "string"),
        (Type::COMPLEX, "complex"),
        (Type::INTERFACE, "any"),
    ];
    if outer.contains(&of) {
        return "..".to_owned();
    }
    outer.push(of);
    let mut told_all = |fields: Vec<(&str, Type)>| -> String {
        let told = |(name, of)| format!("{name} {}", told(schema, of, outer));
        fields.into_iter().map(told).collect::<Vec<_>>().join(", ")
    };
    let text = match schema.shape(of).unwrap() {
        Shape::Basic => basics.iter().find(|(basic, _)| *basic == of).unwrap().1.to_owned(),
        Shape::Array { len, element, .. } => told_all(vec![(&format!("[{len}]"), element)]),
        Shape::Slice { element, .. } => told_all(vec![("[]", element)]),
        Shape::Map { key, value, .. } => told_all(vec![("map", key), ("to", value)]),
        Shape::Struct { name, fields, .. } => format!("{name}({})", told_all(fields)),
        Shape::Opaque { name, by: Marshaler::Gob, .. } => format!("gob {name}"),
        Shape::Interface { variants, .. } => format!("<{}>", told_all(variants)),
        other => panic!("{other:?}"),
    };
    outer.pop();
    text
}

#[test]
fn a_schema_tells_all_that_is_in_it() {
    let schema = Schema::of::<Whole>().unwrap();
    let leaf = "Leaf(At gob Time, Own gob GobBytes, Children [] ..)";
    let before = format!(
        "Whole(Leaf {leaf}, Pair [2] int, Bytes bytes, Complex complex, Map map string, to uint"
    );
    let wanted = format!("{before}, Choice <main.Leaf {leaf}, int int>)");
    assert_eq!(told(&schema, schema.root(), &mut Vec::new()), wanted);

    // What a stream says of its interfaces is less.
    let mut decoder = Decoder::new();
    assert!(decoder.push(&to_vec(&Whole::default()).unwrap()).unwrap().is_complete);
    let schema = decoder.schema().unwrap();
    let wanted = format!("{before}, Choice any)");
    assert_eq!(told(&schema, schema.root(), &mut Vec::new()), wanted);

    // A type of another schema is not one of this.
    let small = Schema::builder().build(Type::INT).unwrap();
    assert_eq!(small.shape(schema.root()), None);
    assert_eq!(small.shape(Type::STRING), Some(Shape::Basic));
}

#[test]
fn a_field_that_go_does_not_see_is_told() {
    #[derive(Serialize, Deserialize)]
    struct Mixed {
        #[serde(rename = "Übung")]
        seen: i64,
        unseen: i64,
    }
    #[derive(Serialize, Deserialize)]
    struct Underscore {
        #[serde(rename = "_X")]
        x: i64,
    }
    Schema::of::<Whole>().unwrap().check_names_for_go().unwrap();
    Schema::of::<i64>().unwrap().check_names_for_go().unwrap();
    let way_out = "since names of Go's fields begin with an upper-case letter: \
                   #[serde(rename_all = \"PascalCase\")]";
    let cases = [
        (Schema::of::<BTreeMap<String, Vec<Mixed>>>(), "the field unseen of the struct Mixed"),
        (Schema::of::<Option<Underscore>>(), "the field _X of the struct Underscore"),
    ];
    for (schema, field) in cases {
        let error = schema.unwrap().check_names_for_go().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.text(), format!("Go passes over {field}, {way_out}"));
    }
}
