// Command netrpc is a client of net/rpc, and holds a server to what such clients expect.
//
//	netrpc -address HOST:PORT [-calls 1000] [-inflight 64]    # calls, and checks each answer
//	netrpc -serve [-address 127.0.0.1:0]                      # Go's own server, to compare with
//
// With -http either side begins as rpc.DialHTTP and rpc.HandleHTTP do.
//
// The methods:
//
//	Arith.Multiply    Args{A, B int} -> int
//	Arith.Divide      Args{A, B int} -> Quotient{Quo, Rem int}; fails with "divide by zero"
//	Arith.Slow        int -> int                   the same, after so many milliseconds
//	Echo.Complex      ComplexData -> ComplexData   the same
//
// The client prints a line for each check and ends with "netrpc: all ok", or with status 1 and what
// was wrong. Texts of errors that are the server's own choice are printed and not checked. All else
// is the same in each run, so that the output with another server can be compared with Go's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net/http"
	"net/rpc"
	"reflect"
	"sync"
	"time"

	"peers/peer"
)

const (
	// After this time the client gives up, whatever it waits for.
	clientTimeMax = time.Minute
	// How long a call of Arith.Slow takes while a quick one overtakes it.
	slowMilliseconds = 1000
	divideByZero     = "divide by zero"
)

// Args are the arguments of Multiply and Divide.
type Args struct {
	A, B int
}

// Quotient is the reply of Divide.
type Quotient struct {
	Quo, Rem int
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("netrpc: ")
	address := flag.String("address", "127.0.0.1:0", "the server's `address`")
	calls := flag.Int("calls", 1000, "how many mixed calls to make")
	inFlight := flag.Int("inflight", 64, "how many of them at a time")
	isServer := flag.Bool("serve", false, "be the server")
	isHTTP := flag.Bool("http", false, "begin with a request of HTTP")
	flag.Parse()

	var err error
	if *isServer {
		err = serve(*address, *isHTTP)
	} else {
		err = client(*address, *isHTTP, *calls, *inFlight)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func client(address string, isHTTP bool, calls, inFlight int) error {
	if inFlight < 1 {
		return errors.New("-inflight must be 1 or more")
	}
	time.AfterFunc(clientTimeMax, func() { log.Fatal("not done after ", clientTimeMax) })
	dial := rpc.Dial
	if isHTTP {
		dial = rpc.DialHTTP
	}
	client, err := dial("tcp", address)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := checkRefusals(client); err != nil {
		return err
	}
	if err := checkReplies(client); err != nil {
		return err
	}
	if err := checkManyTypes(client); err != nil {
		return err
	}
	if err := checkOvertaking(client, inFlight); err != nil {
		return err
	}
	if err := checkMixed(client, calls, inFlight); err != nil {
		return err
	}
	fmt.Println("netrpc: all ok")
	return nil
}

// A call has the reply, or the error, that it must get.
type call struct {
	method string
	args   any
	reply  any    // nil if the call must fail
	error  string // what it must fail with; "" means any text
}

// checkRefusals comes first: types that are defined by a call that is refused are not defined again
// by the next one.
func checkRefusals(client *rpc.Client) error {
	type other struct{ Name string }
	for _, refusal := range []struct {
		what string
		call
	}{
		{"unknown method", call{method: "Arith.Nothing", args: Args{1, 2}}},
		{"unknown service", call{method: "Nobody.Nothing", args: peer.Numbered(3)}},
		{"no service", call{method: "Nothing", args: []string{"a"}}},
		{"wrong fields", call{method: "Arith.Multiply", args: other{"seven"}}},
		{"wrong fields, again", call{method: "Arith.Multiply", args: other{"seven"}}},
		{"wrong kind", call{method: "Arith.Multiply", args: "seven"}},
		{"failing handler", call{"Arith.Divide", Args{1, 0}, nil, divideByZero}},
	} {
		text, err := refusal.run(client)
		if err != nil {
			return fmt.Errorf("%s: %w", refusal.what, err)
		}
		if _, err := multiply(7, 8).run(client); err != nil {
			return fmt.Errorf("the call after %s: %w", refusal.what, err)
		}
		fmt.Printf("%s: %q, and the connection lives\n", refusal.what, text)
	}
	return nil
}

func checkReplies(client *rpc.Client) error {
	for _, call := range []call{
		multiply(0, 0),
		multiply(-7, 8),
		multiply(math.MinInt64, 1),
		divide(17, 5),
		divide(0, 5),
		divide(-17, 5),
		echo(0),
		echo(7),
		echo(30),
		echo(57),
		slow(0),
	} {
		if _, err := call.run(client); err != nil {
			return err
		}
		fmt.Println(call.method, "ok")
	}
	return nil
}

// checkManyTypes passes types of a thousand fields, and many of a few: each is said once on the
// connection, and may not be forgotten.
func checkManyTypes(client *rpc.Client) error {
	fields := []reflect.StructField{
		{Name: "A", Type: reflect.TypeOf(0)},
		{Name: "B", Type: reflect.TypeOf(0)},
	}
	types := 0
	for len(fields) < 1002 {
		name := fmt.Sprintf("FieldOfManyTypes%d", len(fields))
		fields = append(fields, reflect.StructField{Name: name, Type: reflect.TypeOf("")})
		if len(fields) > 52 && len(fields) < 1000 {
			continue
		}
		args := reflect.New(reflect.StructOf(fields)).Elem()
		args.Field(0).SetInt(7)
		args.Field(1).SetInt(8)
		call := call{method: "Arith.Multiply", args: args.Interface(), reply: 56}
		if _, err := call.run(client); err != nil {
			return fmt.Errorf("a type of %d fields: %w", len(fields), err)
		}
		types++
	}
	fmt.Printf("%d types of up to %d fields\n", types, len(fields))
	return nil
}

// checkOvertaking makes all calls but one slow. The last one is quick, and must be answered first.
func checkOvertaking(client *rpc.Client, inFlight int) error {
	// Room for all, so that the replies wait here for the quick one to look.
	done := make(chan *rpc.Call, inFlight)
	for i := 1; i < inFlight; i++ {
		client.Go("Arith.Slow", slowMilliseconds+inFlight-i, new(int), done)
	}
	if _, err := multiply(7, 8).run(client); err != nil {
		return err
	}
	if len(done) > 0 {
		return fmt.Errorf("%d slow calls were answered before the quick one", len(done))
	}
	for i := 1; i < inFlight; i++ {
		answered := <-done
		if answered.Error != nil {
			return answered.Error
		}
		if reply := *answered.Reply.(*int); reply != answered.Args {
			return fmt.Errorf("%s(%v) replies %d", answered.ServiceMethod, answered.Args, reply)
		}
	}
	fmt.Printf("%d slow calls were overtaken by a quick one\n", inFlight-1)
	return nil
}

// checkMixed has each of several goroutines make one call after the other.
func checkMixed(client *rpc.Client, calls, inFlight int) error {
	numbers := make(chan int, calls)
	for number := 0; number < calls; number++ {
		numbers <- number
	}
	close(numbers)
	failures := make(chan error, calls)
	var group sync.WaitGroup
	for i := 0; i < inFlight; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := range numbers {
				if _, err := mixed(number).run(client); err != nil {
					failures <- fmt.Errorf("call %d: %w", number, err)
				}
			}
		}()
	}
	group.Wait()
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d calls failed; %w", len(failures), calls, <-failures)
	}
	fmt.Printf("%d mixed calls by %d goroutines\n", calls, inFlight)
	return nil
}

