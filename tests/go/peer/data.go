package peer

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// ComplexData is the struct that the peers exchange.
type ComplexData struct {
	N int
	S string
	M map[string]int
	P []byte
	C *ComplexData
}

// Numbered makes a value that no other number gives. All of these occur: fields that are zero,
// empty or nil, negative numbers, text that is not ASCII, up to three structs inside, 10,000 bytes.
func Numbered(number int) *ComplexData {
	return nested(number, number%4)
}

func nested(number, levels int) *ComplexData {
	data := &ComplexData{N: number, S: fmt.Sprintf("string %d", number)}
	if number%5 == 0 {
		data.S += " ü€😀"
	}
	if number%3 != 0 {
		data.M = map[string]int{
			fmt.Sprintf("key %d", number): number,
			"negative":                    -number,
			"zero":                        0,
		}
	}
	switch {
	case number%50 == 7:
		data.P = bytes.Repeat([]byte("0123456789"), 1000)
	case number%2 == 0:
		data.P = []byte(fmt.Sprintf("bytes\n\x00\xff%d", number))
	}
	switch {
	case levels > 0:
		data.C = nested(number*-1000, levels-1)
	case number%7 == 0:
		data.C = &ComplexData{}
	}
	return data
}

// Text is the canonical text of a value, the same for all that gob holds for the same:
//
//	text  = N "|" S "|" pairs "|" P "|" C
//	N     = decimal, "-" before a negative one
//	S     = its bytes as they are
//	pairs = [ key "=" value *( "," key "=" value ) ]    sorted by the bytes of the keys
//	P     = two lower-case hexadecimal digits a byte
//	C     = text, or "-" if there is none
func (d *ComplexData) Text() string {
	if d == nil {
		return "-"
	}
	keys := make([]string, 0, len(d.M))
	for key := range d.M {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	pairs := make([]string, 0, len(keys))
	for _, key := range keys {
		pairs = append(pairs, fmt.Sprintf("%s=%d", key, d.M[key]))
	}
	return fmt.Sprintf("%d|%s|%s|%x|%s", d.N, d.S, strings.Join(pairs, ","), d.P, d.C.Text())
}
