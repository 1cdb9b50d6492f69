// Command jsonrpc is a client of net/rpc/jsonrpc, and holds a server to what such clients expect.
//
//	jsonrpc -address HOST:PORT [-inflight 64]          # calls, and checks each answer
//	jsonrpc -serve [-address 127.0.0.1:0]              # Go's own server, to compare with
//
// The methods:
//
//	Arith.Multiply    Args{A, B int} -> int
//	Arith.Divide      Args{A, B int} -> Quotient{Quo, Rem int}; fails with "divide by zero"
//	Arith.Slow        int -> int                   the same, after so many milliseconds
//
// The client prints a line for each check and ends with "jsonrpc: all ok", or with status 1 and
// what was wrong. Texts of errors that are the server's own choice are printed and not checked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net/rpc"
	"net/rpc/jsonrpc"
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
	log.SetPrefix("jsonrpc: ")
	address := flag.String("address", "127.0.0.1:0", "the server's `address`")
	inFlight := flag.Int("inflight", 64, "how many calls at a time")
	isServer := flag.Bool("serve", false, "be the server")
	flag.Parse()

	var err error
	if *isServer {
		err = serve(*address)
	} else {
		err = client(*address, *inFlight)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func client(address string, inFlight int) error {
	time.AfterFunc(clientTimeMax, func() { log.Fatal("not done after ", clientTimeMax) })
	client, err := jsonrpc.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := checkReplies(client); err != nil {
		return err
	}
	if err := checkRefusals(client); err != nil {
		return err
	}
	if err := checkOvertaking(client, inFlight); err != nil {
		return err
	}
	fmt.Println("jsonrpc: all ok")
	return nil
}

func checkReplies(client *rpc.Client) error {
	for _, args := range []Args{{7, 8}, {0, 0}, {-7, 8}, {1 << 40, 1 << 20}} {
		var product int
		if err := client.Call("Arith.Multiply", args, &product); err != nil {
			return err
		}
		if product != args.A*args.B {
			return fmt.Errorf("Multiply(%v) replies %d", args, product)
		}
	}
	fmt.Println("Arith.Multiply ok")
	var quotient Quotient
	if err := client.Call("Arith.Divide", Args{17, 5}, &quotient); err != nil {
		return err
	}
	if (quotient != Quotient{3, 2}) {
		return fmt.Errorf("Divide(17, 5) replies %v", quotient)
	}
	fmt.Println("Arith.Divide ok")
	return nil
}

// checkRefusals finds that a call that fails does no harm to the next one.
func checkRefusals(client *rpc.Client) error {
	for _, refusal := range []struct {
		what, method string
		args         any
		error        string // "" means any text
	}{
		{"failing handler", "Arith.Divide", Args{1, 0}, divideByZero},
		{"unknown method", "Arith.Nothing", Args{1, 2}, ""},
		{"no service", "Nothing", []string{"a"}, ""},
		{"wrong kind", "Arith.Multiply", "seven", ""},
	} {
		err := client.Call(refusal.method, refusal.args, nil)
		if _, ok := err.(rpc.ServerError); !ok {
			return fmt.Errorf("%s: %v is no rpc.ServerError", refusal.what, err)
		}
		if refusal.error != "" && err.Error() != refusal.error {
			return fmt.Errorf("%s: %q, expected %q", refusal.what, err, refusal.error)
		}
		if err := checkReplies(client); err != nil {
			return fmt.Errorf("the call after %s: %w", refusal.what, err)
		}
		fmt.Printf("%s: %q, and the connection lives\n", refusal.what, err)
	}
	return nil
}

// checkOvertaking makes all calls but one slow. The last one is quick, and must be answered first.
func checkOvertaking(client *rpc.Client, inFlight int) error {
	// Room for all, so that the replies wait here for the quick one to look.
	done := make(chan *rpc.Call, inFlight)
	for i := 1; i < inFlight; i++ {
		client.Go("Arith.Slow", slowMilliseconds+inFlight-i, new(int), done)
	}
	var product int
	if err := client.Call("Arith.Multiply", Args{7, 8}, &product); err != nil {
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

func serve(address string) error {
	server := rpc.NewServer()
	if err := server.Register(Arith{}); err != nil {
		return err
	}
	listener, err := peer.Listen(address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go server.ServeCodec(jsonrpc.NewServerCodec(connection))
	}
}
