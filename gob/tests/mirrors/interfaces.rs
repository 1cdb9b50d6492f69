//! What Go's interfaces hold: enums with the registered names for variants, as in `registry.go`.

use serde::{Deserialize, Serialize};
use switchboard_gob::{BinaryBytes, Complex, GobBytes, Time};

use super::parts::{Complex64, Map};
use super::structs::*;

macro_rules! interfaces {
    ($($name:ident { $($registered:literal $variant:ident($content:ty),)* })*) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[allow(clippy::enum_variant_names, reason = "AnyBox is a name of Go's")]
        pub(crate) enum $name {$(
            #[serde(rename = $registered)]
            $variant($content),
        )*}
    )*};
}

interfaces! {
    Shape {
        "Circle" Circle(Circle),
        "main.Square" Square(Square),
        "*main.Polygon" Polygon(Polygon),
        "Meters" Meters(f64),
    }
    Any {
        "bool" Bool(bool),
        "int" Int(i64),
        "int8" Int8(i8),
        "int16" Int16(i16),
        "int32" Int32(i32),
        "int64" Int64(i64),
        "uint" Uint(u64),
        "uint8" Uint8(u8),
        "uint16" Uint16(u16),
        "uint32" Uint32(u32),
        "uint64" Uint64(u64),
        "uintptr" Uintptr(u64),
        "float32" Float32(f32),
        "float64" Float64(f64),
        "complex64" Complex64(Complex64),
        "complex128" Complex128(Complex),
        "string" String(String),
        "[]bool" Bools(Vec<bool>),
        "[]int" Ints(Vec<i64>),
        "[]int8" Int8s(Vec<i8>),
        "[]int16" Int16s(Vec<i16>),
        "[]int32" Int32s(Vec<i32>),
        "[]int64" Int64s(Vec<i64>),
        "[]uint" Uints(Vec<u64>),
        "[]uint8" Bytes(Vec<u8>),
        "[]uint16" Uint16s(Vec<u16>),
        "[]uint32" Uint32s(Vec<u32>),
        "[]uint64" Uint64s(Vec<u64>),
        "[]uintptr" Uintptrs(Vec<u64>),
        "[]float32" Float32s(Vec<f32>),
        "[]float64" Float64s(Vec<f64>),
        "[]complex64" Complex64s(Vec<Complex64>),
        "[]complex128" Complex128s(Vec<Complex>),
        "[]string" Strings(Vec<String>),
        "Circle" Circle(Circle),
        "main.Square" Square(Square),
        "*main.Polygon" Polygon(Polygon),
        "Meters" Meters(f64),
        "Point" Point(Point),
        "Line" Line(Line),
        "Path" Path(Path),
        "Node" Node(Node),
        "Tree" Tree(Tree),
        "Empty" Empty(Empty),
        "AnyBox" AnyBox(Box<AnyBox>),
        "AnyPair" AnyPair(Box<AnyPair>),
        "AnyMany" AnyMany(Box<AnyMany>),
        "Kinds" Kinds(Box<Kinds>),
        "ünïcode \"name\"" Derived(Derived),
        "long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/\
         long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/\
         long/long/long/long/long/long/Long" Long(Long),
        "Color" Color(Color),
        "Count" Count(Count),
        "Octets" Octets(Octets),
        "Triple" Triple(Triple),
        "Pair" Pair(Pair<i64>),
        "Gobbed" Gobbed(GobBytes),
        "GobbedPointer" GobbedPointer(GobBytes),
        "Version" Version(BinaryBytes),
        "Celsius" Celsius(GobBytes),
        "time.Time" Time(Time),
        "*big.Int" BigInt(GobBytes),
        "[]interface {}" Anys(Vec<Option<Any>>),
        "map[string]interface {}" Named(Map<String, Option<Any>>),
        "map[string]int" Counted(Map<String, i64>),
        "[2]int" Two((i64, i64)),
        "[]main.Point" Points(Vec<Point>),
        "[]*main.Point" PointPointers(Vec<Box<Point>>),
        "map[string]main.Point" NamedPoints(Map<String, Point>),
        "[][]int" Matrix(Vec<Vec<i64>>),
    }
}
