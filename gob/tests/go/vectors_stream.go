package main

import (
	"math"
	"net/rpc"
	"reflect"
	"time"
)

func typeOf(value any) reflect.Type { return reflect.TypeOf(value) }

func streamVectors() []vector {
	line := Line{Point{1, 2}, Point{3, 4}}
	return []vector{
		send("stream/same_type_thrice", Point{1, 2}, Point{}, Point{3, 4}),
		send("stream/same_basic_thrice", "a", "", "b"),
		send("stream/two_structs", Point{1, 2}, One{3}),
		send("stream/basic_then_struct", 1, Point{1, 2}),
		send("stream/struct_then_basic", Point{1, 2}, "x", 3.0),
		send("stream/inner_then_outer", Point{1, 2}, line),
		send("stream/outer_then_inner", line, Point{5, 6}),
		send("stream/shared_inner", Path{Name: "p"}, line, []Point{{1, 2}}),
		send("stream/alternating", Point{1, 2}, One{3}, Point{4, 5}, One{6}),
		send("stream/slices_and_maps", []int{1}, map[string]int{"a": 1}, []string{"x"}, []int{2}),
		send("stream/interfaces", AnyBox{Point{1, 2}}, Point{3, 4}, AnyBox{Point{5, 6}}, AnyBox{7}),
		send("stream/type_first_in_interface", pointer(any(Point{1, 2})), Point{3, 4}),
		send("stream/many_values", sequence(200)...),
		send("stream/encoders", Gobbed{"a"}, Version{1, 2}, Gobbed{"b"}, time.Unix(1, 0).UTC()),
		raw("stream/nothing", "", Point{}),
		send("rpc/request", &rpc.Request{ServiceMethod: "Arith.Multiply", Seq: 1}, Point{7, 8}),
		send("rpc/request_first", &rpc.Request{ServiceMethod: "Arith.Multiply"}, Point{7, 8}),
		send("rpc/requests", &rpc.Request{ServiceMethod: "Arith.Multiply"}, Point{7, 8},
			&rpc.Request{ServiceMethod: "Arith.Add", Seq: 1}, Point{9, 10}),
		send("rpc/response", &rpc.Response{ServiceMethod: "Arith.Multiply", Seq: 1}, 56),
		send("rpc/response_error", &rpc.Response{
			ServiceMethod: "Arith.Divide", Seq: 300, Error: "divide by zero",
		}, struct{}{}),
	}
}

func sequence(count int) (values []any) {
	for i := 0; i < count; i++ {
		values = append(values, Point{i, -i})
	}
	return values
}

