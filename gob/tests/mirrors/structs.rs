//! The structs of `tests/go/types.go` and `tests/go/encoders.go`, field by field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchboard_gob::{BinaryBytes, Complex, GobBytes, Time};

use super::interfaces::{Any, Shape};
use super::parts::{Always, Complex64, Map, is_zero};

macro_rules! newtypes {
    ($($name:ident $content:ty,)*) => {$(
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        pub(crate) struct $name($content);
    )*};
}

newtypes! {
    Color String,
    Count i64,
    Flag bool,
    Ratio f64,
    Phase Complex,
    Bits u16,
    Octet u8,
    Octets Vec<Octet>,
    Names Vec<String>,
    Ages Map<String, i64>,
    Triple [i64; 3],
    List Vec<List>,
    Registry Map<String, Registry>,
}

/// Structs with Go's names for the fields. What the sender's type lacks is zero, as in Go.
macro_rules! structs {
    ($($name:ident $(<$of:ident>)? { $($(#[$attribute:meta])? $field:ident: $type:ty,)* })*) => {$(
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[allow(non_snake_case, reason = "Go's names")]
        #[serde(default)]
        pub(crate) struct $name $(<$of>)? { $($(#[$attribute])? $field: $type,)* }
    )*};
}

structs! {
    ComplexData {
        N: i64,
        S: String,
        M: BTreeMap<String, i64>,
        P: Vec<u8>,
        C: Option<Box<ComplexData>>,
    }
    NamedFields {
        Color: Color,
        Count: Count,
        Flag: Flag,
        Ratio: Ratio,
        Phase: Phase,
        Bits: Bits,
        Octet: Octet,
        Octets: Octets,
        Names: Names,
        Ages: Option<Ages>,
        Triple: Triple,
    }
    Kinds {
        Bool: bool,
        Int: i64,
        Int8: i8,
        Int16: i16,
        Int32: i32,
        Int64: i64,
        Uint: u64,
        Uint8: u8,
        Uint16: u16,
        Uint32: u32,
        Uint64: u64,
        Uintptr: usize,
        Float32: f32,
        Float64: f64,
        Complex64: Complex64,
        Complex128: Complex,
        String: String,
        Bytes: Vec<u8>,
        Array: [i64; 3],
        ByteArray: [u8; 4],
        Slice: Vec<i64>,
        Map: Option<Map<String, i64>>,
        Struct: Point,
        Pointer: Option<Box<Point>>,
        Interface: Option<Any>,
    }
    One { A: i64, }
    Two { A: i64, B: i64, }
    Outer { In: One, }
    Point { X: i64, Y: i64, }
    Line { From: Point, To: Point, }
    Path {
        Name: String,
        Points: Vec<Point>,
        Labels: Option<Map<String, Point>>,
        Ends: [Point; 2],
    }
    Deep { A: DeepA, }
    DeepA { B: DeepB, }
    DeepB { C: DeepC, }
    DeepC { Value: i64, }
    Empty {}
    EmptyFields {
        Empty: Empty,
        Pointer: Option<Empty>,
        Slice: Vec<Empty>,
        Array: [Empty; 2],
        Map: Option<Map<String, Empty>>,
        After: i64,
    }
    Arrays {
        Ints: [i64; 2],
        Strings: [String; 2],
        Points: [Point; 2],
        Matrix: [[f64; 2]; 2],
        Bytes: [u8; 3],
        Slices: [Vec<i64>; 1],
    }
    Slices {
        Bools: Vec<bool>,
        Strings: Vec<String>,
        Floats: Vec<f64>,
        Points: Vec<Point>,
        Matrix: Vec<Vec<i64>>,
        Blobs: Vec<Vec<u8>>,
        Maps: Vec<Map<String, i64>>,
    }
    Maps {
        Ints: Option<Map<String, i64>>,
        Points: Option<Map<i64, Point>>,
        Slices: Option<Map<String, Vec<i64>>>,
        Maps: Option<Map<String, Map<String, i64>>>,
        Byte: Option<Map<u8, bool>>,
        Pointer: Option<Map<String, Point>>,
    }
    Hidden { A: i64, B: String, }
    Base { ID: i64, Name: String, }
    Derived { Base: Base, Extra: String, }
    DerivedPointer { Base: Option<Base>, Extra: String, }
    DerivedTwice { Derived: Derived, Count: i64, Name: String, }
    DerivedLowercase { Kept: i64, }
    Accented { #[serde(rename = "Ünïcode")] Unicode: i64, #[serde(rename = "Été")] Ete: i64, }
    Node { Value: i64, Next: Option<Box<Node>>, }
    Tree { Left: Option<Box<Tree>>, Value: i64, Right: Option<Box<Tree>>, }
    Forest { Name: String, Children: Vec<Forest>, }
    Directory { Size: i64, Entries: Option<Map<String, Directory>>, }
    Ping { Number: i64, Pong: Option<Box<Pong>>, }
    Pong { Text: String, Ping: Option<Box<Ping>>, }
    Company { Name: String, Staff: Vec<Employee>, }
    Employee { Name: String, Company: Option<Box<Company>>, Reports: Vec<Employee>, }
    Pointers {
        Bool: Option<bool>,
        Int: Option<i64>,
        Uint: Option<u64>,
        Float: Option<f64>,
        String: Option<String>,
        Bytes: Option<Vec<u8>>,
        Point: Option<Point>,
        Slice: Option<Vec<i64>>,
        Map: Option<Map<String, i64>>,
        Array: Option<[i64; 2]>,
        Any: Option<Any>,
        Twice: Option<Box<i64>>,
        Thrice: Option<Box<Point>>,
        Many: Vec<Option<i64>>,
        Keyed: Option<Map<String, Option<i64>>>,
    }
    Pair<T> { First: T, Second: T, }
    AZ { A: i64, Z: i64, }

    PointReordered { Y: i64, X: i64, }
    PointMore {
        Name: String,
        X: i64,
        Weight: Option<f64>,
        Y: i64,
        Tags: Vec<String>,
        Scores: Option<Map<String, i64>>,
        Corners: [i64; 2],
        Inner: Point,
    }
    PointLess { Y: i64, }
    PointSmall { X: i8, Y: i8, }
    PointPointers { X: Option<i64>, Y: Option<Box<Box<i64>>>, }
    PointUnsigned { X: u64, Y: u64, }
    PointFloat { X: f64, Y: f64, }
    PointHalf { X: i64, Y: String, }
    PointOther { C: i64, D: i64, }
    PointCase { X: i64, }
    LineLess { To: PointLess, }
    LinePointers { From: Option<PointReordered>, To: Option<PointReordered>, }
    KindsFew {
        Interface: Option<Any>,
        Struct: Option<PointLess>,
        Int64: i64,
        Uint8: u64,
        Float64: f32,
        String: Color,
    }
    TreeLeft { Left: Option<Box<TreeLeft>>, }
    TreeFlat { Value: i64, }
    ForestTop { Children: Vec<TreeName>, }
    TreeName { Name: String, }
    PathMap { Labels: Option<Map<String, PointLess>>, }
    ToSmall { To: PointSmall, }
    OfBase { Base: Option<Base>, }
    OfInt { Base: i64, }
    OfSecond { Second: Option<Any>, }
    OfPoint { Value: Point, }

    ShapeBox { Shape: Option<Shape>, }
    Circle { Radius: f64, }
    Square { Side: f64, }
    Polygon { Corners: Vec<Point>, }
    AnyBox { Value: Option<Any>, }
    AnyPair { First: Option<Any>, Second: Option<Any>, }
    AnyBetween { Before: i64, Value: Option<Any>, After: String, }
    AnyMany {
        Name: String,
        Slice: Vec<Option<Any>>,
        Map: Option<Map<String, Option<Any>>>,
        Array: [Option<Any>; 2],
        Shapes: Vec<Option<Shape>>,
    }
    Long { N: i64, }
    Envelope {
        Kind: Color,
        #[serde(skip_serializing_if = "is_zero")]
        Sent: Time,
        Payload: Option<Any>,
    }

    EncoderFields {
        Gobbed: GobBytes,
        GobbedPointer: Always<GobBytes>,
        Version: BinaryBytes,
        VersionPointer: Always<BinaryBytes>,
        Celsius: GobBytes,
        CSV: BinaryBytes,
        After: i64,
    }
    EncoderPointers {
        Gobbed: Option<GobBytes>,
        GobbedPointer: Option<GobBytes>,
        Version: Option<BinaryBytes>,
        VersionPointer: Option<BinaryBytes>,
        After: i64,
    }
    EncoderElements {
        Slice: Vec<GobBytes>,
        Pointers: Vec<GobBytes>,
        Array: [BinaryBytes; 2],
        Map: Option<Map<String, BinaryBytes>>,
        Keys: Option<Map<BinaryBytes, i64>>,
    }
    Link { Address: Always<BinaryBytes>, Backup: Option<BinaryBytes>, }
    Numbers {
        Int: Always<GobBytes>,
        Pointer: Option<GobBytes>,
        Rat: Option<GobBytes>,
        Float: Option<GobBytes>,
    }
    Times {
        #[serde(skip_serializing_if = "is_zero")]
        Start: Time,
        End: Option<Time>,
        Took: i64,
        Month: i64,
        Laps: Vec<Time>,
    }
    Request { ServiceMethod: String, Seq: u64, }
    Response { ServiceMethod: String, Seq: u64, Error: String, }
}

macro_rules! wide {
    ($($name:ident { $($type:ty: $($field:ident)*;)* })*) => {
        structs! { $($name { $($($field: $type,)*)* })* }
    };
}

wide! {
    Sixty {
        i64: F00 F01 F02 F03 F04 F05 F06 F07 F08 F09;
        String: F10 F11 F12 F13 F14 F15 F16 F17 F18 F19;
        u64: F20 F21 F22 F23 F24 F25 F26 F27 F28 F29;
        f64: F30 F31 F32 F33 F34 F35 F36 F37 F38 F39;
        bool: F40 F41 F42 F43 F44 F45 F46 F47 F48 F49;
        Vec<i64>: F50 F51 F52 F53 F54 F55 F56 F57 F58 F59;
    }
    Wide {
        i64: F000 F001 F002 F003 F004 F005 F006 F007 F008 F009;
        i64: F010 F011 F012 F013 F014 F015 F016 F017 F018 F019;
        i64: F020 F021 F022 F023 F024 F025 F026 F027 F028 F029;
        i64: F030 F031 F032 F033 F034 F035 F036 F037 F038 F039;
        i64: F040 F041 F042 F043 F044 F045 F046 F047 F048 F049;
        i64: F050 F051 F052 F053 F054 F055 F056 F057 F058 F059;
        i64: F060 F061 F062 F063 F064 F065 F066 F067 F068 F069;
        i64: F070 F071 F072 F073 F074 F075 F076 F077 F078 F079;
        i64: F080 F081 F082 F083 F084 F085 F086 F087 F088 F089;
        i64: F090 F091 F092 F093 F094 F095 F096 F097 F098 F099;
        i64: F100 F101 F102 F103 F104 F105 F106 F107 F108 F109;
        i64: F110 F111 F112 F113 F114 F115 F116 F117 F118 F119;
        i64: F120 F121 F122 F123 F124 F125 F126 F127 F128 F129;
        i64: F130 F131 F132 F133 F134 F135 F136 F137 F138 F139;
    }
}
