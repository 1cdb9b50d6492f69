package main

import (
	"fmt"
	"math"
	"reflect"
)

func arrayVectors() []vector {
	var long [130]int
	long[129] = 1
	return []vector{
		send("array/ints", [3]int{1, -2, 300}),
		send("array/ints_zero", [3]int{}),
		send("array/no_ints", [0]int{}),
		send("array/long", long),
		send("array/bools", [2]bool{true, false}),
		send("array/uints", [2]uint16{1, 65535}),
		send("array/floats", [3]float64{0, 0.5, math.Inf(-1)}),
		send("array/complexes", [2]complex128{0, 1i}),
		send("array/strings", [2]string{"", "b"}),
		send("array/structs", [2]Point{{1, 2}, {}}),
		send("array/pointers", [2]*Point{{1, 2}, {}}),
		send("array/arrays", [2][3]int{{1, 2, 3}, {4, 5, 6}}),
		send("array/slices", [2][]int{{1}, nil}),
		send("array/bytes_slices", [2][]byte{nil, {1}}),
		send("array/maps", [1]map[string]int{{"a": 1}}),
		send("array/interfaces", [3]any{1, nil, "x"}),
		send("array/fields", Arrays{
			Ints: [2]int{1, 2}, Strings: [2]string{"a", "b"}, Points: [2]Point{{1, 0}, {0, 2}},
			Matrix: [2][2]float64{{1, 2}, {3, 4}}, Bytes: [3]byte{1, 2, 255},
			Slices: [1][]int{{1, 2}},
		}),
		send("array/fields_zero", Arrays{}),
	}
}

func sliceVectors() []vector {
	long := make([]int, 300)
	for i := range long {
		long[i] = i * i
	}
	return []vector{
		send("slice/nil", []int(nil)),
		send("slice/empty", []int{}),
		send("slice/ints", []int{0, 1, -1, 1 << 40}),
		send("slice/long", long),
		send("slice/bools", []bool{true, false, true}),
		send("slice/int8s", []int8{0, -128, 127}),
		send("slice/int16s", []int16{0, -32768, 32767}),
		send("slice/int32s", []int32{0, -1 << 31, 1<<31 - 1}),
		send("slice/int64s", []int64{0, math.MinInt64, math.MaxInt64}),
		send("slice/uints", []uint{0, math.MaxUint}),
		send("slice/uint16s", []uint16{0, 65535}),
		send("slice/uint32s", []uint32{0, 1<<32 - 1}),
		send("slice/uint64s", []uint64{0, math.MaxUint64}),
		send("slice/uintptrs", []uintptr{0, 1}),
		send("slice/float32s", []float32{0, 1.5, float32(math.Inf(1))}),
		send("slice/float64s", []float64{0, math.Copysign(0, -1), math.NaN(), 0.1}),
		send("slice/complex64s", []complex64{0, 1 + 2i}),
		send("slice/complex128s", []complex128{0, 1 - 2i}),
		send("slice/strings", []string{"", "a", "ünïcode", "a\x00b"}),
		send("slice/structs", []Point{{1, 2}, {}, {0, 3}}),
		send("slice/pointers", []*Point{{1, 2}, {}}),
		send("slice/pointers_to_ints", []*int{pointer(0), pointer(5)}),
		send("slice/slices", [][]int{{1, 2}, {}, nil, {3}}),
		send("slice/slices_three_deep", [][][]string{{{"a"}, {}}, nil}),
		send("slice/arrays", [][2]int{{1, 2}, {0, 0}}),
		send("slice/maps", []map[string]int{{"a": 1}, {}, nil}),
		send("slice/interfaces", []any{1, "two", 3.0, nil}),
		send("slice/fields", Slices{
			Bools: []bool{false}, Strings: []string{""}, Floats: []float64{0}, Points: []Point{{}},
			Matrix: [][]int{{}}, Blobs: [][]byte{{}}, Maps: []map[string]int{nil},
		}),
		send("slice/fields_nil", Slices{}),
		send("slice/fields_empty", Slices{
			Bools: []bool{}, Strings: []string{}, Floats: []float64{}, Points: []Point{},
			Matrix: [][]int{}, Blobs: [][]byte{}, Maps: []map[string]int{},
		}),
	}
}

