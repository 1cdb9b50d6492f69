package main

import "time"

// Messages that define Point as type 65, and send a Point.
const (
	definePoint = "1f ff81 03 01 01 05 506f696e74 01 ff82 00 01 02 " +
		"01 01 58 01 04 00 01 01 59 01 04 00 00 00 "
	valuePoint = "07 ff82 01 2c 01 42 00 "
)

// rawVectors are streams that Go does not write, but reads or refuses in a way of its own.
func rawVectors() []vector {
	return []vector{
		raw("raw/int_long_form", "07 04 00 fc 00 00 00 0a", 0),
		raw("raw/int_one_byte_long_form", "04 04 00 ff 0a", 0),
		raw("raw/length_long_form", "fe 00 03 04 00 0a", 0),
		raw("raw/type_id_long_form", "05 fe 00 04 00 0a", 0),
		raw("raw/uint_eight_bytes", "0b 06 00 f8 ffffffffffffffff", uint(0)),
		raw("raw/uint_nine_bytes", "0c 06 00 f7 01ffffffffffffffff", uint(0)).refuse(),
		raw("raw/bool_two", "03 02 00 02", false),
		raw("raw/int_explicit_zero", "03 04 00 00", 0),
		raw("raw/field_explicit_zero", definePoint+"07 ff82 01 00 01 00 00", Point{}),
		raw("raw/pointer_explicit_zero", definePoint+"07 ff82 01 00 01 00 00", PointPointers{}),
		raw("raw/point", definePoint+valuePoint, Point{}),
		raw("raw/definition_twice", definePoint+definePoint+valuePoint, Point{}).refuse(),
		raw("raw/definition_without_value", definePoint, Point{}).refuse(),
		raw("raw/value_without_definition", valuePoint, Point{}).refuse(),
		raw("raw/value_in_definition_message", "26"+definePoint[2:]+"ff82 01 2c 01 42 00", Point{}).
			refuse(),
		raw("raw/other_id_inside", "1f ff81 03 01 01 05 506f696e74 01 ff92 "+definePoint[39:]+
			valuePoint, Point{}),
		raw("raw/unused_definition", "11 ff83 03 01 01 03 4f6e65 01 ff84 00 01 00 00 00"+
			definePoint+valuePoint, Point{}),
		raw("raw/id_inside_31_bits", "22 ff81 03 01 01 05 506f696e74 01 fcfffffffe "+
			definePoint[39:]+valuePoint, Point{}),
		raw("raw/id_inside_32_bits", "23 ff81 03 01 01 05 506f696e74 01 fb0100000000 "+
			definePoint[39:]+valuePoint, Point{}).refuse(),
		raw("raw/field_without_name", "18 ff81 03 01 01 01 50 01 ff82 00 01 02 02 04 00 "+
			"01 01 41 01 04 00 00 00 05 ff82 02 02 00", One{}).refuse(),
		raw("raw/array_of_none", "0c ff81 01 01 02 ff82 00 01 04 00 00 04 ff82 00 00", [0]int{}),
		raw("raw/time_of_no_bytes", "10 ff81 05 01 01 04 54696d65 01 ff82 00 00 00 04 ff82 00 00",
			time.Time{}).refuse(),
		raw("raw/no_end_of_struct", definePoint+"06 ff82 01 2c 01 42", Point{}),
		raw("raw/bytes_after_struct", definePoint+"08 ff82 01 2c 01 42 00 55", Point{}),
		raw("raw/bytes_after_int", "04 04 00 0a 55", 0),
		raw("raw/field_beyond", definePoint+"05 ff82 03 2c 00", Point{}).refuse(),
		raw("raw/field_wraps", definePoint+"0d ff82 f8 ffffffffffffffff 2c 00", Point{}).refuse(),
		raw("raw/cut_in_value", definePoint+"03 ff82 01", Point{}).refuse(),
		raw("raw/cut_in_message", definePoint+"07 ff82 01 2c", Point{}).refuse(),
		raw("raw/cut_in_definition", definePoint[:60], Point{}).refuse(),
		raw("raw/cut_in_length", "fe 00", Point{}).refuse(),
		raw("raw/cut_then_value", definePoint+"03 ff82 01"+valuePoint, Point{}).refuse(),
		raw("raw/empty_message", "00 03 04 00 0a", 0).refuse(),
		raw("raw/only_empty_message", "00", 0).refuse(),
		raw("raw/no_zero_before_int", "02 04 0a", 0).refuse(),
		raw("raw/string_too_long", "04 0c 00 05 61", "").refuse(),
		raw("raw/bytes_too_long", "04 0a 00 05 61", []byte{}).refuse(),
		raw("raw/reserved_type", "03 12 00 0a", 0).refuse(),
		raw("raw/type_zero", "03 00 00 0a", 0).refuse(),
		raw("raw/define_builtin", "03 03 00 0a", 0).refuse(),
		raw("raw/interface_not_registered", "0a 10 00 03 616263 04 02 00 0a", []any{}).
			asTypes(typeOf([]any{}).Elem()).refuse(),
		raw("raw/interface_wrong_length", "0a 10 00 03 696e74 04 7f 00 0a", []any{}).
			asTypes(typeOf([]any{}).Elem()),
		raw("raw/interface_other_type", "0d 10 00 03 696e74 0c 04 00 02 6869 00", []any{}).
			asTypes(typeOf([]any{}).Elem()).refuse(),
	}
}
