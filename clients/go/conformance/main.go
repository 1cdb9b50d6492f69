// Conformance runs the cases of clients/conformance.json: go run ./conformance ADDRESS
//
// It is run in clients/go, prints a line for each case and a count, and ends with 1 if a case has
// failed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"switchboard"
)

type testCase struct {
	Name     string
	Together bool
	Calls    []map[string]any
}

func main() {
	path := "../conformance.json"
	if len(os.Args) > 2 {
		path = os.Args[2]
	}
	text, err := os.ReadFile(path)
	var file struct{ Cases []testCase }
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	failed := 0
	for _, one := range file.Cases {
		if problems := run(os.Args[1], one); problems == "" {
			fmt.Println("ok", one.Name)
		} else {
			failed++
			fmt.Println("FAILED", one.Name, problems)
		}
	}
	fmt.Printf("go: %d of %d cases ok\n", len(file.Cases)-failed, len(file.Cases))
	if failed > 0 {
		os.Exit(1)
	}
}

// What went wrong, a line each.
func run(address string, one testCase) string {
	client, err := switchboard.Dial(context.Background(), address)
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	var calls []map[string]any
	for _, call := range one.Calls {
		count, _ := call["repeat"].(float64)
		for number := 1; number <= int(count) || number == 1; number++ {
			calls = append(calls, expanded(call, number).(map[string]any))
		}
	}
	problems := make([]string, len(calls))
	var group sync.WaitGroup
	for i := range calls {
		group.Add(1)
		work := func(i int) {
			defer group.Done()
			problems[i] = endOf(client, calls[i])
		}
		if one.Together {
			go work(i)
		} else {
			work(i)
		}
	}
	group.Wait()
	return strings.Join(problems, "")
}

var errEnough = errors.New("enough")

// Makes a call; a text if it ends otherwise than it should.
func endOf(client *switchboard.Client, call map[string]any) string {
	milliseconds, has := call["timeout_ms"].(float64)
	if !has {
		milliseconds = 20000
	}
	after := time.Duration(milliseconds) * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	if metadata, has := call["metadata"].(map[string]any); has {
		values := map[string]string{}
		for key, value := range metadata {
			values[key] = value.(string)
		}
		ctx = context.WithValue(ctx, switchboard.MetadataKey{}, values)
	}
	var value any
	items := []any{}
	take, _ := call["take"].(float64)
	each := func(text json.RawMessage) error {
		var item any
		err := json.Unmarshal(text, &item)
		if items = append(items, item); len(items) == int(take) {
			return errEnough
		}
		return err
	}
	var err error
	if name, has := call["call"].(string); has {
		err = client.Call(ctx, name, call["payload"], &value)
	} else {
		err = client.Stream(ctx, call["stream"].(string), call["payload"], each, &value)
	}
	came := map[string]any{}
	var problem *switchboard.Error
	if errors.As(err, &problem) {
		var details any
		json.Unmarshal(problem.Details, &details)
		came = map[string]any{"code": problem.Code, "message": problem.Message, "ran": problem.Ran,
			"details": details, "retry_ms": float64(problem.Retry.Milliseconds())}
	}
	wanted, _ := call["err"].(map[string]any)
	wantedItems, has := call["items"].([]any)
	isRight := (!has && len(items) == 0 || reflect.DeepEqual(items, wantedItems)) &&
		reflect.DeepEqual(value, call["ok"]) && (problem == nil) == (wanted == nil) &&
		(err == nil || problem != nil || err == errEnough)
	for key := range wanted {
		isRight = isRight && reflect.DeepEqual(came[key], wanted[key])
	}
	if isRight {
		return ""
	}
	return fmt.Sprintf("\n  %.300s\n  gives %.300s", fmt.Sprint(call), fmt.Sprint(items, value, err))
}

// Writes out what a case has in short.
func expanded(value any, number int) any {
	switch value := value.(type) {
	case string:
		if value == "$n" {
			return float64(number)
		}
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = expanded(value[i], number)
		}
		return list
	case map[string]any:
		if text, has := value["$text"].([]any); has {
			return strings.Repeat(text[0].(string), int(text[1].(float64)))
		}
		if count, has := value["$count"].(float64); has {
			list := make([]any, int(count))
			for i := range list {
				list[i] = float64(i + 1)
			}
			return list
		}
		members := map[string]any{}
		for key, one := range value {
			members[key] = expanded(one, number)
		}
		return members
	}
	return value
}