// readerVectors are read as other types than those sent.
func readerVectors() []vector {
	p := Point{22, 33}
	line := Line{Point{1, 2}, Point{3, 4}}
	tree := Tree{&Tree{Value: 1}, 2, &Tree{&Tree{Value: 3}, 4, nil}}
	path := Path{"way", []Point{{1, 2}}, map[string]Point{"end": {5, 6}}, [2]Point{}}
	return []vector{
		send("reader/reordered", p).as(PointReordered{}),
		send("reader/more", p).as(PointMore{}),
		send("reader/less", p).as(PointLess{}),
		send("reader/less_zero", Point{X: 1}).as(PointLess{}),
		send("reader/smaller_ints", p).as(PointSmall{}),
		send("reader/smaller_ints_limits", Point{-128, 127}).as(PointSmall{}),
		send("reader/pointers", p).as(PointPointers{}),
		send("reader/pointers_zero", Point{X: 1}).as(PointPointers{}),
		send("reader/no_fields", p).as(Empty{}),
		send("reader/hidden_fields", p).as(PointCase{}),
		send("reader/empty_to_point", Empty{}).as(Point{}),
		send("reader/stream_of_two", p, Point{1, 2}).as(PointLess{}, PointReordered{}),
		send("reader/line_less", line).as(LineLess{}),
		send("reader/line_pointers", line).as(LinePointers{}),
		send("reader/line_pointers_zero", Line{}).as(LinePointers{}),
		send("reader/kinds_few", allKinds()).as(KindsFew{}),
		send("reader/kinds_few_zero", Kinds{}).as(KindsFew{}),
		send("reader/tree_left", tree).as(TreeLeft{}),
		send("reader/tree_flat", tree).as(TreeFlat{}),
		send("reader/forest_top", Forest{"top", []Forest{{"a", nil}, {"b", []Forest{{}}}}}).
			as(ForestTop{}),
		send("reader/path_map", path).as(PathMap{}),
		send("reader/slice_of_less", []Point{{1, 2}, {3, 0}}).as([]PointLess{}),
		send("reader/slice_of_pointers", []Point{{1, 2}, {}}).as([]*PointReordered{}),
		send("reader/map_of_less", map[string]Point{"a": {1, 2}}).as(map[string]PointLess{}),
		send("reader/key_less", map[Point]int{{1, 2}: 3}).as(map[PointLess]int{}),
		send("reader/int_to_int8", -128).as(int8(0)),
		send("reader/int_to_int32", math.MinInt32).as(int32(0)),
		send("reader/int8_to_int64", int8(-1)).as(int64(0)),
		send("reader/uint64_to_uint8", uint64(255)).as(uint8(0)),
		send("reader/uintptr_to_uint16", uintptr(65535)).as(uint16(0)),
		send("reader/float64_to_float32", 0.1).as(float32(0)),
		send("reader/float64_to_float32_max", math.MaxFloat32).as(float32(0)),
		send("reader/float64_to_float32_small", 1e-300).as(float32(0)),
		send("reader/float64_to_float32_infinite", math.Inf(-1)).as(float32(0)),
		send("reader/float64_to_float32_nan", math.NaN()).as(float32(0)),
		send("reader/float32_to_float64", float32(0.1)).as(0.0),
		send("reader/complex128_to_complex64", 0.1+2i).as(complex64(0)),
		send("reader/string_to_named", "red").as(Color("")),
		send("reader/named_to_string", Color("red")).as(""),
		send("reader/bytes_to_named", []byte{1, 2}).as(Octets{}),
		send("reader/named_to_bytes", Octets{1, 2}).as([]byte{}),
		send("reader/ints_to_int8s", []int{1, -128}).as([]int8{}),
		send("reader/uints_to_uint16s", []uint64{1, 65535}).as([]uint16{}),
		send("reader/array_to_named", [3]int{1, 2, 3}).as(Triple{}),
		send("reader/array_to_array_of_int8", [3]int{1, 2, 3}).as([3]int8{}),
		send("reader/map_to_named", map[string]int{"a": 1}).as(Ages{}),
		send("reader/map_to_small", map[string]int{"a": 1}).as(map[Color]int8{}),
		send("reader/slice_to_pointers", []int{1, 0}).as([]*int{}),
		send("reader/byte_array_to_uint_array", [2]byte{1, 255}).as([2]uint{}),
		send("reader/encoder_to_encoder", Gobbed{"x"}).as(GobbedPointer{}),
		send("reader/time_to_encoder", time.Unix(0, 0).UTC()).as(GobbedPointer{}),
		send("reader/ip_like_bytes", []byte{127, 0, 0, 1}).as(Octets{}),
		send("reader/texted_to_one", Texted{5}).as(One{}),
	}
}

func carry[T any](name string, junk T) vector {
	return send("ignored/"+name, &Carrier[T]{1, junk, 2}).as(AZ{})
}

// loses makes a vector in which Go's decoder, passing over the field, loses its place.
func loses[T any](name string, junk T) vector {
	return carry(name, junk).renamed("go_bug/"+name, 0).refuse()
}