func mapVectors() []vector {
	return []vector{
		send("map/nil", map[string]int(nil)),
		send("map/empty", map[string]int{}),
		send("map/string_int", map[string]int{"one": 1}),
		send("map/zero_entry", map[string]int{"": 0}),
		send("map/int_string", map[int]string{-5: "minus five"}),
		send("map/uint_string", map[uint]string{300: "x"}),
		send("map/uint8_bool", map[uint8]bool{200: true}),
		send("map/bool_int", map[bool]int{true: 1}),
		send("map/float_int", map[float64]int{0.5: 1}),
		send("map/negative_zero", map[float64]int{math.Copysign(0, -1): 1}),
		send("map/nan", map[float64]int{math.NaN(): 1}),
		send("map/complex_int", map[complex128]int{1i: 1}),
		send("map/array_string", map[[2]int]string{{1, 2}: "x"}),
		send("map/struct_string", map[Point]string{{1, 2}: "x"}),
		send("map/pointer_keys", map[*Point]string{{1, 2}: "x"}),
		send("map/interface_int", map[any]int{"key": 1}),
		send("map/string_struct", map[string]Point{"a": {1, 2}}),
		send("map/string_pointer", map[string]*Point{"a": {1, 2}}),
		send("map/string_slice", map[string][]int{"a": {1, 2}}),
		send("map/string_bytes", map[string][]byte{"a": {1, 2}}),
		send("map/string_array", map[string][2]int{"a": {1, 2}}),
		send("map/string_map", map[string]map[string]int{"a": {"b": 1}}),
		send("map/string_interface", map[string]any{"a": 1.5}),
		send("map/string_string", map[string]string{"a": "b"}),
		send("map/string_complex", map[string]complex64{"a": 1}),
		send("map/fields", Maps{
			Ints: map[string]int{"a": 0}, Points: map[int]Point{0: {}},
			Slices: map[string][]int{"": nil}, Maps: map[string]map[string]int{"a": nil},
			Byte: map[uint8]bool{0: false}, Pointer: map[string]*Point{"p": {}},
		}),
		send("map/fields_nil", Maps{}),
		send("map/fields_empty", Maps{
			Ints: map[string]int{}, Points: map[int]Point{}, Slices: map[string][]int{},
			Maps: map[string]map[string]int{}, Byte: map[uint8]bool{},
			Pointer: map[string]*Point{},
		}),
		send("unordered/strings", map[string]int{"a": 1, "b": 2, "c": 3}).
			inOrder("\x01a", "\x01b", "\x01c"),
		send("unordered/ints", map[int]string{-9: "k", 10: "l", 9: "m"}).inOrder("k", "l", "m"),
		send("unordered/bools", map[bool]string{false: "no", true: "yes"}).inOrder("no", "yes"),
		send("unordered/floats", map[float64]string{-1: "x", 0.5: "y"}).inOrder("y", "x"),
		send("unordered/nans", map[float64]string{math.NaN(): "x", -math.NaN(): "y"}).
			inOrder("x", "y"),
		send("unordered/structs", map[Point]string{{0, 1}: "x", {1, 0}: "y"}).inOrder("x", "y"),
		send("unordered/maps", map[string]map[string]int{"A": {"c": 1, "d": 2}, "B": {"e": 1}}).
			inOrder("\x01A", "\x01c", "\x01d", "\x01B"),
	}
}

func allKinds() Kinds {
	return Kinds{
		Bool: true, Int: -1, Int8: -8, Int16: -1600, Int32: -320000, Int64: -1 << 40, Uint: 1,
		Uint8: 200, Uint16: 60000, Uint32: 1 << 31, Uint64: 1 << 63, Uintptr: 3, Float32: 0.5,
		Float64: 0.1, Complex64: 1 + 2i, Complex128: -0.1i, String: "text", Bytes: []byte{1, 2},
		Array: [3]int{1, 2, 3}, ByteArray: [4]byte{1, 2, 3, 255}, Slice: []int{1, 2},
		Map: map[string]int{"a": 1}, Struct: Point{1, 2}, Pointer: &Point{3, 4}, Interface: 5,
	}
}

