// Oracle answers, with Go's own encoding/gob, what a gob stream holds. It makes the vector file of
// the crate's tests, checks streams that the crate wrote, and measures Go beside the crate.
// README.md has the commands.
package main

import (
	"fmt"
	"os"
)

const usage = `usage: oracle vectors | check | types | bench

  vectors  print the vector file
  check    answer lines "id TAB type TAB hex" on stdin
  types    list the types that check knows
  bench    measure encoding/gob with the article's value
`

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "vectors":
		err = printVectors()
	case len(os.Args) == 3 && os.Args[1] == "vector":
		err = printStream(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "check":
		err = superviseChecks()
	case len(os.Args) == 2 && os.Args[1] == "check-worker":
		err = answerChecks()
	case len(os.Args) == 2 && os.Args[1] == "types":
		err = printTypes()
	case len(os.Args) == 2 && os.Args[1] == "bench":
		bench()
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}
