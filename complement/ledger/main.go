// Ledger keeps account of Complement runs: it turns what "go test -json" prints into a list of tests with
// their results, counts them, and tells which results got worse. It runs no tests itself.
//
//	ledger record OUTPUT-OF-GO-TEST    the list, on standard output
//	ledger panicked OUTPUT-OF-GO-TEST  the top-level tests that panicked, joined by "|"
//	ledger count LIST                  the closing line
//	ledger compare OLD NEW [partial]   regressions; exits with 1 if there are any
//
// A list has a line "package/test <tab> pass|fail|skip" for each test and subtest, sorted by bytes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// The longest line that is read, in bytes: a test's log line with a whole sync response in it.
const maxLine = 64 << 20

const modulePrefix = "github.com/matrix-org/complement/"

// A ledger maps each test's name to its result.
type ledger map[string]string

// An event is what "go test -json" prints of a test's life (see "go doc test2json").
type event struct{ Action, Package, Test, Output string }

// record reads the output of "go test -json". A test that began and has no result (its package panicked, or ran
// out of time) failed. So did a package that has no test to blame, as when it does not compile.
func record(r io.Reader) (ledger, error) {
	results := ledger{}
	failedPackages := []string{}
	err := eachLine(r, func(line string) error {
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			return nil // what the build prints, not an event
		}
		pkg := strings.TrimPrefix(e.Package, modulePrefix)
		name := pkg + "/" + e.Test
		switch {
		case e.Test == "" && e.Action == "fail":
			failedPackages = append(failedPackages, pkg)
		case e.Test == "":
		case e.Action == "run":
			results[name] = "fail"
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			results[name] = e.Action
		}
		return nil
	})
	for _, pkg := range failedPackages {
		hasFailure := false
		for name, result := range results {
			hasFailure = hasFailure || result == "fail" && strings.HasPrefix(name, pkg+"/Test")
		}
		if !hasFailure {
			results[pkg] = "fail"
		}
	}
	return results, err
}

// panicked returns the top-level tests in which the output of "go test -json" shows a panic, joined by "|".
func panicked(r io.Reader) (string, error) {
	names := ledger{}
	err := eachLine(r, func(line string) error {
		var e event
		if json.Unmarshal([]byte(line), &e) == nil && e.Test != "" && strings.HasPrefix(e.Output, "panic: ") {
			name, _, _ := strings.Cut(e.Test, "/")
			names[name] = "fail"
		}
		return nil
	})
	return strings.Join(names.names(), "|"), err
}

// read reads a list.
func read(path string) (ledger, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	results := ledger{}
	err = eachLine(file, func(line string) error {
		name, result, ok := strings.Cut(line, "\t")
		if !ok || (result != "pass" && result != "fail" && result != "skip") {
			return fmt.Errorf("%s: not a line of a ledger: %q", path, line)
		}
		results[name] = result
		return nil
	})
	return results, err
}

func eachLine(r io.Reader, use func(string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if err := use(scanner.Text()); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func (l ledger) names() []string { return slices.Sorted(maps.Keys(l)) }

func (l ledger) write(w io.Writer) {
	for _, name := range l.names() {
		fmt.Fprintf(w, "%s\t%s\n", name, l[name])
	}
}

// count returns the closing line, over tests and subtests alike.
func (l ledger) count() string {
	counts := map[string]int{}
	for _, result := range l {
		counts[result]++
	}
	return fmt.Sprintf("%d passed, %d failed, %d skipped", counts["pass"], counts["fail"], counts["skip"])
}

// regressions returns a line for each test that passed in old and does not in l. If l is of a partial run, tests
// that it has nothing of are no regressions.
func (l ledger) regressions(old ledger, partial bool) []string {
	lines := []string{}
	for _, name := range old.names() {
		result, ran := l[name]
		if !ran {
			result = "did not run"
		}
		if old[name] == "pass" && result != "pass" && (ran || !partial) {
			lines = append(lines, fmt.Sprintf("%s: passed before, now: %s", name, result))
		}
	}
	return lines
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: ledger record|panicked|count|compare FILE…")
	}
	switch args[0] {
	case "record", "panicked":
		return fromOutput(args[0], args[1])
	case "count":
		results, err := read(args[1])
		if err == nil {
			fmt.Println(results.count())
		}
		return err
	case "compare":
		return compare(args[1:])
	}
	return fmt.Errorf("unknown: %s", args[0])
}

func fromOutput(verb, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if verb == "panicked" {
		names, err := panicked(file)
		fmt.Println(names)
		return err
	}
	results, err := record(file)
	results.write(os.Stdout)
	return err
}

func compare(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: ledger compare OLD NEW [partial]")
	}
	old, err := read(args[0])
	if err != nil {
		return err
	}
	results, err := read(args[1])
	if err != nil {
		return err
	}
	lines := results.regressions(old, len(args) > 2 && args[2] == "partial")
	for _, line := range lines {
		fmt.Println(line)
	}
	if len(lines) > 0 {
		return fmt.Errorf("%d tests got worse", len(lines))
	}
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
