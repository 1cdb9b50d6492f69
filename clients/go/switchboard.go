// Package switchboard is a client of switchboard in one file, by docs/PROTOCOL.md: tagged calls in
// JSON, and streams. Goroutines may share a client. A call is cancelled when its context is.
package switchboard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

const lineMax, optionsMax, bodyMax, writesMax, window = 8192, 4400, 1 << 20, 4096, 65536

var name = regexp.MustCompile(`^[!-/:;=?-Z\\-z|}~][!-~]{0,63}$`)
var line = regexp.MustCompile(strings.NewReplacer("TAG", `(0|[1-9]\d{0,9})`, "LEN",
	`(0|[1-9]\d{0,18})`, "WORD", "[a-z_-]{1,32}", "NAME", strings.Trim(name.String(), "^$")).Replace(
	`^(<TAG ((ok|item) LEN|err LEN WORD|open)|>TAG (item LEN|end|cancel|credit TAG)|NAME TAG LEN)` +
		`( WORD=[!-~]*)*\r?\n$`))

// Error says why a call failed. If Ran is false it surely did not run, and may be made again.
type Error struct {
	Code, Message string
	Ran           bool
	Details       json.RawMessage
	Retry         time.Duration
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// MetadataKey is the key of a context under which a map[string]string goes with its calls.
type MetadataKey struct{}

// Client is a connection, which Dial makes. Its mutex is for all that follows it.
type Client struct {
	conn         net.Conn
	out          chan string
	done         chan struct{}
	mutex        sync.Mutex
	calls        map[uint64]*call
	tag          uint64
	notice, over *Error
	hasFarewell  bool
}

type call struct {
	events  chan event
	balance int
}

type event struct {
	cost int // 0 at the end
	body []byte
	err  *Error
}

// Dial connects to HOST:PORT.
func Dial(ctx context.Context, address string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	c := &Client{conn: conn, out: make(chan string, writesMax), done: make(chan struct{})}
	c.calls = map[uint64]*call{}
	if err == nil {
		go c.read()
		go c.write()
	}
	return c, err
}

// Close ends the connection, and all calls.
func (c *Client) Close() { c.end("disconnected", "this side has closed the connection") }

// Call sends a request, and sets what reply points at.
func (c *Client) Call(ctx context.Context, command string, request, reply any) error {
	return c.Stream(ctx, command, request, nil, reply)
}

// Stream calls a command that answers in items. If each returns an error, the call is cancelled.
func (c *Client) Stream(ctx context.Context, command string, request any,
	each func(item json.RawMessage) error, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	options, used, this := " f=json", 0, &call{events: make(chan event, window/64+2)}
	if each != nil {
		this.balance, options = window, fmt.Sprintf("%s credit=%d", options, window)
	}
	if deadline, has := ctx.Deadline(); has {
		left := (time.Until(deadline) + time.Millisecond - 1).Milliseconds()
		options += fmt.Sprintf(" t=%d", left&^(left>>63)) // 0 if it is over
	}
	metadata, _ := ctx.Value(MetadataKey{}).(map[string]string)
	for key, value := range metadata {
		options += " " + key + "=" + url.PathEscape(value)
	}
	tag, err := c.begin(this, command, options, body)
	if err != nil {
		return err
	}
	defer c.giveUp(tag)
	for {
		select {
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return &Error{Code: "deadline_exceeded", Message: "no answer yet", Ran: true}
			}
			return &Error{Code: "cancelled", Message: "the caller cancelled", Ran: true}
		case e := <-this.events:
			if e.err != nil {
				return e.err
			} else if e.cost == 0 {
				return decoded(e.body, reply)
			} else if err := each(e.body); err != nil {
				return err
			}
			if used += e.cost; used >= window/2 {
				c.mutex.Lock()
				c.send(">%d credit %d\n", tag, used)
				this.balance, used = this.balance+used, 0
				c.mutex.Unlock()
			}
		}
	}
}

func decoded(body []byte, reply any) error {
	if len(body) == 0 || reply == nil {
		return nil
	} else if err := json.Unmarshal(body, reply); err != nil {
		return &Error{Code: "bad_payload", Message: err.Error(), Ran: true}
	}
	return nil
}

