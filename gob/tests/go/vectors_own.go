package main

import (
	"math"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"
)

func interfaceVectors() []vector {
	top := func(value any) *any { return &value }
	shape := func(shape Shape) *Shape { return &shape }
	return []vector{
		send("interface/nil", top(nil)),
		send("interface/named", top(Color("red"))),
		send("interface/named_bytes", top(Octets{1, 2})),
		send("interface/named_array", top(Triple{1, 2, 3})),
		send("interface/struct", top(Point{1, 2})),
		send("interface/struct_zero", top(Point{})),
		send("interface/struct_nested", top(Line{To: Point{1, 2}})),
		send("interface/struct_many_types", top(Path{Name: "p", Points: []Point{{1, 2}}})),
		send("interface/struct_empty", top(Empty{})),
		send("interface/struct_generic", top(Pair[int]{1, 2})),
		send("interface/pointer", top(&Point{1, 2})),
		send("interface/recursive", top(*chain(3))),
		send("interface/recursive_pointer", top(&Tree{Value: 1, Left: &Tree{}})),
		send("interface/odd_name", top(Derived{Base{1, "b"}, "x"})),
		send("interface/long_name", top(Long{1})),
		send("interface/kinds", top(allKinds())),
		send("interface/slice", top([]any{1, nil, "x", []any{}})),
		send("interface/map", top(map[string]any{"a": map[string]any{"b": nil}})),
		send("interface/map_int", top(map[string]int{"a": 1})),
		send("interface/array", top([2]int{1, 2})),
		send("interface/slice_of_structs", top([]Point{{1, 2}, {}})),
		send("interface/slice_of_pointers", top([]*Point{{1, 2}, {}})),
		send("interface/slice_of_slices", top([][]int{{1}, nil})),
		send("interface/map_of_structs", top(map[string]Point{"a": {1, 2}})),
		send("interface/encoder", top(Gobbed{"x"})),
		send("interface/encoder_pointer", top(&GobbedPointer{"x"})),
		send("interface/encoder_basic", top(Celsius(1.5))),
		send("interface/marshaler", top(Version{1, 2})),
		send("interface/time", top(time.Unix(1, 2).UTC())),
		send("interface/big", top(big.NewInt(-5))),
		send("interface/shape", shape(Circle{1})),
		send("interface/shape_default_name", shape(Square{2})),
		send("interface/shape_pointer", shape(&Polygon{[]Point{{1, 2}}})),
		send("interface/shape_basic", shape(Meters(3))),
		send("interface/shape_nil", new(Shape)),
		send("interface/shapes", []Shape{Circle{1}, Square{2}, nil, Circle{3}, &Polygon{}}),
		send("interface/shape_map", map[string]Shape{"a": Square{2}}),
		send("interface/shape_read_as_any", shape(Circle{1})).asTypes(typeOf([]any{}).Elem()),
	}
}

// interfaceFieldVectors have interfaces as fields and elements.
func interfaceFieldVectors() []vector {
	return []vector{
		send("interface/field_nil", AnyBox{}),
		send("interface/field_zero", AnyBox{0}),
		send("interface/field_struct", AnyBox{Point{1, 2}}),
		send("interface/field_shape", ShapeBox{Circle{1}}),
		send("interface/field_in_field", AnyBox{AnyBox{AnyBox{}}}),
		send("interface/between", AnyBetween{1, Point{2, 3}, "after"}),
		send("interface/between_nil", AnyBetween{1, nil, "after"}),
		send("interface/pair_one_type", AnyPair{Point{1, 2}, Point{3, 4}}),
		send("interface/pair_two_types", AnyPair{Point{1, 2}, Circle{3}}),
		send("interface/pair_nested_types", AnyPair{Line{}, Path{Points: []Point{{1, 2}}}}),
		send("interface/pair_in_pair", AnyPair{AnyPair{Point{1, 2}, 3}, AnyPair{nil, Circle{4}}}),
		send("interface/new_type_deep", AnyBox{AnyBox{AnyPair{nil, Circle{1}}}}),
		send("interface/many", AnyMany{
			"m", []any{1, nil, Point{1, 2}}, map[string]any{"k": []any{Circle{1}}},
			[2]any{nil, Square{2}}, []Shape{nil, Circle{3}, nil},
		}),
		send("interface/many_zero", AnyMany{}),
		send("interface/envelope", Envelope{"order", time.Unix(0, 0).UTC(), Path{Name: "p"}}),
		send("interface/new_types", []any{
			Point{1, 2}, Circle{1}, Line{}, []Point{{3, 4}}, Path{}, chain(2), Version{1, 2}, Empty{},
		}),
		send("interface/old_types", []any{Point{1, 2}, Point{3, 4}, &Point{5, 6}, 7, 8}),
		send("interface/slice_nils", []any{nil, nil, nil}),
		send("interface/slice_empty", []any{}),
		send("interface/map_nil", map[string]any{"a": nil}),
		send("interface/map_new_type", map[string]any{"a": Point{1, 2}}),
		send("interface/map_key", map[any]string{Point{1, 2}: "p"}),
		send("interface/slice_of_boxes", []AnyBox{{1}, {}, {Point{1, 2}}, {Point{3, 4}}}),
		send("interface/slice_longer_than_message", sequence(100)),
		send("interface/array_longer_than_message", [60]any{Point{1, 2}}),
		send("interface/nested_5", pointer(nest(5))),
		send("interface/nested_100", pointer(nest(100))),
		send("unordered/interfaces", map[string]any{"A": 1, "B": "b", "C": nil}).
			inOrder("\x01A", "\x01B", "\x01C"),
	}
}

