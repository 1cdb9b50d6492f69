// Command typed calls typed commands by plain calls in gob: the line "NAME gob", a gob value, and
// the answer is a gob value. The values are bare, for a gob stream says itself where they end.
//
//	typed -address HOST:PORT [-habit fresh] [-calls 1000]    # calls, and checks each answer
//	typed -serve [-address 127.0.0.1:0] [-habit fresh]       # a server to try the client with
//
// The commands, called by turns over one connection:
//
//	ECHO     ComplexData -> ComplexData                     the same
//	SUM      []int -> int                                   0 for an empty slice
//	COUNT    string -> struct{Length int; Words []string}   bytes; what stands between blanks
//
// The client ends with "typed: 1000 calls ok", or with status 1 and what was wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"reflect"
	"strings"
	"time"

	"peers/peer"
)

// After this time the client gives up, whatever it waits for.
const clientTimeMax = time.Minute

type counts struct {
	Length int
	Words  []string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("typed: ")
	address := flag.String("address", "127.0.0.1:0", "the server's `address`")
	habit := peer.Fresh
	flag.Var(&habit, "habit", "encoder and decoder: fresh (for each call) or connection")
	calls := flag.Int("calls", 1000, "how many calls to make")
	isServer := flag.Bool("serve", false, "be the server")
	flag.Parse()

	var err error
	if *isServer {
		err = serve(*address, habit)
	} else {
		err = client(*address, habit, *calls)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func client(address string, habit peer.Habit, calls int) error {
	time.AfterFunc(clientTimeMax, func() { log.Fatal("not done after ", clientTimeMax) })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream := peer.NewStream(conn, habit)
	commands := []func(*peer.Stream, int) error{echo, sum, count}
	for number := 0; number < calls; number++ {
		if err := commands[number%len(commands)](stream, number); err != nil {
			return fmt.Errorf("call %d: %w", number, err)
		}
	}
	fmt.Printf("typed: %d calls ok\n", calls)
	return nil
}

func echo(stream *peer.Stream, number int) error {
	data := peer.Numbered(number)
	var answer peer.ComplexData
	if err := call(stream, "ECHO", data, &answer); err != nil {
		return err
	}
	return same("ECHO", answer.Text(), data.Text())
}

func sum(stream *peer.Stream, number int) error {
	numbers := make([]int, number%40)
	expected := 0
	for i := range numbers {
		numbers[i] = number * (i - 10) * 1_000_000
		expected += numbers[i]
	}
	var answer int
	if err := call(stream, "SUM", numbers, &answer); err != nil {
		return err
	}
	return same("SUM", answer, expected)
}

func count(stream *peer.Stream, number int) error {
	text := strings.Repeat(fmt.Sprintf("größer %d ", number), number%20)
	var answer counts
	if err := call(stream, "COUNT", text, &answer); err != nil {
		return err
	}
	return same("COUNT", answer, countsOf(text))
}

func same(name string, answer, expected any) error {
	if !reflect.DeepEqual(answer, expected) {
		return fmt.Errorf("%s answers %#v, expected %#v", name, answer, expected)
	}
	return nil
}

func call(stream *peer.Stream, name string, argument, answer any) error {
	if _, err := stream.WriteString(name + " gob\n"); err != nil {
		return err
	}
	if err := stream.Encode(argument); err != nil {
		return fmt.Errorf("sending %s: %w", name, err)
	}
	if err := stream.Flush(); err != nil {
		return err
	}
	if err := notice(stream.Reader); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := stream.Decode(answer); err != nil {
		return fmt.Errorf("the answer of %s: %w", name, err)
	}
	return nil
}

// notice reads the error that comes in place of an answer: a line "<0 err LENGTH CODE" and a text.
// A gob message cannot begin like that: it would be one of 60 bytes whose type is 24, which is no
// type of a value.
func notice(reader *bufio.Reader) error {
	// One byte first: an answer may have less than seven.
	if first, err := reader.Peek(1); err != nil || first[0] != '<' {
		return nil
	}
	if start, err := reader.Peek(7); err != nil || string(start) != "<0 err " {
		return nil
	}
	line, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	var length, details int
	var code string
	if _, err := fmt.Sscanf(line, "<0 err %d %s", &length, &code); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	// With d=N the last N bytes are the details of the error, a gob, and not text.
	for _, option := range strings.Fields(line)[4:] {
		fmt.Sscanf(option, "d=%d", &details)
	}
	if details > length {
		return fmt.Errorf("%q has more details than bytes", line)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(reader, body); err != nil {
		return err
	}
	text := body[:length-details]
	return fmt.Errorf("%s: %s", code, strings.TrimSuffix(string(text), "\n"))
}

func serve(address string, habit peer.Habit) error {
	listener, err := peer.Listen(address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := answerAll(peer.NewStream(conn, habit)); err != nil {
				log.Print(err)
			}
		}()
	}
}

func answerAll(stream *peer.Stream) error {
	for {
		line, err := stream.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		value, err := answer(stream, line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		if err := stream.Encode(value); err != nil {
			return err
		}
		if err := stream.Flush(); err != nil {
			return err
		}
	}
}

func answer(stream *peer.Stream, line string) (any, error) {
	switch line {
	case "ECHO gob":
		var data peer.ComplexData
		err := stream.Decode(&data)
		return data, err
	case "SUM gob":
		var numbers []int
		err := stream.Decode(&numbers)
		total := 0
		for _, number := range numbers {
			total += number
		}
		return total, err
	case "COUNT gob":
		var text string
		err := stream.Decode(&text)
		return countsOf(text), err
	default:
		return nil, errors.New("no such command")
	}
}

func countsOf(text string) counts {
	result := counts{Length: len(text)}
	// No words are nil, for that is what gob makes of an empty slice in a field.
	if words := strings.Fields(text); len(words) > 0 {
		result.Words = words
	}
	return result
}
