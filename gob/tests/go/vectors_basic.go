package main

import (
	"fmt"
	"math"
	"strings"
)

func allVectors() []vector {
	return concat(
		articleVectors(), basicVectors(), stringVectors(), namedVectors(),
		arrayVectors(), sliceVectors(), mapVectors(), structVectors(), recursiveVectors(),
		pointerVectors(), embeddedVectors(), emptyVectors(), interfaceVectors(),
		interfaceFieldVectors(), interfaceBasicVectors(), encoderVectors(), timeVectors(),
		streamVectors(), readerVectors(), ignoredVectors(), refusedVectors(),
		refusedRangeVectors(), idVectors(), rawVectors(),
	)
}

func concat(groups ...[]vector) (all []vector) {
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func pointer[T any](value T) *T { return &value }

// sendEach makes a vector of each value, named by it.
func sendEach[T any](prefix string, values ...T) (vectors []vector) {
	for _, value := range values {
		vectors = append(vectors, send(fmt.Sprintf("%s/%v", prefix, value), value))
	}
	return vectors
}

// article is the value that the article's client sends.
func article() complexData {
	inner := complexData{N: 256, S: "Recursive structs? Piece of cake!"}
	inner.M = map[string]int{"01": 1, "10": 2, "11": 3}
	return complexData{
		N: 23, S: "string data", M: map[string]int{"one": 1, "three": 3, "two": 2},
		P: []byte("abc"), C: &inner,
	}
}

var articleOrder = []string{"one", "three", "two", "01", "10", "11"}

func articleVectors() []vector {
	return []vector{
		send("article/complex_data", article()).inOrder(articleOrder...),
		send("article/pointer", pointer(article())).inOrder(articleOrder...),
		send("article/twice", article(), article()).
			inOrder(append(articleOrder, articleOrder...)...),
		send("article/zero", complexData{}),
		send("article/inner_zero", complexData{C: &complexData{}}),
	}
}

func basicVectors() []vector {
	return concat(
		[]vector{send("bool/false", false), send("bool/true", true)},
		sendEach("int", 0, 1, -1, 2, 63, 64, -64, -65, 127, 128, -128, -129, 255, 256, 32767, 32768,
			-32768, -32769, 65535, 65536, 1<<23, 1<<31-1, -1<<31, 1<<40, 1<<48, 1<<56,
			math.MaxInt, math.MinInt),
		sendEach[int8]("int8", 0, 1, -1, 63, 64, math.MaxInt8, math.MinInt8),
		sendEach[int16]("int16", 0, -1, 255, 256, math.MaxInt16, math.MinInt16),
		sendEach[int32]("int32", 0, -1, 'é', 65536, math.MaxInt32, math.MinInt32),
		sendEach[int64]("int64", 0, -1, 1<<53, math.MaxInt64, math.MinInt64),
		sendEach[uint]("uint", 0, 1, 127, 128, 255, 256, 65535, 65536, 1<<24-1, 1<<24, 1<<32-1,
			1<<32, 1<<40, 1<<48, 1<<56, math.MaxUint),
		sendEach[uint8]("uint8", 0, 1, 127, 128, math.MaxUint8),
		sendEach[uint16]("uint16", 0, 1, 256, math.MaxUint16),
		sendEach[uint32]("uint32", 0, 1, 65536, math.MaxUint32),
		sendEach[uint64]("uint64", 0, 1, 1<<63, math.MaxUint64),
		sendEach[uintptr]("uintptr", 0, 4096, math.MaxUint),
		sendEach("float64", 0, math.Copysign(0, -1), 1, -1, 17, 0.5, 0.1, 256, math.Pi, 1e100,
			math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
			math.SmallestNonzeroFloat64, 0x1p-1022),
		[]vector{send("float64/other_nan", math.Float64frombits(0xfff0000000000123))},
		sendEach[float32]("float32", 0, float32(math.Copysign(0, -1)), 1, -2.5, 0.1, math.MaxFloat32,
			math.SmallestNonzeroFloat32, float32(math.NaN()), float32(math.Inf(1)),
			float32(math.Inf(-1))),
		sendEach("complex128", 0, 1, 1i, 1-2i, complex(math.Inf(1), math.NaN()),
			complex(math.Copysign(0, -1), 0), complex(math.MaxFloat64, 0.1)),
		sendEach[complex64]("complex64", 0, 3+4i, -0.5i, complex(math.MaxFloat32, 0.1)),
	)
}

func stringVectors() []vector {
	var allBytes []byte
	for b := 0; b < 256; b++ {
		allBytes = append(allBytes, byte(b))
	}
	return []vector{
		send("string/empty", ""),
		send("string/ascii", "hello"),
		send("string/space_and_quotes", ` tab "quoted" back\slash `),
		send("string/unicode", "Grüße, 世界 🦀"),
		send("string/nul", "a\x00b\x00"),
		send("string/control", "line\r\n\ttab\x7f"),
		send("string/not_utf8", "a\xff\xfe\x80z"),
		send("string/length_127", strings.Repeat("x", 127)),
		send("string/length_128", strings.Repeat("x", 128)),
		send("string/length_300", strings.Repeat("0123456789", 30)),
		send("bytes/nil", []byte(nil)),
		send("bytes/empty", []byte{}),
		send("bytes/ascii", []byte("abc")),
		send("bytes/all", allBytes),
		send("bytes/length_127", allBytes[:127]),
		send("bytes/length_128", allBytes[:128]),
		send("bytes/array", [4]byte{0, 1, 127, 255}),
		send("bytes/array_empty", [0]byte{}),
		send("bytes/slices", [][]byte{nil, {}, []byte("x"), {0xff}}),
	}
}

func namedVectors() []vector {
	return []vector{
		send("named/string", Color("red")),
		send("named/int", Count(-7)),
		send("named/bool", Flag(true)),
		send("named/float", Ratio(0.25)),
		send("named/complex", Phase(1+1i)),
		send("named/uint16", Bits(512)),
		send("named/uint8", Octet(200)),
		send("named/bytes", Octets{1, 2, 200}),
		send("named/slice", Names{"a", "", "b"}),
		send("named/map", Ages{"Ann": 30}),
		send("named/array", Triple{1, 2, 3}),
		send("named/slice_of_named", []Color{"red", "green"}),
		send("named/map_of_named", map[Color]Count{"red": 2}),
		send("named/array_of_named", [2]Flag{true, false}),
		send("named/fields", NamedFields{
			Color: "blue", Count: 1, Flag: true, Ratio: 2, Phase: 3i, Bits: 4, Octet: 5,
			Octets: Octets{6}, Names: Names{"n"}, Ages: Ages{"a": 7}, Triple: Triple{8, 9, 10},
		}),
		send("named/fields_zero", NamedFields{}),
		send("named/generic", Pair[int]{1, 2}),
		send("named/generic_struct", Pair[Point]{Point{1, 2}, Point{}}),
	}
}
