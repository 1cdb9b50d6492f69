package main

import (
	"encoding/gob"
	"fmt"
	"math/big"
	"reflect"
	"sort"
	"strings"
	"time"
)

var longName = strings.Repeat("long/", 40) + "Long"

// registered holds the types that interface values may have beside Go's basic types: the name on
// the wire, and a value of the type that receives. An empty name stands for Go's default.
var registered = []struct {
	name  string
	value any
}{
	{"Circle", Circle{}},
	{"", Square{}},
	{"", &Polygon{}},
	{"Meters", Meters(0)},
	{"Point", Point{}},
	{"Line", Line{}},
	{"Path", Path{}},
	{"Node", Node{}},
	{"Tree", &Tree{}},
	{"Empty", Empty{}},
	{"AnyBox", AnyBox{}},
	{"AnyPair", AnyPair{}},
	{"AnyMany", AnyMany{}},
	{"Kinds", Kinds{}},
	{"ünïcode \"name\"", Derived{}},
	{longName, Long{}},
	{"Color", Color("")},
	{"Count", Count(0)},
	{"Octets", Octets(nil)},
	{"Triple", Triple{}},
	{"Pair", Pair[int]{}},
	{"Gobbed", Gobbed{}},
	{"GobbedPointer", &GobbedPointer{}},
	{"Version", Version{}},
	{"Celsius", Celsius(0)},
	{"", time.Time{}},
	{"", &big.Int{}},
	{"", []any(nil)},
	{"", map[string]any(nil)},
	{"", map[string]int(nil)},
	{"", [2]int{}},
	{"", []Point(nil)},
	{"", []*Point(nil)},
	{"", map[string]Point(nil)},
	{"", [][]int(nil)},
}

var basics = []any{
	false, 0, int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0), uint32(0),
	uint64(0), uintptr(0), float32(0), 0.0, complex64(0), complex128(0), "",
	[]bool(nil), []int(nil), []int8(nil), []int16(nil), []int32(nil), []int64(nil), []uint(nil),
	[]uint8(nil), []uint16(nil), []uint32(nil), []uint64(nil), []uintptr(nil), []float32(nil),
	[]float64(nil), []complex64(nil), []complex128(nil), []string(nil),
}

var names = registerTypes()

func registerTypes() map[reflect.Type]string {
	names := make(map[reflect.Type]string)
	for _, basic := range basics {
		names[reflect.TypeOf(basic)] = reflect.TypeOf(basic).String()
	}
	for _, r := range registered {
		t := reflect.TypeOf(r.value)
		name := r.name
		if name == "" {
			gob.Register(r.value)
			name = t.String()
		} else {
			gob.RegisterName(name, r.value)
		}
		names[baseType(t)] = name
	}
	return names
}

func registeredName(t reflect.Type) string {
	name, ok := names[baseType(t)]
	if !ok {
		panic("not registered: " + t.String())
	}
	return name
}

// readerTypes maps the oracle's names to all types that vectors are read as.
func readerTypes() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	for _, v := range allVectors() {
		for _, reader := range v.readers {
			types[typeName(reader)] = reader
		}
	}
	return types
}

// typeName is the Go name of a type, without the package if that is this one.
func typeName(t reflect.Type) string {
	return shorten(t.String())
}

func shorten(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "main.", ""), "interface {}", "any")
}

// printTypes lists the readers, then the types they are made of, then the registered names.
func printTypes() error {
	readers := readerTypes()
	declarations := make(map[string]string)
	for name, reader := range readers {
		declare(declarations, reader)
		declarations[name] = declaration(reader)
	}
	for _, r := range registered {
		declare(declarations, reflect.TypeOf(r.value))
	}
	fmt.Println("# name, declaration")
	for _, name := range sortedKeys(readers) {
		fmt.Printf("%s\t%s\n", name, declarations[name])
		delete(declarations, name)
	}
	fmt.Println("# parts of those above, no names for check")
	for _, name := range sortedKeys(declarations) {
		fmt.Printf("# %s\t%s\n", name, declarations[name])
	}
	fmt.Println("# registered names of interface values, beside Go's basic types and slices of them")
	for _, r := range registered {
		t := reflect.TypeOf(r.value)
		fmt.Printf("# <%s>\t%s\n", registeredName(t), typeName(t))
	}
	return nil
}

// declare collects the named types of this package that a type is made of.
func declare(declarations map[string]string, t reflect.Type) {
	if t.PkgPath() == "main" {
		if _, known := declarations[typeName(t)]; known {
			return
		}
		declarations[typeName(t)] = declaration(t)
	}
	if _, ok := encodesItself(t); ok {
		return
	}
	switch t.Kind() {
	case reflect.Map:
		declare(declarations, t.Key())
		declare(declarations, t.Elem())
	case reflect.Array, reflect.Pointer, reflect.Slice:
		declare(declarations, t.Elem())
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			if knowsField(t.Field(i)) {
				declare(declarations, t.Field(i).Type)
			}
		}
	}
}

func declaration(t reflect.Type) string {
	if byPointer, ok := encodesItself(t); ok {
		method, receiver := "MarshalBinary", t
		if byPointer {
			receiver = reflect.PointerTo(t)
		}
		if receiver.Implements(encoderInterfaces[0]) {
			method = "GobEncode"
		}
		return fmt.Sprintf("%s with %s of %s", t.Kind(), method, typeName(receiver))
	}
	if t.Name() == "" || t.PkgPath() == "" {
		return typeName(t)
	}
	return "type " + typeName(t) + " " + underlying(t)
}

func underlying(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), typeName(t.Elem()))
	case reflect.Map:
		return fmt.Sprintf("map[%s]%s", typeName(t.Key()), typeName(t.Elem()))
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Interface:
		return "interface"
	case reflect.Struct:
		var fields []string
		for i := 0; i < t.NumField(); i++ {
			field := t.Field(i)
			if !field.Anonymous {
				fields = append(fields, field.Name+" "+typeName(field.Type))
			} else {
				fields = append(fields, typeName(field.Type))
			}
		}
		return "struct { " + strings.Join(fields, "; ") + " }"
	}
	return t.Kind().String()
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
