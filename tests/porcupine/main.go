// Judges a history of docs/history.md with Porcupine (github.com/anishathalye/porcupine): a checker that shares nothing
// with db3-history.
//
// Usage: porcupine FILE. Ends with 0 where some order of the calls explains the answers, with 1 where none does, with 2
// where it could not say. Best on a history whose unknown outcomes were found out (db3-history audit --resolved): where
// many are left, no checker of the general kind ends.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 10 * time.Minute

type line struct {
	Client    int
	Alone     bool
	Call      string
	Arguments struct {
		Key       string
		Value     *string
		IfVersion *uint64 `json:"if_version"`
	}
	Result struct {
		Type    string
		Version uint64
		Value   *string
	}
	Start int64
	End   int64
}

type register struct {
	version uint64
	value   string
}

// step says whether a call fits a register, and what the register holds after it.
func step(state, input, _ interface{}) (bool, interface{}) {
	held, call := state.(register), input.(line)
	if call.Call == "read" {
		found := register{version: call.Result.Version}
		if call.Result.Value != nil {
			found.value = *call.Result.Value
		}
		return found == held, held
	}
	meets := call.Arguments.IfVersion == nil || *call.Arguments.IfVersion == held.version
	written := register{version: held.version + 1, value: *call.Arguments.Value}
	switch call.Result.Type {
	case "ok":
		return meets && written.version == call.Result.Version, written
	case "mismatch":
		return !meets, held
	default: // Not known: it happened now, or never.
		if meets {
			return true, written
		}
		return true, held
	}
}

func byKey(calls []porcupine.Operation) [][]porcupine.Operation {
	found := map[string][]porcupine.Operation{}
	for _, call := range calls {
		key := call.Input.(line).Arguments.Key
		found[key] = append(found[key], call)
	}
	var parts [][]porcupine.Operation
	for _, part := range found {
		parts = append(parts, part)
	}
	return parts
}

func load(path string) (calls []porcupine.Operation, unknown int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var call line
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		// No effect, and no promise that there is one order for.
		if call.Result.Type == "none" || call.Alone && call.Call == "read" {
			continue
		}
		end := call.End
		if call.Result.Type == "info" {
			unknown++
			end = math.MaxInt64
		}
		calls = append(calls, porcupine.Operation{ClientId: call.Client, Input: call, Call: call.Start, Return: end})
	}
	return calls, unknown, lines.Err()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: porcupine FILE")
		os.Exit(2)
	}
	calls, unknown, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(2)
	}
	model := porcupine.Model{Partition: byKey, Init: func() interface{} { return register{} }, Step: step}
	began := time.Now()
	result := porcupine.CheckOperationsTimeout(model, calls, patience)
	fmt.Printf("%s: %d calls, %d of unknown outcome, %.1f s\n", result, len(calls), unknown, time.Since(began).Seconds())
	switch result {
	case porcupine.Ok:
	case porcupine.Illegal:
		os.Exit(1)
	default:
		os.Exit(2)
	}
}
