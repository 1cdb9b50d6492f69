// Package peer is what the programs share: the data they exchange, and a connection that carries
// lines and gob values by turns.
package peer

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
)

// A Habit says how long an Encoder and a Decoder last, for programs differ: "fresh" makes new ones
// for each value, so that the definitions of its types come with each; "connection" has one of each
// for the whole connection, so that they come once.
type Habit string

const (
	Fresh      Habit = "fresh"
	Connection Habit = "connection"
)

// String is part of flag.Value.
func (h *Habit) String() string {
	return string(*h)
}

// Set is part of flag.Value.
func (h *Habit) Set(text string) error {
	*h = Habit(text)
	if *h != Fresh && *h != Connection {
		return errors.New("must be fresh or connection")
	}
	return nil
}

// A Stream carries lines and gob values by turns. Its reader is an io.ByteReader, so a Decoder
// takes not a byte more than its value.
type Stream struct {
	*bufio.ReadWriter
	habit   Habit
	encoder *gob.Encoder
	decoder *gob.Decoder
}

// NewStream makes a stream of a connection.
func NewStream(conn io.ReadWriter, habit Habit) *Stream {
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	return &Stream{rw, habit, gob.NewEncoder(rw), gob.NewDecoder(rw)}
}

// ReadLine reads a line, without its line feed. It gives io.EOF only where no line has begun.
func (s *Stream) ReadLine() (string, error) {
	line, err := s.ReadString('\n')
	if err == io.EOF && line != "" {
		return "", io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	return line[:len(line)-1], nil
}

// Encode writes a value, but does not flush it.
func (s *Stream) Encode(value any) error {
	if s.habit == Fresh {
		s.encoder = gob.NewEncoder(s)
	}
	return s.encoder.Encode(value)
}

// Decode reads a value. The value must be there: the stream's end is io.ErrUnexpectedEOF.
func (s *Stream) Decode(value any) error {
	if s.habit == Fresh {
		s.decoder = gob.NewDecoder(s)
	}
	err := s.decoder.Decode(value)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Listen listens on an address, whose port may be 0, and says which one it is.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err == nil {
		fmt.Println("listening on", listener.Addr())
	}
	return listener, err
}