// ignoredVectors hold a field that the reader does not have.
func ignoredVectors() []vector {
	return []vector{
		carry("bool", true), carry("int", -300), carry("uint", uint(300)), carry("float", 0.1),
		carry("complex", 0.1+2i), carry("string", "text"), carry("bytes", []byte("text")),
		carry("zero", 0), carry("array", [2]int{3, 4}), carry("array_of_strings", [1]string{"s"}),
		carry("slice", []int{1, 2}), carry("slice_of_slices", [][]string{{"a"}, nil}),
		carry("slice_of_bytes", [][]byte{{1}, {}}), carry("map", map[string]int{"a": 1}),
		carry("map_of_maps", map[int]map[string]bool{1: {"a": true}}),
		carry("map_of_structs", map[string]Point{"a": {1, 2}}), carry("struct", Point{1, 2}),
		carry("struct_zero", Point{}), carry("struct_empty", Empty{}),
		carry("slice_of_structs", []Point{{1, 2}, {}}), carry("slice_of_empty", []Empty{{}, {}}),
		carry("array_of_structs", [2]Line{}), carry("pointer", &Point{1, 2}),
		carry("pointer_nil", (*Point)(nil)), carry("recursive", chain(3)),
		carry("recursive_tree", Tree{&Tree{}, 1, &Tree{}}), carry("recursive_list", List{{}, {{}}}),
		carry("kinds", allKinds()), carry("encoder", Gobbed{"x"}), carry("marshaler", Version{1, 2}),
		carry("encoder_slice", []Gobbed{{"x"}, {}}), carry("time", time.Unix(1, 0).UTC()),
		carry("interface_nil", any(nil)), carry("interface_basic", any(5)),
		carry("interface_string", any("x")), carry("interface_struct", any(Point{1, 2})),
		carry("interface_recursive", any(chain(2))), carry("interface_shape", Shape(Circle{1})),
		carry("interface_slice", []any{1, "x"}), carry("interface_slice_new", []any{Point{1, 2}}),
		carry("interface_map", map[string]any{"a": 1}),
		carry("interface_nested", any(AnyBox{5})),
		carry("interface_two_new", []any{Point{1, 2}, Circle{1}, Point{3, 4}}),
		carry("sixty", Sixty{F59: []int{1}}),
		send("ignored/then_known", AnyPair{First: Point{1, 2}, Second: 3}, Point{4, 5}).
			as(struct{ Second any }{}, Point{}),
		loses("nil_in_slice", []any{nil, 1}),
		loses("nil_in_map", map[string]any{"a": nil}),
		loses("nil_in_array", [2]any{}),
		loses("new_type_nested", any(AnyBox{Point{1, 2}})),
		loses("two_new_types_nested", any(AnyPair{Point{1, 2}, Circle{3}})),
	}
}

// refusedVectors are read as types that do not fit.
func refusedVectors() []vector {
	p := Point{22, 33}
	return refuseAll([]vector{
		send("refused/struct_signedness", p).as(PointUnsigned{}),
		send("refused/struct_float", p).as(PointFloat{}),
		send("refused/struct_no_common_field", p).as(PointOther{}),
		send("refused/struct_one_field", p).as(PointHalf{}),
		send("refused/struct_one_field_left_out", Point{X: 1}).as(PointHalf{}),
		send("refused/struct_to_int", p).as(0),
		send("refused/struct_to_slice", p).as([]int{}),
		send("refused/struct_to_map", p).as(map[string]int{}),
		send("refused/int_to_struct", 5).as(Point{}),
		send("refused/struct_field_range", Point{1, 128}).as(PointSmall{}),
		send("refused/second_value", 1, "x").as(0),
		send("refused/second_value_range", 1, 127, 128).as(int8(0)),
		send("refused/nested_range", []Line{{To: Point{Y: 300}}}).as([]struct{ To PointSmall }{}),
		send("refused/int_to_uint", 5).as(uint(0)),
		send("refused/uint_to_int", uint(5)).as(0),
		send("refused/int_to_float", 5).as(0.0),
		send("refused/float_to_int", 5.0).as(0),
		send("refused/float_to_complex", 5.0).as(0i),
		send("refused/bool_to_int", true).as(0),
		send("refused/int_to_bool", 1).as(false),
		send("refused/int_to_string", 65).as(""),
		send("refused/string_to_bytes", "x").as([]byte{}),
		send("refused/bytes_to_string", []byte("x")).as(""),
		send("refused/bytes_to_byte_array", []byte("ab")).as([2]byte{}),
		send("refused/byte_array_to_bytes", [2]byte{1, 2}).as([]byte{}),
		send("refused/bytes_to_uint16s", []byte{1}).as([]uint16{}),
		send("refused/uint16s_to_bytes", []uint16{1}).as([]byte{}),
		send("refused/slice_to_array", []int{1, 2}).as([2]int{}),
		send("refused/array_to_slice", [2]int{1, 2}).as([]int{}),
		send("refused/array_length", [3]int{}).as([2]int{}),
		send("refused/slice_element", []int{}).as([]string{}),
		send("refused/map_key", map[int]int{}).as(map[string]int{}),
		send("refused/map_element", map[string]int{}).as(map[string]string{}),
		send("refused/slice_to_map", []int{}).as(map[int]int{}),
		send("refused/int_to_interface", 5).asTypes(typeOf([]any{}).Elem()),
		send("refused/interface_to_int", pointer(any(5))).as(0),
		send("refused/interface_to_struct", AnyBox{p}).as(struct{ Value Point }{}),
		send("refused/interface_not_assignable", pointer(any(p))).asTypes(typeOf([]Shape{}).Elem()),
		send("refused/encoder_to_string", Gobbed{"x"}).as(""),
		send("refused/string_to_encoder", "x").as(Gobbed{}),
		send("refused/embedded_to_flat", Derived{Base{1, "b"}, "x"}).as(One{}),
		send("refused/embedded_to_int", Derived{Base{1, "b"}, "x"}).as(struct{ Base int }{}),
		send("refused/encoder_to_marshaler", Gobbed{"xx"}).as(Version{}),
		send("refused/marshaler_to_encoder", Version{1, 2}).as(Gobbed{}),
		send("refused/marshaler_own_error", Version{1, 2}).as(VersionPointer{}),
	})
}

