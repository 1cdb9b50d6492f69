package main

import (
	"encoding/json"
	"log"
	"net/rpc"
	"reflect"
	"sort"
	"time"
)

// report is the line that a client prints.
type report struct {
	IsUnsupported  bool    `json:"is_unsupported"`
	CallsPerSecond float64 `json:"calls_per_second"`
	P50            float64 `json:"p50_micros"`
	P99            float64 `json:"p99_micros"`
	P99Alone       float64 `json:"p99_alone_micros"`
	CallsInAll     int     `json:"calls_in_all"`
}

// load is how much is under way at a time.
type load struct{ connections, inFlight int }

var loads = map[string]load{
	"echo1":    {1, 1},
	"echo64":   {1, 64},
	"echo32x8": {32, 8},
	"mib":      {1, 1},
	"small64":  {1, 64},
	"mixed":    {1, 64},
	"idle":     {5000, 0},
}

// samples are the times that calls took, and how many calls there were.
type samples struct {
	nanos []uint32
	calls int
}

func measure(address, scenario string, duration time.Duration) string {
	load, isKnown := loads[scenario]
	if !isKnown {
		return line(report{IsUnsupported: true})
	}
	clients := make([]*rpc.Client, load.connections)
	for place := range clients {
		clients[place] = dial(address)
	}
	switch scenario {
	case "idle":
		return line(report{CallsInAll: len(clients)})
	case "mixed":
		alone := run(clients, load, "echo64", duration/2)
		mixed := run(clients, load, scenario, duration/2)
		mixed.P99Alone = alone.P99
		return line(mixed)
	}
	return line(run(clients, load, scenario, duration))
}

// dial connects and makes one call, whose reply is checked.
func dial(address string) *rpc.Client {
	client, err := rpc.Dial(network(address))
	if err != nil {
		log.Fatal(err)
	}
	request, reply := newMessage(), Message{}
	if err := client.Call("Peer.Echo", request, &reply); err != nil {
		log.Fatal(err)
	}
	if !reflect.DeepEqual(*request, reply) {
		log.Fatal("the reply is another")
	}
	return client
}

// run has a goroutine for each call that is under way.
func run(clients []*rpc.Client, load load, scenario string, duration time.Duration) report {
	begin := time.Now().Add(duration / 5)
	end := begin.Add(duration)
	done := make(chan samples)
	for _, client := range clients {
		for place := 0; place < load.inFlight; place++ {
			go func(client *rpc.Client, place int) {
				done <- repeat(client, scenario, place, begin, end)
			}(client, place)
		}
	}
	var all samples
	for count := 0; count < len(clients)*load.inFlight; count++ {
		one := <-done
		all.nanos = append(all.nanos, one.nanos...)
		all.calls += one.calls
	}
	sort.Slice(all.nanos, func(i, j int) bool { return all.nanos[i] < all.nanos[j] })
	percentile := func(percent int) float64 {
		if len(all.nanos) == 0 {
			return 0
		}
		return float64(all.nanos[len(all.nanos)*percent/100]) / 1000
	}
	return report{
		CallsPerSecond: float64(len(all.nanos)) / duration.Seconds(),
		P50:            percentile(50),
		P99:            percentile(99),
		CallsInAll:     all.calls,
	}
}

// repeat is one caller. Of a mixed load every hundredth call is slow and not among the samples.
func repeat(client *rpc.Client, scenario string, place int, begin, end time.Time) samples {
	method, request, newReply := calls(scenario)
	var one samples
	for now := time.Now(); now.Before(end); {
		place++
		isSlow := scenario == "mixed" && place%100 == 0
		called := method
		if isSlow {
			called = "Peer.Slow"
		}
		if err := client.Call(called, request, newReply()); err != nil {
			log.Fatal(err)
		}
		after := time.Now()
		one.calls++
		if !isSlow && !now.Before(begin) && !after.After(end) {
			one.nanos = append(one.nanos, uint32(after.Sub(now)))
		}
		now = after
	}
	return one
}

// calls says what is called in a scenario. Each reply is a new value, as for the other peers.
func calls(scenario string) (method string, request any, newReply func() any) {
	switch scenario {
	case "mib":
		bytes := make([]byte, 1<<20)
		return "Peer.Bytes", &bytes, func() any { return new([]byte) }
	case "small64":
		bytes := []byte("8 bytes.")
		return "Peer.Bytes", &bytes, func() any { return new([]byte) }
	}
	return "Peer.Echo", newMessage(), func() any { return new(Message) }
}

func newMessage() *Message {
	inner := Message{
		ID:    0x0123456789abcdef,
		Name:  "sixteen letters.",
		Tags:  map[string]string{"size": "huge", "hue": "blue", "kind": "box"},
		Bytes: make([]byte, 32),
	}
	for place := range inner.Bytes {
		inner.Bytes[place] = 7
	}
	outer := inner
	outer.Nested = &inner
	return &outer
}

func line(report report) string {
	text, err := json.Marshal(report)
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
}
