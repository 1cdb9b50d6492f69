// Command article is the program of an article about networking in Go: server or client by flag.
//
// A message is the name of a command, a line feed, and data whose format only the command's handler
// knows. STRING is followed by a line and answered by "Thank you."; GOB is followed by one gob
// value of complexData and not answered.
//
//	article                       # listens on port 61000 of all interfaces
//	article -connect localhost    # sends one STRING and one GOB
//
// It stays as careless as its author left it, for that is what a peer has to live with: nothing is
// limited, a command that is not known closes the connection, and what is left of a value that does
// not decode is read as commands. Only a failing accept ends the server, which spun.
package main

import (
	"bufio"
	"encoding/gob"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"
)

type complexData struct {
	N int
	S string
	M map[string]int
	P []byte
	C *complexData
}

func main() {
	connect := flag.String("connect", "", "the `host` of the server; without it, be the server")
	port := flag.String("port", "61000", "the server's port; 0 for a server picks a free one")
	flag.Parse()

	var err error
	if *connect == "" {
		err = server(net.JoinHostPort("", *port))
	} else {
		err = client(net.JoinHostPort(*connect, *port))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func client(address string) error {
	data := complexData{
		N: 23,
		S: "string data",
		M: map[string]int{"one": 1, "two": 2, "three": 3},
		P: []byte("abc"),
		C: &complexData{
			N: 256,
			S: "Recursive structs? Piece of cake!",
			M: map[string]int{"01": 1, "10": 2, "11": 3},
		},
	}

	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	if err := sendString(rw, "Additional data."); err != nil {
		return fmt.Errorf("STRING: %w", err)
	}
	if err := sendGob(rw, data); err != nil {
		return fmt.Errorf("GOB: %w", err)
	}
	return nil
}

func sendString(rw *bufio.ReadWriter, text string) error {
	if _, err := rw.WriteString("STRING\n" + text + "\n"); err != nil {
		return err
	}
	if err := rw.Flush(); err != nil {
		return err
	}
	reply, err := rw.ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Printf("STRING: %q\n", reply)
	return nil
}

func sendGob(rw *bufio.ReadWriter, data complexData) error {
	if _, err := rw.WriteString("GOB\n"); err != nil {
		return err
	}
	if err := gob.NewEncoder(rw).Encode(data); err != nil {
		return err
	}
	return rw.Flush()
}

func server(address string) error {
	e := &endpoint{handlers: make(map[string]handler)}
	e.add("STRING", handleString)
	e.add("GOB", handleGob)
	return e.listen(address)
}

// A handler reads the data of its command from the connection, and answers if it wants to.
type handler func(*bufio.ReadWriter)

type endpoint struct {
	mutex    sync.RWMutex
	handlers map[string]handler
}

// add may be called while the endpoint is already serving.
func (e *endpoint) add(name string, handle handler) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.handlers[name] = handle
}

func (e *endpoint) listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go e.serve(conn)
	}
}

func (e *endpoint) serve(conn net.Conn) {
	defer conn.Close()
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	for {
		name, err := rw.ReadString('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Print("reading a command: ", err)
			return
		}
		name = strings.Trim(name, "\n ")
		e.mutex.RLock()
		handle, ok := e.handlers[name]
		e.mutex.RUnlock()
		if !ok {
			log.Printf("command %q is not registered", name)
			return
		}
		handle(rw)
	}
}

func handleString(rw *bufio.ReadWriter) {
	line, err := rw.ReadString('\n')
	if err != nil {
		log.Print("STRING: ", err)
		return
	}
	fmt.Printf("STRING: %q\n", strings.Trim(line, "\n "))
	if _, err := rw.WriteString("Thank you.\n"); err != nil {
		log.Print("STRING: ", err)
		return
	}
	if err := rw.Flush(); err != nil {
		log.Print("STRING: ", err)
	}
}

func handleGob(rw *bufio.ReadWriter) {
	var data complexData
	if err := gob.NewDecoder(rw).Decode(&data); err != nil {
		log.Print("GOB: ", err)
		return
	}
	which := "outer"
	for d := &data; d != nil; d = d.C {
		fmt.Printf("GOB: %s struct: N=%d S=%q M=%#v P=%q\n", which, d.N, d.S, d.M, d.P)
		which = "inner"
	}
}