// refusedRangeVectors are read as types that are too small for the value.
func refusedRangeVectors() []vector {
	return refuseAll([]vector{
		send("refused/int8_over", 128).as(int8(0)),
		send("refused/int8_under", -129).as(int8(0)),
		send("refused/int16_over", 32768).as(int16(0)),
		send("refused/int16_under", -32769).as(int16(0)),
		send("refused/int32_over", 1<<31).as(int32(0)),
		send("refused/int32_under", -1<<31-1).as(int32(0)),
		send("refused/uint8_over", uint(256)).as(uint8(0)),
		send("refused/uint16_over", uint(65536)).as(uint16(0)),
		send("refused/uint32_over", uint(1<<32)).as(uint32(0)),
		send("refused/float32_over", 1e300).as(float32(0)),
		send("refused/complex64_over", complex(0, -1e300)).as(complex64(0)),
		send("refused/int8s_over", []int{1, 128}).as([]int8{}),
		send("refused/array_over", [3]int{1, 2, 300}).as([3]int8{}),
		send("refused/map_over", map[string]int{"a": 128}).as(map[string]int8{}),
	})
}

func refuseAll(vectors []vector) (refused []vector) {
	for _, v := range vectors {
		refused = append(refused, v.refuse())
	}
	return refused
}

// idVectors begin at other type ids than Go 1.19's, 64 being that of newer ones.
func idVectors() []vector {
	of := func(firstID int32, prefix string) []vector {
		line := Line{Point{1, 2}, Point{3, 4}}
		return []vector{
			send("article/complex_data", article()).inOrder(articleOrder...).
				renamed(prefix+"article", firstID),
			send("", Point{22, 33}).renamed(prefix+"point", firstID),
			send("", line, line).renamed(prefix+"lines", firstID),
			send("", [2][]int{{1}, nil}).renamed(prefix+"array_of_slices", firstID),
			send("", *chain(3)).renamed(prefix+"recursive", firstID),
			send("", time.Unix(1, 0).UTC()).renamed(prefix+"time", firstID),
			send("", &Numbers{}).renamed(prefix+"numbers", firstID),
			send("", AnyPair{Point{1, 2}, Circle{3}}).renamed(prefix+"interfaces", firstID),
			send("", map[string]any{"a": []any{Point{1, 2}}}).renamed(prefix+"nested", firstID),
			send("", &rpc.Request{ServiceMethod: "A.B"}, Point{1, 2}).
				renamed(prefix+"rpc_request", firstID),
		}
	}
	return concat(of(64, "ids64/"), of(127, "ids127/"), of(1<<31-20, "ids_large/"))
}