func structVectors() []vector {
	vectors := []vector{
		send("struct/one", One{7}),
		send("struct/one_zero", One{}),
		send("struct/point", Point{22, 33}),
		send("struct/point_first", Point{X: 1}),
		send("struct/point_second", Point{Y: 1}),
		send("struct/point_zero", Point{}),
		send("struct/nested", Line{Point{1, 2}, Point{3, 4}}),
		send("struct/nested_zero", Line{}),
		send("struct/nested_half", Line{To: Point{Y: 4}}),
		send("struct/deep", Deep{DeepA{DeepB{DeepC{1}}}}),
		send("struct/deep_zero", Deep{}),
		send("struct/path", Path{
			"way", []Point{{1, 2}, {3, 4}}, map[string]Point{"end": {5, 6}}, [2]Point{{7, 8}, {9, 0}},
		}),
		send("struct/anonymous", struct{ A, B int }{1, 2}),
		send("struct/anonymous_inside", struct{ In struct{ A int } }{struct{ A int }{1}}),
		send("struct/hidden_fields", Hidden{A: 1, secret: 2, Channel: make(chan int), B: "b"}),
		send("struct/unicode_fields", Accented{Ünïcode: 1, Été: 2}),
		send("struct/text_marshaler", Texted{5}),
		send("struct/kinds_all", allKinds()),
		send("struct/kinds_zero", Kinds{}),
		send("struct/kinds_negative_zero", Kinds{
			Float32: float32(math.Copysign(0, -1)), Float64: math.Copysign(0, -1),
			Complex64: complex64(complex(0, math.Copysign(0, -1))),
		}),
		send("struct/kinds_nan", Kinds{Float32: float32(math.NaN()), Float64: math.NaN()}),
		send("struct/kinds_empty", Kinds{
			Bytes: []byte{}, Slice: []int{}, Map: map[string]int{}, Pointer: &Point{},
		}),
		send("struct/sixty", Sixty{
			F00: 1, F09: 9, F10: "ten", F19: "nineteen", F20: 20, F30: 30, F39: 39, F40: true,
			F49: true, F50: []int{50}, F59: []int{59},
		}),
		send("struct/sixty_last", Sixty{F59: []int{0}}),
		send("struct/sixty_zero", Sixty{}),
		send("struct/wide", Wide{F000: 1, F127: 127, F128: 128, F139: 139}),
		send("struct/wide_last", Wide{F139: 139}),
		send("struct/wide_128th", Wide{F127: 127}),
		send("struct/slice_of_kinds", []Kinds{allKinds(), {}}),
	}
	all := reflect.ValueOf(allKinds())
	for i := 0; i < all.NumField(); i++ {
		one := reflect.New(all.Type()).Elem()
		one.Field(i).Set(all.Field(i))
		name := all.Type().Field(i).Name
		vectors = append(vectors, send("struct/only_"+name, one.Interface()))
	}
	return vectors
}

func chain(length int) *Node {
	var first *Node
	for n := length; n > 0; n-- {
		first = &Node{n, first}
	}
	return first
}

func nest(depth int) any {
	if depth == 0 {
		return "bottom"
	}
	return AnyBox{nest(depth - 1)}
}

func recursiveVectors() []vector {
	company := Company{"Acme", []*Employee{{Name: "Ann", Reports: []*Employee{{Name: "Bob"}}}}}
	company.Staff[0].Company = &Company{Name: "Sub"}
	vectors := []vector{
		send("recursive/tree", Tree{&Tree{Value: 1}, 2, &Tree{&Tree{Value: 3}, 4, nil}}),
		send("recursive/tree_zero", Tree{&Tree{}, 0, &Tree{Right: &Tree{}}}),
		send("recursive/forest", Forest{"top", []Forest{{"a", nil}, {"b", []Forest{{}}}}}),
		send("recursive/directory", Directory{1, map[string]*Directory{
			"a": {2, map[string]*Directory{"b": {}}},
		}}),
		send("recursive/ping", Ping{1, &Pong{"two", &Ping{3, &Pong{}}}}),
		send("recursive/pong", Pong{"one", &Ping{2, nil}}),
		send("recursive/ping_and_pong", Ping{1, nil}, Pong{"two", nil}).as(Ping{}, Pong{}),
		send("recursive/company", company),
		send("recursive/employee", Employee{Name: "Cy", Company: &company}),
		send("recursive/list", List{{}, {{}, {}}, nil}),
		send("recursive/list_empty", List{}),
		send("recursive/registry", Registry{"a": {"b": nil}}),
		send("recursive/slice_of_nodes", []*Node{chain(2), chain(1)}),
		send("recursive/map_of_trees", map[string]*Tree{"a": {Value: 1, Left: &Tree{}}}),
	}
	for _, length := range []int{1, 2, 100, 1000} {
		vectors = append(vectors, send(fmt.Sprintf("recursive/nodes_%d", length), chain(length)))
	}
	return vectors
}

