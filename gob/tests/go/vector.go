package main

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
)

// vector is one stream and what Go reads from it.
type vector struct {
	name    string
	values  []any          // sent with one Encoder
	stream  []byte         // or the bytes, if not Go's own
	readers []reflect.Type // of the values in order, the last one for all further values
	order   []string       // fragments that must come in this order, which settles that of maps
	firstID int32          // if not Go 1.19's 65
	refused bool           // Go's Decoder must answer an error
}

// send makes a vector that is read as the types that were sent.
func send(name string, values ...any) vector {
	var readers []reflect.Type
	for _, value := range values {
		readers = append(readers, baseType(reflect.TypeOf(value)))
	}
	for len(readers) > 1 && readers[len(readers)-1] == readers[len(readers)-2] {
		readers = readers[:len(readers)-1]
	}
	return vector{name: name, values: values, readers: readers}
}

// raw makes a vector from bytes in hexadecimal, with spaces between.
func raw(name, digits string, samples ...any) vector {
	stream, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(name + ": " + err.Error())
	}
	return vector{name: name, stream: stream}.as(samples...)
}

// as says which types read the stream, by values of them.
func (v vector) as(samples ...any) vector {
	v.readers = nil
	for _, sample := range samples {
		v.readers = append(v.readers, reflect.TypeOf(sample))
	}
	return v
}

// asTypes is for interface types, of which there are no values.
func (v vector) asTypes(readers ...reflect.Type) vector {
	v.readers = readers
	return v
}

func (v vector) inOrder(fragments ...string) vector {
	v.order = fragments
	return v
}

func (v vector) refuse() vector {
	v.refused = true
	return v
}

func (v vector) renamed(name string, firstID int32) vector {
	v.name, v.firstID = name, firstID
	return v
}

const header = `# Streams of Go's encoding/gob, and what Go reads from them.
# Made by gob/tests/go with %s.
# Columns, by tabs: name, types that read the stream (the last one again for all further values),
# the stream in hexadecimal, then a literal for each value. A last column that begins with ! is
# the message with which Go refuses what comes then. The notation is in gob/tests/go/README.md.
# Under go_bug/ are right streams in which Go's decoder loses its place: each holds (A=1 Z=2).
`

// printVectors makes each vector in a process of its own, since encoding/gob numbers the types
// of a process in the order in which it meets them.
func printVectors() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf(header, runtime.Version())
	seen := make(map[string]bool)
	for _, v := range allVectors() {
		if seen[v.name] {
			return fmt.Errorf("two vectors %s", v.name)
		}
		seen[v.name] = true
		digits, err := exec.Command(self, "vector", v.name).Output()
		if failure, ok := err.(*exec.ExitError); ok {
			return fmt.Errorf("%s: %s", v.name, failure.Stderr)
		}
		if err != nil {
			return err
		}
		line, err := v.line(string(digits))
		if err != nil {
			return fmt.Errorf("%s: %v", v.name, err)
		}
		fmt.Println(line)
	}
	return nil
}

func printStream(name string) error {
	for _, v := range allVectors() {
		if v.name == name {
			stream, err := v.encode()
			fmt.Print(hex.EncodeToString(stream))
			return err
		}
	}
	return fmt.Errorf("no vector %s", name)
}

// line decodes in this process, which has encoded nothing, so that Go knows of the types on the
// wire only what the stream says.
func (v vector) line(digits string) (string, error) {
	stream, err := hex.DecodeString(digits)
	if err != nil {
		return "", err
	}
	literals, err := decodeAll(v.readers, stream)
	if (err != nil) != v.refused {
		return "", fmt.Errorf("decoding %s gave error %v", digits, err)
	}
	if err != nil {
		literals = append(literals, "!"+escape(err.Error()))
	}
	var types []string
	for _, reader := range v.readers {
		types = append(types, typeName(reader))
	}
	columns := []string{v.name, strings.Join(types, ","), digits}
	return strings.Join(append(columns, literals...), "\t"), nil
}

const encodeAttemptsMax = 100_000

// encode tries again until Go happens to take the entries of maps in the order asked for.
func (v vector) encode() ([]byte, error) {
	if v.values == nil {
		return v.stream, nil
	}
	// Only Go 1.19 gives the first type of a process the id 65, and only there can it be set.
	firstID := v.firstID
	if firstID == 0 {
		firstID = 65
	}
	if err := setFirstTypeID(firstID); err != nil {
		return nil, err
	}
	for attempt := 0; attempt < encodeAttemptsMax; attempt++ {
		var buffer bytes.Buffer
		encoder := gob.NewEncoder(&buffer)
		for _, value := range v.values {
			if err := encoder.Encode(value); err != nil {
				return nil, err
			}
		}
		if inOrder(buffer.Bytes(), v.order) {
			return buffer.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("maps in the order asked for did not come")
}

func inOrder(stream []byte, fragments []string) bool {
	for _, fragment := range fragments {
		at := bytes.Index(stream, []byte(fragment))
		if at < 0 {
			return false
		}
		stream = stream[at+len(fragment):]
	}
	return true
}
