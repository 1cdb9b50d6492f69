package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"strings"
	"syscall"
)

const (
	workerStackBytesMax   = 64 << 20
	workerAddressBytesMax = 4 << 30
)

// superviseChecks has a worker answer and starts another when one dies: Go ends the process on a
// stack overflow and when memory runs out, and damaged streams make it do both.
func superviseChecks() error {
	requests := bufio.NewReader(os.Stdin)
	var current *worker
	for {
		line, err := requests.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		if current == nil {
			if current, err = startWorker(); err != nil {
				return err
			}
		}
		answer, alive := current.ask(strings.TrimSuffix(line, "\n") + "\n")
		if !alive {
			id, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			answer = answerLine(id, nil, fmt.Errorf("died: %s", current.lastWords())) + "\n"
			current = nil
		}
		if _, err := os.Stdout.WriteString(answer); err != nil {
			return err
		}
	}
}

type worker struct {
	command  *exec.Cmd
	requests io.Writer
	answers  *bufio.Reader
	errors   *bytes.Buffer
}

func startWorker() (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{command: exec.Command(self, "check-worker"), errors: new(bytes.Buffer)}
	w.command.Stderr = w.errors
	if w.requests, err = w.command.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.answers = bufio.NewReader(answers)
	return w, w.command.Start()
}

func (w *worker) ask(request string) (answer string, alive bool) {
	if _, err := io.WriteString(w.requests, request); err != nil {
		return "", false
	}
	answer, err := w.answers.ReadString('\n')
	return answer, err == nil
}

func (w *worker) lastWords() string {
	w.command.Wait()
	for _, line := range strings.Split(w.errors.String(), "\n") {
		if strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimPrefix(line, "fatal error: ")
		}
	}
	return w.command.ProcessState.String()
}

func answerChecks() error {
	debug.SetMaxStack(workerStackBytesMax)
	limit := syscall.Rlimit{Cur: workerAddressBytesMax, Max: workerAddressBytesMax}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return err
	}
	types := readerTypes()
	requests := bufio.NewReader(os.Stdin)
	for {
		line, err := requests.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Println(answerCheck(types, strings.TrimSuffix(line, "\n")))
	}
}

func answerCheck(types map[string]reflect.Type, line string) string {
	columns := strings.Split(line, "\t")
	if len(columns) != 3 {
		return answerLine(columns[0], nil, fmt.Errorf("oracle: want 3 columns, got %d", len(columns)))
	}
	var readers []reflect.Type
	for _, name := range strings.Split(columns[1], ",") {
		reader, ok := types[name]
		if !ok {
			return answerLine(columns[0], nil, fmt.Errorf("oracle: unknown type %s", name))
		}
		readers = append(readers, reader)
	}
	stream, err := hex.DecodeString(columns[2])
	if err != nil {
		return answerLine(columns[0], nil, fmt.Errorf("oracle: %v", err))
	}
	literals, err := decodeAll(readers, stream)
	return answerLine(columns[0], literals, err)
}

func answerLine(id string, literals []string, err error) string {
	columns := []string{id, "ok"}
	if err != nil {
		columns = []string{id, "error", escape(err.Error())}
	}
	return strings.Join(append(columns, literals...), "\t")
}

// escape keeps a message of Go's in one column of one line.
func escape(message string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(message)
}
