package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// errUnexpectedEnd stands for the bare io.EOF that Go answers for a value cut off inside its
// message, and for an empty message, although the stream did not end before the value.
var errUnexpectedEnd = errors.New("unexpected end")

// decodeAll reads a whole stream with one Decoder: the first value into the first type, and so
// on, and all further values into the last. With an error come the values before it.
func decodeAll(types []reflect.Type, stream []byte) (literals []string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	// A bytes.Reader is an io.ByteReader, so that the Decoder does not read ahead.
	reader := bytes.NewReader(stream)
	decoder := gob.NewDecoder(reader)
	for {
		value := reflect.New(types[0])
		atEnd := reader.Len() == 0
		switch err := decoder.DecodeValue(value); {
		case err == io.EOF && atEnd:
			return literals, nil
		case err == io.EOF:
			return literals, errUnexpectedEnd
		case err != nil:
			return literals, err
		}
		literals = append(literals, literal(value.Elem()))
		if len(types) > 1 {
			types = types[1:]
		}
	}
}
