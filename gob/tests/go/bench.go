package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"testing"
)

// valuesPerStream bounds what a warm decoder reads before it gets a new stream, untimed.
const valuesPerStream = 100_000

func bench() {
	cases := []struct {
		name string
		run  func(*testing.B)
	}{
		{"encode_fresh", encodeFresh},
		{"encode_warm", encodeWarm},
		{"decode_fresh", decodeFresh},
		{"decode_warm", decodeWarm},
		{"encode_bytes", encodeBytes},
		{"decode_bytes", decodeBytes},
	}
	for _, c := range cases {
		result := testing.Benchmark(c.run)
		nanoseconds := float64(result.T.Nanoseconds()) / float64(result.N)
		fmt.Printf("%s\t%.1f\n", c.name, nanoseconds)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func encodeFresh(b *testing.B) {
	value := article()
	var buffer bytes.Buffer
	for i := 0; i < b.N; i++ {
		buffer.Reset()
		must(gob.NewEncoder(&buffer).Encode(&value))
	}
}

func encodeWarm(b *testing.B) {
	value := article()
	var buffer bytes.Buffer
	encoder := gob.NewEncoder(&buffer)
	must(encoder.Encode(&value))
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		buffer.Reset()
		must(encoder.Encode(&value))
	}
}

func decodeFresh(b *testing.B) {
	stream := articleStream(1)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		var value complexData
		must(gob.NewDecoder(bytes.NewReader(stream)).Decode(&value))
	}
}

func decodeWarm(b *testing.B) {
	stream := articleStream(1 + valuesPerStream)
	var decoder *gob.Decoder
	for i := 0; i < b.N; i++ {
		if i%valuesPerStream == 0 {
			b.StopTimer()
			decoder = gob.NewDecoder(bytes.NewReader(stream))
			must(decoder.Decode(new(complexData)))
			b.StartTimer()
		}
		var value complexData
		must(decoder.Decode(&value))
	}
}

func articleStream(count int) []byte {
	value := article()
	var buffer bytes.Buffer
	encoder := gob.NewEncoder(&buffer)
	for i := 0; i < count; i++ {
		must(encoder.Encode(&value))
	}
	return buffer.Bytes()
}

func encodeBytes(b *testing.B) {
	value := someBytes()
	var buffer bytes.Buffer
	encoder := gob.NewEncoder(&buffer)
	must(encoder.Encode(value))
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		buffer.Reset()
		must(encoder.Encode(value))
	}
}

func decodeBytes(b *testing.B) {
	var buffer bytes.Buffer
	must(gob.NewEncoder(&buffer).Encode(someBytes()))
	stream := buffer.Bytes()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		var value []byte
		must(gob.NewDecoder(bytes.NewReader(stream)).Decode(&value))
	}
}

func someBytes() []byte {
	value := make([]byte, 100_000)
	for i := range value {
		value[i] = byte(i * 7)
	}
	return value
}
