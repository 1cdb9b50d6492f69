// Command mixed speaks the article's protocol under load, and proves that nothing is lost, mixed up
// or out of order.
//
//	mixed server [-listen 127.0.0.1:0] [-decoder fresh] [-connections 0]
//	mixed client ADDRESS [-commands 1000] [-encoder fresh] [-depth 100] [-seed 1]
//
// The client sends STRING (a line, answered by "Thank you.") and GOB (a value of ComplexData, not
// answered) in random order, -depth of them before it reads their answers. Then it ends its
// direction and expects the server to end the other one without another byte.
//
// Both keep a record of a connection, and print it when the connection ends:
//
//	sent: strings=N structs=M digest=HEX                the client
//	connection done: strings=N structs=M digest=HEX     the server
//
// HEX is the FNV-1a hash of 64 bits, as 16 lower-case hexadecimal digits, over these bytes for each
// command, in their order on the connection:
//
//	STRING: "S" line LF       the line without its line feed
//	GOB:    "G" text LF       text = N "|" S "|" pairs "|" P "|" ( text of C / "-" )
//
// N is decimal ("-" before a negative one); S is as it is; pairs are M's KEY=VALUE, sorted by the
// bytes of the keys, with "," between them, nothing if there are none; P is in lower-case
// hexadecimal; "-" stands for a C that is nil. For example, with N=17 S="x" M={b:-2 a:1} P="abc"
// and a C that is all zero, the bytes are
//
//	G17|x|a=1,b=-2|616263|0||||-
//
// and LF. If only that is sent, the line is: strings=0 structs=1 digest=b34a371d9cf9f4a4.
//
// Whatever is off ends the program with status 1, the server too.
package main

import (
	"errors"
	"flag"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"strings"
	"time"

	"peers/peer"
)

const (
	usage = "usage: mixed server [FLAGS] or mixed client ADDRESS [FLAGS]"
	reply = "Thank you."
	// After this time a client gives up, whatever it waits for.
	clientTimeMax = time.Minute
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mixed: ")
	var err error
	switch {
	case len(os.Args) >= 2 && os.Args[1] == "server":
		err = server(os.Args[2:])
	case len(os.Args) >= 3 && os.Args[1] == "client":
		err = client(os.Args[2], os.Args[3:])
	default:
		err = errors.New(usage)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func server(arguments []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "the `address` to listen on")
	decoder := peer.Fresh
	flags.Var(&decoder, "decoder", "fresh (one for each GOB) or connection (one for all)")
	connections := flags.Int("connections", 0, "end after so many; 0 means never")
	flags.Parse(arguments)

	listener, err := peer.Listen(*address)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				done <- err
				return
			}
			go func() { done <- serve(conn, decoder) }()
		}
	}()
	for count := 1; ; count++ {
		if err := <-done; err != nil {
			return err
		}
		if count == *connections {
			return nil
		}
	}
}

// serve prints the record before it closes the connection, which is what the client waits for.
func serve(conn net.Conn, decoder peer.Habit) error {
	defer conn.Close()
	stream := peer.NewStream(conn, decoder)
	record := newRecord()
	for {
		name, err := stream.ReadLine()
		if err == io.EOF {
			fmt.Println("connection done:", record)
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a command after %v: %w", record, err)
		}
		if err := handle(stream, name, record); err != nil {
			return fmt.Errorf("%q after %v: %w", name, record, err)
		}
	}
}

func handle(stream *peer.Stream, name string, record *record) error {
	switch name {
	case "STRING":
		line, err := stream.ReadLine()
		if err != nil {
			return err
		}
		record.addString(line)
		if _, err := stream.WriteString(reply + "\n"); err != nil {
			return err
		}
		return stream.Flush()
	case "GOB":
		var data peer.ComplexData
		if err := stream.Decode(&data); err != nil {
			return err
		}
		record.addStruct(&data)
		return nil
	default:
		return errors.New("no such command")
	}
}

func client(address string, arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	commands := flags.Int("commands", 1000, "how many to send")
	encoder := peer.Fresh
	flags.Var(&encoder, "encoder", "fresh (one for each GOB) or connection (one for all)")
	depth := flags.Int("depth", 100, "commands to write before reading their answers, from 1")
	seed := flags.Int64("seed", 1, "which order of STRING and GOB")
	flags.Parse(arguments)
	if *depth < 1 || flags.NArg() > 0 {
		return errors.New(usage)
	}

	time.AfterFunc(clientTimeMax, func() { log.Fatal("not done after ", clientTimeMax) })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream := peer.NewStream(conn, encoder)
	record := newRecord()
	random := rand.New(rand.NewSource(*seed))
	for number := 0; number < *commands; number += *depth {
		end := number + *depth
		if end > *commands {
			end = *commands
		}
		if err := exchange(stream, random, record, number, end); err != nil {
			return fmt.Errorf("commands %d to %d: %w", number, end-1, err)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(stream)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("instead of the end came %q, error %v", rest, err)
	}
	fmt.Println("sent:", record)
	return nil
}

// exchange writes the commands from number to before end, and then reads their answers.
func exchange(
	stream *peer.Stream, random *rand.Rand, record *record, number, end int,
) error {
	replies := 0
	for ; number < end; number++ {
		isString := random.Intn(2) == 0
		if err := send(stream, record, number, isString); err != nil {
			return err
		}
		if isString {
			replies++
		}
	}
	if err := stream.Flush(); err != nil {
		return err
	}
	for ; replies > 0; replies-- {
		line, err := stream.ReadLine()
		if err != nil {
			return fmt.Errorf("with %d answers to come: %w", replies, err)
		}
		if line != reply {
			return fmt.Errorf("the answer is %q", line)
		}
	}
	return nil
}

func send(stream *peer.Stream, record *record, number int, isString bool) error {
	if !isString {
		data := peer.Numbered(number)
		record.addStruct(data)
		if _, err := stream.WriteString("GOB\n"); err != nil {
			return err
		}
		return stream.Encode(data)
	}
	line := fmt.Sprintf("GOB %d%s", number, strings.Repeat(" STRING", number%100))
	record.addString(line)
	_, err := stream.WriteString("STRING\n" + line + "\n")
	return err
}

// A record is what went over one connection in the direction of the server.
type record struct {
	strings, structs int
	digest           hash.Hash64
}

func newRecord() *record {
	return &record{digest: fnv.New64a()}
}

func (r *record) addString(line string) {
	r.strings++
	fmt.Fprintf(r.digest, "S%s\n", line)
}

func (r *record) addStruct(data *peer.ComplexData) {
	r.structs++
	fmt.Fprintf(r.digest, "G%s\n", data.Text())
}

func (r *record) String() string {
	const format = "strings=%d structs=%d digest=%016x"
	return fmt.Sprintf(format, r.strings, r.structs, r.digest.Sum64())
}
