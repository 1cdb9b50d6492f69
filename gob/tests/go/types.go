package main

import "time"

// complexData is the value that the article sends.
type complexData struct {
	N int
	S string
	M map[string]int
	P []byte
	C *complexData
}

// Basic and composite types with names of their own.
type (
	Color  string
	Count  int
	Flag   bool
	Ratio  float64
	Phase  complex128
	Bits   uint16
	Octet  uint8
	Octets []Octet
	Names  []string
	Ages   map[string]int
	Triple [3]int
)

type NamedFields struct {
	Color  Color
	Count  Count
	Flag   Flag
	Ratio  Ratio
	Phase  Phase
	Bits   Bits
	Octet  Octet
	Octets Octets
	Names  Names
	Ages   Ages
	Triple Triple
}

// Kinds has a field of every kind that gob knows.
type Kinds struct {
	Bool       bool
	Int        int
	Int8       int8
	Int16      int16
	Int32      int32
	Int64      int64
	Uint       uint
	Uint8      uint8
	Uint16     uint16
	Uint32     uint32
	Uint64     uint64
	Uintptr    uintptr
	Float32    float32
	Float64    float64
	Complex64  complex64
	Complex128 complex128
	String     string
	Bytes      []byte
	Array      [3]int
	ByteArray  [4]byte
	Slice      []int
	Map        map[string]int
	Struct     Point
	Pointer    *Point
	Interface  any
}

type One struct{ A int }

type Point struct{ X, Y int }

type Line struct{ From, To Point }

type Path struct {
	Name   string
	Points []Point
	Labels map[string]Point
	Ends   [2]Point
}

type Deep struct{ A DeepA }

type DeepA struct{ B DeepB }

type DeepB struct{ C DeepC }

type DeepC struct{ Value int }

type Empty struct{}

type EmptyFields struct {
	Empty   Empty
	Pointer *Empty
	Slice   []Empty
	Array   [2]Empty
	Map     map[string]Empty
	After   int
}

// Arrays holds arrays, which gob sends even when all is zero.
type Arrays struct {
	None    [0]int
	Ints    [2]int
	Strings [2]string
	Points  [2]Point
	Matrix  [2][2]float64
	Bytes   [3]byte
	Slices  [1][]int
}

type Slices struct {
	Bools   []bool
	Strings []string
	Floats  []float64
	Points  []Point
	Matrix  [][]int
	Blobs   [][]byte
	Maps    []map[string]int
}

type Maps struct {
	Ints    map[string]int
	Points  map[int]Point
	Slices  map[string][]int
	Maps    map[string]map[string]int
	Byte    map[uint8]bool
	Pointer map[string]*Point
}

// Hidden has fields that gob takes no notice of.
type Hidden struct {
	A       int
	secret  int
	Channel chan int
	Func    func()
	Callers *func()
	B       string
	_       int
}

type Base struct {
	ID   int
	Name string
}

type Derived struct {
	Base
	Extra string
}

type DerivedPointer struct {
	*Base
	Extra string
}

type DerivedTwice struct {
	Derived
	Count
	Name string
}

type lowercase struct{ Lost int }

type DerivedLowercase struct {
	lowercase
	Kept int
}

type Accented struct{ Ünïcode, Été int }

type Node struct {
	Value int
	Next  *Node
}

type Tree struct {
	Left  *Tree
	Value int
	Right *Tree
}

type Forest struct {
	Name     string
	Children []Forest
}

type Directory struct {
	Size    int
	Entries map[string]*Directory
}

type Ping struct {
	Number int
	Pong   *Pong
}

type Pong struct {
	Text string
	Ping *Ping
}

type Company struct {
	Name  string
	Staff []*Employee
}

type Employee struct {
	Name    string
	Company *Company
	Reports []*Employee
}

// List and Registry are recursive without a struct.
type List []List

type Registry map[string]Registry

type Pointers struct {
	Bool   *bool
	Int    *int
	Uint   *uint
	Float  *float64
	String *string
	Bytes  *[]byte
	Point  *Point
	Slice  *[]int
	Map    *map[string]int
	Array  *[2]int
	Any    *any
	Twice  **int
	Thrice ***Point
	Many   []*int
	Keyed  map[string]**int
}