func mixed(number int) call {
	switch number % 7 {
	case 0:
		return multiply(number, number+1)
	case 1:
		return divide(number*1000, 7)
	case 2:
		return call{"Arith.Divide", Args{number, 0}, nil, divideByZero}
	case 3:
		return echo(number)
	case 4:
		return call{method: fmt.Sprintf("Arith.Nothing%d", number), args: Args{1, 2}}
	case 5:
		return call{method: "Arith.Multiply", args: fmt.Sprint("no struct: ", number)}
	default:
		return slow(number % 10)
	}
}

func multiply(a, b int) call {
	return call{method: "Arith.Multiply", args: Args{a, b}, reply: a * b}
}

func divide(a, b int) call {
	return call{method: "Arith.Divide", args: Args{a, b}, reply: Quotient{a / b, a % b}}
}

func echo(number int) call {
	data := *peer.Numbered(number)
	return call{method: "Echo.Complex", args: data, reply: data}
}

func slow(milliseconds int) call {
	return call{method: "Arith.Slow", args: milliseconds, reply: milliseconds}
}

// run makes the call, and gives the text of the error if there must be one.
func (c call) run(client *rpc.Client) (string, error) {
	if c.reply == nil {
		return c.fail(client)
	}
	reply := reflect.New(reflect.TypeOf(c.reply))
	if err := client.Call(c.method, c.args, reply.Interface()); err != nil {
		return "", fmt.Errorf("%s(%v): %w", c.method, c.args, err)
	}
	if reply := reply.Elem().Interface(); !reflect.DeepEqual(reply, c.reply) {
		return "", fmt.Errorf("%s(%v) replies %v", c.method, c.args, reply)
	}
	return "", nil
}

func (c call) fail(client *rpc.Client) (string, error) {
	err := client.Call(c.method, c.args, nil)
	if _, ok := err.(rpc.ServerError); !ok {
		return "", fmt.Errorf("%s(%v): %v is no rpc.ServerError", c.method, c.args, err)
	}
	if c.error != "" && err.Error() != c.error {
		return "", fmt.Errorf("%s(%v): %q, expected %q", c.method, c.args, err, c.error)
	}
	return err.Error(), nil
}

// Arith is the service of that name.
type Arith struct{}

func (Arith) Multiply(args Args, product *int) error {
	*product = args.A * args.B
	return nil
}

func (Arith) Divide(args Args, quotient *Quotient) error {
	if args.B == 0 {
		return errors.New(divideByZero)
	}
	*quotient = Quotient{args.A / args.B, args.A % args.B}
	return nil
}

func (Arith) Slow(milliseconds int, same *int) error {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	*same = milliseconds
	return nil
}

// Echo is the service of that name.
type Echo struct{}

func (Echo) Complex(data peer.ComplexData, same *peer.ComplexData) error {
	*same = data
	return nil
}

func serve(address string, isHTTP bool) error {
	server := rpc.NewServer()
	for _, service := range []any{Arith{}, Echo{}} {
		if err := server.Register(service); err != nil {
			return err
		}
	}
	listener, err := peer.Listen(address)
	if err != nil {
		return err
	}
	if isHTTP {
		server.HandleHTTP(rpc.DefaultRPCPath, rpc.DefaultDebugPath)
		return http.Serve(listener, nil)
	}
	server.Accept(listener)
	return errors.New("no more connections are accepted")
}
