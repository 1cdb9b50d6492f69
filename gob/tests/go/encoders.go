package main

import (
	"errors"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Types with an encoding of their own: by GobEncode or MarshalBinary, by value or by pointer.

// Gobbed is sent as its text in angle brackets.
type Gobbed struct{ text string }

func (g Gobbed) GobEncode() ([]byte, error) { return []byte("<" + g.text + ">"), nil }

func (g *Gobbed) GobDecode(data []byte) error {
	if len(data) < 2 {
		return errors.New("Gobbed: too short")
	}
	g.text = string(data[1 : len(data)-1])
	return nil
}

// GobbedPointer has both methods on its pointer, so that gob never leaves it out of a struct.
type GobbedPointer struct{ text string }

func (g *GobbedPointer) GobEncode() ([]byte, error) { return []byte(g.text), nil }

func (g *GobbedPointer) GobDecode(data []byte) error {
	g.text = string(data)
	return nil
}

// Version is sent as two bytes.
type Version struct{ major, minor byte }

func (v Version) MarshalBinary() ([]byte, error) { return []byte{v.major, v.minor}, nil }

func (v *Version) UnmarshalBinary(data []byte) error {
	if len(data) != 2 {
		return errors.New("Version: want 2 bytes")
	}
	v.major, v.minor = data[0], data[1]
	return nil
}

type VersionPointer struct{ major byte }

func (v *VersionPointer) MarshalBinary() ([]byte, error) { return []byte{v.major}, nil }

func (v *VersionPointer) UnmarshalBinary(data []byte) error {
	if len(data) != 1 {
		return errors.New("VersionPointer: want 1 byte")
	}
	v.major = data[0]
	return nil
}

// Celsius is a basic type with an encoding of its own.
type Celsius float64

func (c Celsius) GobEncode() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(c), 'g', -1, 64), nil
}

func (c *Celsius) GobDecode(data []byte) error {
	f, err := strconv.ParseFloat(string(data), 64)
	*c = Celsius(f)
	return err
}

// CSV is a slice with an encoding of its own.
type CSV []string

func (c CSV) MarshalBinary() ([]byte, error) { return []byte(strings.Join(c, ",")), nil }

func (c *CSV) UnmarshalBinary(data []byte) error {
	*c = strings.Split(string(data), ",")
	return nil
}

// Both has both encodings, of which gob takes GobEncode.
type Both struct{ n byte }

func (b Both) GobEncode() ([]byte, error) { return []byte{'g', b.n}, nil }

func (b Both) MarshalBinary() ([]byte, error) { return []byte{'b', b.n}, nil }

func (b *Both) GobDecode(data []byte) error {
	b.n = data[len(data)-1]
	return nil
}

func (b *Both) UnmarshalBinary(data []byte) error { return b.GobDecode(data) }

// Texted has a text encoding, which gob does not use.
type Texted struct{ A int }

func (t Texted) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(t.A)), nil }

func (t *Texted) UnmarshalText(data []byte) (err error) {
	t.A, err = strconv.Atoi(string(data))
	return err
}

type EncoderFields struct {
	Gobbed         Gobbed
	GobbedPointer  GobbedPointer
	Version        Version
	VersionPointer VersionPointer
	Celsius        Celsius
	CSV            CSV
	After          int
}

type EncoderPointers struct {
	Gobbed         *Gobbed
	GobbedPointer  *GobbedPointer
	Version        *Version
	VersionPointer **VersionPointer
	After          int
}

type EncoderElements struct {
	Slice    []Gobbed
	Pointers []*GobbedPointer
	Array    [2]Version
	Map      map[string]Version
	Keys     map[Version]int
}

type Times struct {
	Start time.Time
	End   *time.Time
	Took  time.Duration
	Month time.Month
	Laps  []time.Time
}

type Numbers struct {
	Int     big.Int
	Pointer *big.Int
	Rat     *big.Rat
	Float   *big.Float
}

type Link struct {
	Address url.URL
	Backup  *url.URL
}
