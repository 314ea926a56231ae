package main

import (
	"slices"
	"strings"
	"testing"
)

const pkg = `"Package":"github.com/matrix-org/complement/tests/csapi"`

func TestRecordNamesEachTestWithItsResult(t *testing.T) {
	output := strings.Join([]string{
		`{"Action":"run",` + pkg + `,"Test":"TestA"}`,
		`{"Action":"run",` + pkg + `,"Test":"TestA/one_<thing>"}`,
		`{"Action":"pass",` + pkg + `,"Test":"TestA/one_<thing>"}`,
		`{"Action":"pass",` + pkg + `,"Test":"TestA"}`,
		`not an event`,
		`{"Action":"run",` + pkg + `,"Test":"TestB"}`,
		`{"Action":"skip",` + pkg + `,"Test":"TestB"}`,
		`{"Action":"run",` + pkg + `,"Test":"TestHangs"}`,
		`{"Action":"fail",` + pkg + `}`,
		`{"Action":"fail","Package":"github.com/matrix-org/complement/tests"}`,
	}, "\n")
	results, err := record(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	results.write(&list)
	want := "tests\tfail\n" +
		"tests/csapi/TestA\tpass\n" +
		"tests/csapi/TestA/one_<thing>\tpass\n" +
		"tests/csapi/TestB\tskip\n" +
		"tests/csapi/TestHangs\tfail\n"
	if list.String() != want {
		t.Fatalf("got\n%swant\n%s", list.String(), want)
	}
	if got := results.count(); got != "2 passed, 2 failed, 1 skipped" {
		t.Fatal(got)
	}
}

func TestPanickedNamesTopLevelTests(t *testing.T) {
	output := `{"Action":"output",` + pkg + `,"Test":"TestA/sub","Output":"panic: nil pointer"}` + "\n" +
		`{"Action":"output",` + pkg + `,"Test":"TestB","Output":"    a_test.go:1: no panic: here"}` + "\n" +
		`{"Action":"output",` + pkg + `,"Test":"TestC","Output":"panic: too"}`
	got, err := panicked(strings.NewReader(output))
	if err != nil || got != "TestA|TestC" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestRegressionsAreTestsThatPassedBefore(t *testing.T) {
	old := ledger{"a": "pass", "b": "fail", "c": "pass", "d": "skip", "e": "pass"}
	results := ledger{"a": "fail", "b": "fail", "c": "pass", "d": "fail", "new": "fail"}
	for _, c := range []struct {
		partial bool
		want    []string
	}{
		{false, []string{"a: passed before, now: fail", "e: passed before, now: did not run"}},
		{true, []string{"a: passed before, now: fail"}},
	} {
		if got := results.regressions(old, c.partial); !slices.Equal(got, c.want) {
			t.Errorf("partial %v: got %q, want %q", c.partial, got, c.want)
		}
	}
}
