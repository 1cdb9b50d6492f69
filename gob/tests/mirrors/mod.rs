//! Rust types for those of Go's that the vectors are read as.
//!
//! A slice that was not sent and an empty one are alike, to Go's literals as well; of maps they are
//! not, so a map in a field is an option here. So is what Go has a pointer for.

#![allow(dead_code, reason = "each test uses a part of it")]

mod interfaces;
mod parts;
mod structs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_gob::{BinaryBytes, Complex, Decoder, Encoder, GobBytes, Result, Time, Value};

use self::interfaces::{Any, Shape};
use self::parts::{Complex64, LongArray, Map};
use self::structs::*;
use crate::support::{self, End, Reading, limits, literal, read};

/// A Rust type for one of Go's.
pub(crate) struct Mirror {
    /// The name of Go's type.
    pub(crate) name: &'static str,
    pub(crate) decode: fn(&mut Decoder) -> Result<Box<dyn Sent>>,
}

/// A value of any of the types.
pub(crate) trait Sent {
    fn encode(&self, encoder: &mut Encoder, out: &mut Vec<u8>) -> Result<()>;
}

impl<T: Serialize + DeserializeOwned> Sent for T {
    fn encode(&self, encoder: &mut Encoder, out: &mut Vec<u8>) -> Result<()> {
        encoder.encode(self, out)
    }
}

/// The Rust type for Go's of this name.
pub(crate) fn mirror(name: &str) -> Option<&'static Mirror> {
    MIRRORS.iter().find(|mirror| mirror.name == name)
}

/// The Rust types for Go's of these names; the last one is for all further values.
pub(crate) fn mirrors(names: &str) -> Option<Vec<&'static Mirror>> {
    names.split(',').map(mirror).collect()
}

/// Reads a stream as these types, the last one again for all further values, in pieces of `size`.
pub(crate) fn read_as(types: &[&Mirror], bytes: &[u8], size: usize) -> Reading<Box<dyn Sent>> {
    let last = types.len() - 1;
    read(bytes, || size, |decoder, index| (types[index.min(last)].decode)(decoder))
}

/// The values as one stream.
pub(crate) fn written(values: &[Box<dyn Sent>]) -> Result<Vec<u8>> {
    let (mut encoder, mut bytes) = (Encoder::with_limits(limits()), Vec::new());
    values.iter().try_for_each(|value| value.encode(&mut encoder, &mut bytes))?;
    Ok(bytes)
}

/// What the values are once they have been written, and read without their types.
pub(crate) fn rewritten(values: &[Box<dyn Sent>]) -> Vec<Value> {
    let bytes = written(values).expect("what was read can be written");
    let again = read(&bytes, || usize::MAX, |decoder, _| decoder.decode());
    assert_eq!(again.end, End::Clean, "what was written can be read");
    again.values
}

/// Their literals then, and behind `!` what ended them.
pub(crate) fn outcome(reading: &Reading<Box<dyn Sent>>) -> Vec<String> {
    support::outcome(rewritten(&reading.values).iter().map(literal), &reading.end)
}

macro_rules! mirrors {
    ($($name:literal $type:ty,)*) => {
        pub(crate) static MIRRORS: &[Mirror] = &[$(Mirror {
            name: $name,
            decode: |decoder| Ok(Box::new(decoder.decode::<$type>()?)),
        },)*];
    };
}