type Pair[T any] struct{ First, Second T }

// Carrier is sent to AZ, which has no use for the field between.
type Carrier[T any] struct {
	A    int
	Junk T
	Z    int
}

type AZ struct{ A, Z int }

// Types that read what Point, Line and others sent.
type (
	PointReordered struct{ Y, X int }
	PointMore      struct {
		Name    string
		X       int
		Weight  *float64
		Y       int
		Tags    []string
		Scores  map[string]int
		Corners [2]int
		Inner   Point
	}
	PointLess     struct{ Y int }
	PointSmall    struct{ X, Y int8 }
	PointPointers struct {
		X *int
		Y ***int
	}
	PointUnsigned struct{ X, Y uint }
	PointFloat    struct{ X, Y float64 }
	PointHalf     struct {
		X int
		Y string
	}
	PointOther   struct{ C, D int }
	PointCase    struct{ x, y, X int }
	LineLess     struct{ To PointLess }
	LinePointers struct{ From, To *PointReordered }
	KindsFew     struct {
		Interface any
		Struct    *PointLess
		Int64     int
		Uint8     uint64
		Float64   float32
		String    Color
	}
	TreeLeft  struct{ Left *TreeLeft }
	TreeFlat  struct{ Value int }
	ForestTop struct{ Children []TreeName }
	TreeName  struct{ Name string }
	PathMap   struct{ Labels map[string]PointLess }
)

type ShapeBox struct{ Shape Shape }

// Shape is an interface with a method, which makes no difference on the wire.
type Shape interface{ Area() float64 }

type Circle struct{ Radius float64 }

func (c Circle) Area() float64 { return 3 * c.Radius * c.Radius }

type Square struct{ Side float64 }

func (s Square) Area() float64 { return s.Side * s.Side }

// Polygon is a Shape by its pointer only.
type Polygon struct{ Corners []Point }

func (p *Polygon) Area() float64 { return float64(len(p.Corners)) }

type Meters float64

func (m Meters) Area() float64 { return 0 }

type AnyBox struct{ Value any }

type AnyPair struct{ First, Second any }

type AnyBetween struct {
	Before int
	Value  any
	After  string
}

type AnyMany struct {
	Name   string
	Slice  []any
	Map    map[string]any
	Array  [2]any
	Shapes []Shape
}

type Long struct{ N int }

type Envelope struct {
	Kind    Color
	Sent    time.Time
	Payload any
}

// Wide has so many fields that gob's deltas take two bytes, Sixty has fewer than 128.
type Wide struct {
	F000, F001, F002, F003, F004, F005, F006, F007, F008, F009 int
	F010, F011, F012, F013, F014, F015, F016, F017, F018, F019 int
	F020, F021, F022, F023, F024, F025, F026, F027, F028, F029 int
	F030, F031, F032, F033, F034, F035, F036, F037, F038, F039 int
	F040, F041, F042, F043, F044, F045, F046, F047, F048, F049 int
	F050, F051, F052, F053, F054, F055, F056, F057, F058, F059 int
	F060, F061, F062, F063, F064, F065, F066, F067, F068, F069 int
	F070, F071, F072, F073, F074, F075, F076, F077, F078, F079 int
	F080, F081, F082, F083, F084, F085, F086, F087, F088, F089 int
	F090, F091, F092, F093, F094, F095, F096, F097, F098, F099 int
	F100, F101, F102, F103, F104, F105, F106, F107, F108, F109 int
	F110, F111, F112, F113, F114, F115, F116, F117, F118, F119 int
	F120, F121, F122, F123, F124, F125, F126, F127, F128, F129 int
	F130, F131, F132, F133, F134, F135, F136, F137, F138, F139 int
}

type Sixty struct {
	F00, F01, F02, F03, F04, F05, F06, F07, F08, F09 int
	F10, F11, F12, F13, F14, F15, F16, F17, F18, F19 string
	F20, F21, F22, F23, F24, F25, F26, F27, F28, F29 uint
	F30, F31, F32, F33, F34, F35, F36, F37, F38, F39 float64
	F40, F41, F42, F43, F44, F45, F46, F47, F48, F49 bool
	F50, F51, F52, F53, F54, F55, F56, F57, F58, F59 []int
}
