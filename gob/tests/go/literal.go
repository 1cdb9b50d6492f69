package main

import (
	"encoding"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// literal writes a decoded value in the notation of README.md. It leaves out of a struct what
// gob leaves out, by its own reading of gob's rules.
func literal(v reflect.Value) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return "nil"
	}
	if byPointer, ok := encodesItself(v.Type()); ok {
		return "o:" + hex.EncodeToString(ownBytes(v, byPointer))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return literal(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return "<" + registeredName(v.Elem().Type()) + ">" + literal(v.Elem())
	case reflect.Struct:
		return "(" + strings.Join(fieldLiterals(v), " ") + ")"
	case reflect.Map:
		return "{" + strings.Join(entryLiterals(v), " ") + "}"
	case reflect.Array:
		return fmt.Sprintf("[%d|%s]", v.Len(), strings.Join(elementLiterals(v), " "))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return "x:" + hex.EncodeToString(v.Bytes())
		}
		return "[" + strings.Join(elementLiterals(v), " ") + "]"
	}
	return basicLiteral(v)
}

func basicLiteral(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		return "f:" + floatLiteral(v.Float())
	case reflect.Complex64, reflect.Complex128:
		c := v.Complex()
		return "c:" + floatLiteral(real(c)) + "," + floatLiteral(imag(c))
	case reflect.String:
		return stringLiteral(v.String())
	}
	return strconv.FormatUint(v.Uint(), 10) + "u"
}

func floatLiteral(f float64) string {
	if math.IsNaN(f) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(f))
}

func stringLiteral(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '\\' || b == '"':
			out.WriteByte('\\')
			out.WriteByte(b)
		case b < 0x20 || b > 0x7e:
			fmt.Fprintf(&out, `\x%02x`, b)
		default:
			out.WriteByte(b)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func elementLiterals(v reflect.Value) []string {
	out := make([]string, v.Len())
	for i := range out {
		out[i] = literal(v.Index(i))
	}
	return out
}

// entryLiterals sorts by the literal of the key, which is neither the order of the stream nor
// that of the keys' values.
func entryLiterals(v reflect.Value) []string {
	type entry struct{ key, value string }
	var entries []entry
	for iter := v.MapRange(); iter.Next(); {
		entries = append(entries, entry{literal(iter.Key()), literal(iter.Value())})
	}
	sort.Slice(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		return a.key < b.key || a.key == b.key && a.value < b.value
	})
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.key + "=" + e.value
	}
	return out
}

func fieldLiterals(v reflect.Value) []string {
	var out []string
	for i := 0; i < v.NumField(); i++ {
		field := v.Type().Field(i)
		if knowsField(field) && sendsField(v.Field(i)) {
			out = append(out, field.Name+"="+literal(v.Field(i)))
		}
	}
	return out
}

// knowsField reports whether gob looks at such a field at all.
func knowsField(field reflect.StructField) bool {
	first, _ := utf8.DecodeRuneInString(field.Name)
	base := baseType(field.Type)
	return unicode.IsUpper(first) && base.Kind() != reflect.Chan && base.Kind() != reflect.Func
}

// sendsField reports whether gob sends a struct's field that has this value.
func sendsField(v reflect.Value) bool {
	if byPointer, ok := encodesItself(v.Type()); ok {
		// Gob looks at the receiver of the encoding method, and the address of a field is never nil.
		return byPointer || !isZero(v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && sendsField(v.Elem())
	case reflect.Struct, reflect.Array:
		return true
	case reflect.Map:
		return !v.IsNil()
	}
	return !isZero(v)
}

func isZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0
	case reflect.Complex64, reflect.Complex128:
		return v.Complex() == 0
	case reflect.Array:
		for i := 0; i < v.Len(); i++ {
			if !isZero(v.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			if !isZero(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

var encoderInterfaces = []reflect.Type{
	reflect.TypeOf((*gob.GobEncoder)(nil)).Elem(),
	reflect.TypeOf((*encoding.BinaryMarshaler)(nil)).Elem(),
}

// encodesItself reports whether values of the type, or else pointers to them, have a method of
// their own for gob.
func encodesItself(t reflect.Type) (byPointer, ok bool) {
	for _, encoder := range encoderInterfaces {
		if t.Implements(encoder) {
			return false, true
		}
		if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(encoder) {
			return true, true
		}
	}
	return false, false
}

func ownBytes(v reflect.Value, byPointer bool) []byte {
	if byPointer {
		pointer := reflect.New(v.Type())
		pointer.Elem().Set(v)
		v = pointer
	}
	var data []byte
	var err error
	switch encoder := v.Interface().(type) {
	case gob.GobEncoder:
		data, err = encoder.GobEncode()
	case encoding.BinaryMarshaler:
		data, err = encoder.MarshalBinary()
	}
	if err != nil {
		panic(err)
	}
	return data
}

func baseType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