mirrors! {
    "bool" bool,
    "int" i64,
    "int8" i8,
    "int16" i16,
    "int32" i32,
    "int64" i64,
    "uint" u64,
    "uint8" u8,
    "uint16" u16,
    "uint32" u32,
    "uint64" u64,
    "uintptr" usize,
    "float32" f32,
    "float64" f64,
    "complex64" Complex64,
    "complex128" Complex,
    "string" String,
    "any" Option<Any>,
    "Shape" Option<Shape>,
    "*int" Box<i64>,
    "**Point" Box<Box<Point>>,

    "Color" Color,
    "Count" Count,
    "Flag" Flag,
    "Ratio" Ratio,
    "Phase" Phase,
    "Bits" Bits,
    "Octet" Octet,
    "Octets" Octets,
    "Names" Names,
    "Ages" Ages,
    "Triple" Triple,
    "time.Duration" i64,
    "time.Month" i64,
    "net.IP" Vec<u8>,

    "[130]int" LongArray<i64, 130>,
    "[1]map[string]int" [Map<String, i64>; 1],
    "[2]*Point" [Box<Point>; 2],
    "[2]Empty" [Empty; 2],
    "[2]Flag" [Flag; 2],
    "[2]Point" (Point, Point),
    "[2][3]int" [[i64; 3]; 2],
    "[2][]int" [Vec<i64>; 2],
    "[2][]uint8" [Vec<u8>; 2],
    "[2]bool" (bool, bool),
    "[2]complex128" [Complex; 2],
    "[2]int" (i64, i64),
    "[2]string" (String, String),
    "[2]uint" [u64; 2],
    "[2]uint16" [u16; 2],
    "[2]uint8" [u8; 2],
    "[60]any" LongArray<Option<Any>, 60>,
    "[3]any" [Option<Any>; 3],
    "[3]float64" [f64; 3],
    "[3]int" [i64; 3],
    "[3]int8" [i8; 3],
    "[4]uint8" [u8; 4],

    "[]*Empty" Vec<()>,
    "[]*GobbedPointer" Vec<GobBytes>,
    "[]*Node" Vec<Box<Node>>,
    "[]*Point" Vec<Option<Point>>,
    "[]*PointReordered" Vec<Option<PointReordered>>,
    "[]*big.Int" Vec<GobBytes>,
    "[]*int" Vec<Option<i64>>,
    "[]AnyBox" Vec<AnyBox>,
    "[]Color" Vec<Color>,
    "[]Empty" Vec<Empty>,
    "[]Gobbed" Vec<GobBytes>,
    "[]Kinds" Vec<Kinds>,
    "[]Point" Vec<Point>,
    "[]PointLess" Vec<PointLess>,
    "[]Shape" Vec<Option<Shape>>,
    "[][2]int" Vec<[i64; 2]>,
    "[][][]string" Vec<Vec<Vec<String>>>,
    "[][]int" Vec<Vec<i64>>,
    "[][]uint8" Vec<serde_bytes::ByteBuf>,
    "[]any" Vec<Option<Any>>,
    "[]bool" Vec<bool>,
    "[]complex128" Vec<Complex>,
    "[]complex64" Vec<Complex64>,
    "[]float32" Vec<f32>,
    "[]float64" Vec<f64>,
    "[]int" Vec<i64>,
    "[]int16" Vec<i16>,
    "[]int32" Vec<i32>,
    "[]int64" Vec<i64>,
    "[]int8" Vec<i8>,
    "[]map[string]int" Vec<Map<String, i64>>,
    "[]string" Vec<String>,
    "[]struct { To PointSmall }" Vec<ToSmall>,
    "[]time.Time" Vec<Time>,
    "[]uint" Vec<u64>,
    "[]uint16" Vec<u16>,
    "[]uint32" Vec<u32>,
    "[]uint64" Vec<u64>,
    "[]uint8" Vec<u8>,
    "[]uintptr" Vec<u64>,

    "map[*Point]string" Map<Box<Point>, String>,
    "map[Color]Count" Map<Color, Count>,
    "map[Color]int8" Map<Color, i8>,
    "map[Empty]int" Map<Empty, i64>,
    "map[PointLess]int" Map<PointLess, i64>,
    "map[Point]string" Map<Point, String>,
    "map[Version]string" Map<BinaryBytes, String>,
    "map[[2]int]string" Map<[i64; 2], String>,
    "map[any]int" Map<Option<Any>, i64>,
    "map[any]string" Map<Option<Any>, String>,
    "map[bool]int" Map<bool, i64>,
    "map[bool]string" Map<bool, String>,
    "map[complex128]int" Map<Complex, i64>,
    "map[float64]int" Map<f64, i64>,
    "map[float64]string" Map<f64, String>,
    "map[int]int" Map<i64, i64>,
    "map[int]string" Map<i64, String>,
    "map[string]*Point" Map<String, Option<Point>>,
    "map[string]*Tree" Map<String, Box<Tree>>,
    "map[string]*big.Int" Map<String, GobBytes>,
    "map[string]Celsius" Map<String, GobBytes>,
    "map[string]Empty" Map<String, Empty>,
    "map[string]Point" Map<String, Point>,
    "map[string]PointLess" Map<String, PointLess>,
    "map[string]Shape" Map<String, Option<Shape>>,
    "map[string][2]int" Map<String, [i64; 2]>,
    "map[string][]int" Map<String, Vec<i64>>,
    "map[string][]uint8" Map<String, Vec<u8>>,
    "map[string]any" Map<String, Option<Any>>,
    "map[string]complex64" Map<String, Complex64>,
    "map[string]int" Map<String, i64>,
    "map[string]int8" Map<String, i8>,
    "map[string]map[string]int" Map<String, Map<String, i64>>,
    "map[string]string" Map<String, String>,
    "map[string]time.Time" Map<String, Time>,
    "map[time.Time]string" Map<Time, String>,
    "map[uint8]bool" Map<u8, bool>,
    "map[uint]string" Map<u64, String>,

    "AZ" AZ,
    "Accented" Accented,
    "AnyBetween" AnyBetween,
    "AnyBox" AnyBox,
    "AnyMany" AnyMany,
    "AnyPair" AnyPair,
    "Arrays" Arrays,
    "Company" Company,
    "Deep" Deep,
    "Derived" Derived,
    "DerivedLowercase" DerivedLowercase,
    "DerivedPointer" DerivedPointer,
    "DerivedTwice" DerivedTwice,
    "Directory" Directory,
    "Employee" Employee,
    "Empty" Empty,
    "EmptyFields" EmptyFields,
    "Envelope" Envelope,
    "Forest" Forest,
    "ForestTop" ForestTop,
    "Hidden" Hidden,
    "Kinds" Kinds,
    "KindsFew" KindsFew,
    "Line" Line,
    "LineLess" LineLess,
    "LinePointers" LinePointers,
    "Maps" Maps,
    "NamedFields" NamedFields,
    "Node" Node,
    "One" One,
    "Pair[Point]" Pair<Point>,
    "Pair[int]" Pair<i64>,
    "Path" Path,
    "PathMap" PathMap,
    "Ping" Ping,
    "Point" Point,
    "PointCase" PointCase,
    "PointFloat" PointFloat,
    "PointHalf" PointHalf,
    "PointLess" PointLess,
    "PointMore" PointMore,
    "PointOther" PointOther,
    "PointPointers" PointPointers,
    "PointReordered" PointReordered,
    "PointSmall" PointSmall,
    "PointUnsigned" PointUnsigned,
    "Pointers" Pointers,
    "Pong" Pong,
    "ShapeBox" ShapeBox,
    "Sixty" Sixty,
    "Slices" Slices,
    "Texted" One,
    "Tree" Tree,
    "TreeFlat" TreeFlat,
    "TreeLeft" TreeLeft,
    "Wide" Wide,
    "complexData" ComplexData,
    "rpc.Request" Request,
    "rpc.Response" Response,
    "struct { A int; B int }" Two,
    "struct { Base *Base }" OfBase,
    "struct { Base int }" OfInt,
    "struct { In struct { A int } }" Outer,
    "struct { Second any }" OfSecond,
    "struct { Value Point }" OfPoint,
    "struct {}" (),

    "Both" GobBytes,
    "CSV" BinaryBytes,
    "Celsius" GobBytes,
    "EncoderElements" EncoderElements,
    "EncoderFields" EncoderFields,
    "EncoderPointers" EncoderPointers,
    "Gobbed" GobBytes,
    "GobbedPointer" GobBytes,
    "Link" Link,
    "Numbers" Numbers,
    "Times" Times,
    "Version" BinaryBytes,
    "VersionPointer" BinaryBytes,
    "big.Float" GobBytes,
    "big.Int" GobBytes,
    "big.Rat" GobBytes,
    "time.Time" Time,
    "url.URL" BinaryBytes,

    "List" List,
    "Registry" Registry,
}