// interfaceBasicVectors are of the types that Go registers itself.
func interfaceBasicVectors() (vectors []vector) {
	values := []any{
		true, 1, int8(-8), int16(-16), int32(-32), int64(-64), uint(1), uint8(8), uint16(16),
		uint32(32), uint64(64), uintptr(3), float32(0.5), math.Pi, complex64(1), 2i, "string",
		"", []byte("bytes"), []bool{true}, []int{1, 2}, []int8{-8}, []int16{-16}, []int32{-32},
		[]int64{-64}, []uint{1}, []uint16{16}, []uint32{32}, []uint64{64}, []uintptr{3},
		[]float32{0.5}, []float64{0.1}, []complex64{1}, []complex128{2i}, []string{"a", "b"},
	}
	for _, value := range values {
		name := "interface/basic_" + typeName(typeOf(value))
		if value == "" {
			name = "interface/basic_empty_string"
		}
		vectors = append(vectors, send(name, pointer(value)))
	}
	return vectors
}

func encoderVectors() []vector {
	version := &VersionPointer{9}
	return []vector{
		send("encoder/value", Gobbed{"x"}),
		send("encoder/value_zero", Gobbed{}),
		send("encoder/value_pointer", &Gobbed{"x"}),
		send("encoder/pointer", &GobbedPointer{"x"}),
		send("encoder/pointer_no_bytes", &GobbedPointer{}),
		send("encoder/binary_value", Version{1, 2}),
		send("encoder/binary_pointer", &VersionPointer{3}),
		send("encoder/long", Gobbed{strings.Repeat("long ", 60)}),
		send("encoder/basic", Celsius(36.6)),
		send("encoder/basic_zero", Celsius(0)),
		send("encoder/slice_type", CSV{"a", "b"}),
		send("encoder/both", Both{7}),
		send("encoder/fields", &EncoderFields{
			Gobbed{"a"}, GobbedPointer{"b"}, Version{1, 2}, VersionPointer{3}, 4.5, CSV{"c", "d"}, 6,
		}),
		send("encoder/fields_zero", &EncoderFields{}),
		send("encoder/pointer_fields", EncoderPointers{
			&Gobbed{"a"}, &GobbedPointer{"b"}, &Version{1, 2}, &version, 3,
		}),
		send("encoder/pointer_fields_nil", EncoderPointers{After: 1}),
		send("encoder/pointer_fields_zero", EncoderPointers{
			&Gobbed{}, &GobbedPointer{}, &Version{}, pointer(&VersionPointer{}), 0,
		}),
		send("encoder/elements", EncoderElements{
			[]Gobbed{{"a"}, {}}, []*GobbedPointer{{"b"}, {}}, [2]Version{{1, 2}, {}},
			map[string]Version{"v": {3, 4}}, map[Version]int{{5, 6}: 7},
		}),
		send("encoder/elements_zero", EncoderElements{}),
		send("encoder/slice", []Gobbed{{"a"}, {}, {"b"}}),
		send("encoder/slice_of_pointers", []*GobbedPointer{{"a"}, {}}),
		send("encoder/map", map[string]Celsius{"k": 1}),
		send("encoder/map_key", map[Version]string{{1, 2}: "v"}),
		send("encoder/url", &url.URL{Scheme: "https", Host: "example.org", Path: "/a b"}),
		send("encoder/url_fields", &Link{
			Address: url.URL{Scheme: "http", Host: "a"}, Backup: &url.URL{Path: "/b"},
		}),
		send("encoder/url_fields_zero", &Link{}),
		send("encoder/ip", net.IPv4(127, 0, 0, 1)),
		send("encoder/big_int", big.NewInt(-1234567890123)),
		send("encoder/big_int_zero", new(big.Int)),
		send("encoder/big_int_large", new(big.Int).Lsh(big.NewInt(1), 200)),
		send("encoder/big_rat", big.NewRat(-22, 7)),
		send("encoder/big_float", big.NewFloat(1.5)),
		send("encoder/big_float_infinite", new(big.Float).SetInf(true)),
		send("encoder/big_slice", []*big.Int{big.NewInt(1), new(big.Int)}),
		send("encoder/big_map", map[string]*big.Int{"a": big.NewInt(256)}),
		send("encoder/numbers", &Numbers{
			*big.NewInt(1), big.NewInt(2), big.NewRat(3, 4), big.NewFloat(0.5),
		}),
		send("encoder/numbers_zero", &Numbers{}),
	}
}

func timeVectors() []vector {
	utc := time.Date(2024, time.February, 29, 12, 34, 56, 789_000_001, time.UTC)
	in := func(seconds int) time.Time { return utc.In(time.FixedZone("zone", seconds)) }
	now := time.Now()
	return []vector{
		send("time/utc", utc),
		send("time/zone_east", in(3600)),
		send("time/zone_west", in(-5*3600-30*60)),
		send("time/zone_zero", in(0)),
		send("time/zone_seconds", in(3600+25)),
		send("time/zone_seconds_west", in(-3600-25)),
		send("time/zero", time.Time{}),
		send("time/epoch", time.Unix(0, 0).UTC()),
		send("time/before_epoch", time.Unix(-1, 999_999_999).UTC()),
		send("time/year_9999", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		send("time/year_minus_1", time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)),
		send("time/monotonic", now.Add(utc.Sub(now)).UTC()),
		send("time/duration", 90*time.Second),
		send("time/month", time.March),
		send("time/slice", []time.Time{utc, {}, in(3600)}),
		send("time/map_value", map[string]time.Time{"t": utc}),
		send("time/map_key", map[time.Time]string{utc: "t"}),
		send("time/fields", Times{utc, pointer(in(7200)), time.Minute, time.May, []time.Time{{}}}),
		send("time/fields_zero", Times{}),
		send("time/fields_pointer_to_zero", Times{End: &time.Time{}}),
	}
}