func zeroPointers() Pointers {
	any := any(nil)
	point := &Point{}
	return Pointers{
		Bool: new(bool), Int: new(int), Uint: new(uint), Float: new(float64), String: new(string),
		Bytes: new([]byte), Point: new(Point), Slice: new([]int), Map: new(map[string]int),
		Array: new([2]int), Any: &any, Twice: pointer(new(int)), Thrice: pointer(&point),
		Many: []*int{new(int)}, Keyed: map[string]**int{"": pointer(new(int))},
	}
}

func pointerVectors() []vector {
	point := &Point{5, 6}
	full := Pointers{
		Bool: pointer(true), Int: pointer(-1), Uint: pointer(uint(1)), Float: pointer(0.5),
		String: pointer("s"), Bytes: &[]byte{1}, Point: &Point{1, 2}, Slice: &[]int{1},
		Map: &map[string]int{"a": 1}, Array: &[2]int{1, 2}, Any: pointer(any("x")),
		Twice: pointer(pointer(2)), Thrice: pointer(&point), Many: []*int{pointer(1), pointer(0)},
		Keyed: map[string]**int{"k": pointer(pointer(3))},
	}
	return []vector{
		send("pointer/top_int", pointer(5)),
		send("pointer/top_zero", pointer(0)),
		send("pointer/top_twice", pointer(pointer("s"))),
		send("pointer/top_struct", &Point{1, 2}),
		send("pointer/top_slice", &[]int{1}),
		send("pointer/top_nil_slice", new([]int)),
		send("pointer/top_nil_map", new(map[string]int)),
		send("pointer/read_as_pointer", 5).as(pointer(5)),
		send("pointer/read_as_pointer_twice", Point{1, 2}).as(pointer(&Point{})),
		send("pointer/fields", full),
		send("pointer/fields_nil", Pointers{}),
		send("pointer/fields_to_zero", zeroPointers()),
		send("pointer/fields_to_nil", Pointers{Twice: new(*int), Thrice: new(**Point)}),
		send("pointer/fields_to_empty", Pointers{
			Bytes: &[]byte{}, Slice: &[]int{}, Map: &map[string]int{},
		}),
	}
}

func embeddedVectors() []vector {
	return []vector{
		send("embedded/struct", Derived{Base{1, "b"}, "x"}),
		send("embedded/zero", Derived{}),
		send("embedded/pointer", DerivedPointer{&Base{1, "b"}, "x"}),
		send("embedded/pointer_nil", DerivedPointer{nil, "x"}),
		send("embedded/twice", DerivedTwice{Derived{Base{1, "b"}, "x"}, 2, "own"}),
		send("embedded/lowercase", DerivedLowercase{lowercase{1}, 2}),
		send("embedded/read_as_field", Derived{Base{1, "b"}, "x"}).as(struct{ Base *Base }{}),
	}
}

func emptyVectors() []vector {
	return []vector{
		send("empty/struct", Empty{}),
		send("empty/anonymous", struct{}{}),
		send("empty/slice", []Empty{{}, {}, {}}),
		send("empty/array", [2]Empty{}),
		send("empty/map_value", map[string]Empty{"a": {}}),
		send("empty/map_key", map[Empty]int{{}: 1}),
		send("empty/fields", EmptyFields{
			Pointer: &Empty{}, Slice: []Empty{{}}, Map: map[string]Empty{"a": {}}, After: 1,
		}),
		send("empty/fields_zero", EmptyFields{}),
		send("empty/pointers", []*Empty{{}, {}}),
	}
}