func (c *Client) begin(this *call, command, options string, body []byte) (uint64, error) {
	if !name.MatchString(command) {
		return 0, &Error{Code: "unknown_command", Message: "no command can have this name"}
	} else if !line.MatchString(command+" 0 0"+options+"\n") || len(options) > optionsMax {
		return 0, &Error{Code: "invalid", Message: "this is no metadata"}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, why := range []*Error{c.notice, c.over} {
		if why != nil {
			return 0, &Error{Code: why.Code, Message: why.Message}
		}
	}
	c.tag = c.tag%(1<<32-1) + 1
	for c.calls[c.tag] != nil {
		c.tag = c.tag%(1<<32-1) + 1
	}
	c.calls[c.tag] = this
	c.send("%s %d %d%s\n%s", command, c.tag, len(body), options, body)
	return c.tag, nil
}

// A call that was given up keeps its tag until its reply has come.
func (c *Client) giveUp(tag uint64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.calls[tag] != nil {
		c.send(">%d cancel\n", tag)
	}
}

func (c *Client) send(format string, parts ...any) {
	select {
	case c.out <- fmt.Sprintf(format, parts...):
	default:
		go c.end("disconnected", "the peer does not read")
	}
}

func (c *Client) write() {
	for {
		select {
		case frame := <-c.out:
			if _, err := io.WriteString(c.conn, frame); err != nil {
				c.end("disconnected", err.Error())
			}
		case <-c.done:
			return
		}
	}
}

func (c *Client) read() {
	for reader := bufio.NewReaderSize(c.conn, lineMax); ; {
		text, err := reader.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			c.end("disconnected", err.Error())
			return
		} else if !line.Match(text) {
			c.end("protocol", fmt.Sprintf("this is no line: %.80q", text))
			return
		}
		words, length := strings.Fields(string(text)), 0
		if len(words) > 2 && words[1] != "credit" {
			fmt.Sscan(words[2], &length) // Nothing if it is an option.
		}
		if length > bodyMax {
			c.end("too_large", fmt.Sprintf("%d bytes came, and %d are the most", length, bodyMax))
			return
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(reader, body); err != nil {
			c.end("disconnected", err.Error())
			return
		}
		if problem := c.handle(words, body); problem != "" {
			c.end("protocol", problem)
			return
		}
	}
}

// Says what is wrong with it, if anything is.
func (c *Client) handle(words []string, body []byte) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	verb, e := words[1], event{body: body}
	if words[0][0] != '<' {
		if words[0] == "?PING" && verb != "0" {
			c.send("<%s ok 0\n", verb)
		} else if words[0][0] != '>' && verb != "0" {
			c.send("<%s err 0 unknown_command\n", verb)
		}
		return ""
	}
	var tag uint64
	fmt.Sscan(words[0][1:], &tag)
	this := c.calls[tag]
	if verb == "err" {
		e.err = &Error{Code: words[3]}
		var details, retryMS int
		for _, word := range words[4:] {
			fmt.Sscanf(word, "d=%d", &details)
			fmt.Sscanf(word, "retry=%d", &retryMS)
			e.err.Ran = e.err.Ran || word == "ran=1"
		}
		at := len(body) - details
		if at < 0 || at > len(body) {
			return "details are longer than their body"
		}
		text := strings.ToValidUTF8(string(body[:at]), "\ufffd")
		e.err.Message, e.err.Details = strings.TrimSuffix(text, "\n"), body[at:]
		e.err.Retry = time.Duration(retryMS) * time.Millisecond
	}
	switch {
	case tag == 0:
		if c.hasFarewell = verb == "ok"; verb == "err" {
			c.notice = e.err
		}
	case this == nil || verb == "item" && this.balance <= 0:
		return fmt.Sprintf("%s %d: of no call, or beyond its credit", verb, tag)
	case verb == "item":
		e.cost = len(body) + 64
		this.balance -= e.cost
		this.events <- e
	case verb != "open":
		delete(c.calls, tag)
		this.events <- e
	}
	return ""
}

func (c *Client) end(code, message string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.over != nil {
		return
	}
	c.over = &Error{Code: "disconnected", Message: message}
	why := Error{Code: code, Message: message, Ran: true}
	if c.notice != nil && c.hasFarewell {
		why = Error{Code: c.notice.Code, Message: c.notice.Message}
	}
	for _, this := range c.calls {
		copied := why
		this.events <- event{err: &copied}
	}
	c.calls = nil
	close(c.done)
	c.conn.Close()
}
