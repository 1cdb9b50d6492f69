// Go's net/rpc with its gob, as it comes. Connections have no delay: that is Go's default.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/rpc"
	"os"
	"runtime"
	"strings"
	"time"
)

// Message is the value that all peers send.
type Message struct {
	ID     uint64
	Name   string
	Tags   map[string]string
	Bytes  []byte
	Nested *Message
}

// Peer is what is served.
type Peer struct{}

// Echo gives the message back.
func (Peer) Echo(request *Message, reply *Message) error {
	*reply = *request
	return nil
}

// Slow gives the message back after a while.
func (Peer) Slow(request *Message, reply *Message) error {
	time.Sleep(10 * time.Millisecond)
	*reply = *request
	return nil
}

// Bytes gives bytes back.
func (Peer) Bytes(request *[]byte, reply *[]byte) error {
	*reply = *request
	return nil
}

func main() {
	log.SetFlags(0)
	flags := flag.NewFlagSet("peer-go-net-rpc", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "where the server listens")
	connect := flags.String("connect", "", "what the client connects to")
	scenario := flags.String("scenario", "echo1", "what the client does")
	seconds := flags.Float64("seconds", 1, "how long it does it")
	threads := flags.String("threads", "many", "one or many")
	if len(os.Args) < 2 {
		log.Fatal("server or client?")
	}
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	if *threads == "one" {
		runtime.GOMAXPROCS(1)
	}
	if os.Args[1] == "server" {
		serve(*listen)
		return
	}
	duration := time.Duration(*seconds * float64(time.Second))
	fmt.Println(measure(*connect, *scenario, duration))
	if *scenario == "idle" {
		select {}
	}
}

func serve(address string) {
	if err := rpc.Register(Peer{}); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen(network(address))
	if err != nil {
		log.Fatal(err)
	}
	if strings.HasPrefix(address, "unix:") {
		fmt.Println(address)
	} else {
		fmt.Println(listener.Addr())
	}
	rpc.Accept(listener)
}

func network(address string) (string, string) {
	if path := strings.TrimPrefix(address, "unix:"); path != address {
		return "unix", path
	}
	return "tcp", address
}
