package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

const countedLog = "one\ntwo\nthree\nfour\nfive\n"

// counts is a server with a log of five lines.
func (w *world) counts() {
	w.answers("GET /api/v1/pipelines/shop/runs/128", with(shopRun(), "unit", client.Step{State: "passed", Attempt: 2}))
	const log = "GET /api/v1/pipelines/shop/runs/128/steps/unit/log"
	w.mux.HandleFunc(log, func(answer http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		io.WriteString(answer, countedLog[offset:])
	})
	w.mux.HandleFunc(log+"/lines", func(answer http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("from"))
		lines := strings.SplitAfter(countedLog, "\n")
		lines = lines[:len(lines)-1]
		if from < 0 {
			from = max(0, len(lines)+from) + 1
		}
		found := client.LogLines{Total: int64(len(lines))}
		if from <= len(lines) {
			offset := len(strings.Join(lines[:from-1], ""))
			found.Lines = []client.LogLine{{Number: int64(from), Offset: int64(offset), Text: strings.TrimSpace(lines[from-1])}}
		}
		json.NewEncoder(answer).Encode(found)
	})
	w.mux.HandleFunc(log+"/search", func(answer http.ResponseWriter, r *http.Request) {
		all := client.LogLines{Total: 5, Next: 3, Lines: []client.LogLine{{Number: 2, Text: "two"}}}
		switch query := r.URL.Query(); {
		case query.Get("text") != "t":
			all = client.LogLines{Total: 5}
		case query.Get("from") == "3":
			all = client.LogLines{Total: 5, Lines: []client.LogLine{{Number: 3, Text: "three"}}}
		}
		json.NewEncoder(answer).Encode(all)
	})
}

func TestAPartOfALogIsPrinted(t *testing.T) {
	for flags, want := range map[string]string{
		"--lines 2-3": "two\nthree\n", "--lines 4-": "four\nfive\n", "--lines 5": "five\n", "--lines 1-99": countedLog,
		"--tail 2": "four\nfive\n", "--tail 2 --follow": "four\nfive\n", "--tail 99": countedLog,
		"--search t": "2: two\n3: three\n",
	} {
		w := newWorld(t)
		w.counts()
		if got := w.call(append([]string{"log", "unit", "shop#128"}, strings.Fields(flags)...)...); got != (answer{ExitDone, want, ""}) {
			t.Errorf("%s: %+v", flags, got)
		}
	}
}

func TestAPartThatIsNotThereIsSaid(t *testing.T) {
	for flags, want := range map[string]answer{
		"--lines 9-": {ExitDone, "", "the log has 5 lines\n"}, "--search x": {ExitDone, "", "none of its 5 lines has \"x\"\n"},
		"--lines 3-2":          {ExitUsage, "", "--lines 3-2 is not a range of lines\nhint: towpath log --lines 1200-1300; the first line is 1\n"},
		"--lines 0":            {ExitUsage, "", "--lines 0 is not a range of lines\nhint: towpath log --lines 1200-1300; the first line is 1\n"},
		"--tail -2":            {ExitUsage, "", "--tail -2 is not a number of lines\nhint: towpath log --tail 50\n"},
		"--lines 9 --json":     {ExitDone, `{"pipeline":"shop","run":128,"step":"unit","offset":0,"text":""}` + "\n", ""},
		"--lines 2-3 --json":   {ExitDone, `{"pipeline":"shop","run":128,"step":"unit","offset":4,"text":"two\nthree\n"}` + "\n", ""},
		"--search x --json":    {ExitDone, `{"lines":[],"total":5}` + "\n", ""},
		"--search t --json":    {ExitDone, `{"lines":[{"number":2,"offset":0,"text":"two"},{"number":3,"offset":0,"text":"three"}],"total":5}` + "\n", ""},
		"--tail 1 --follow -f": {ExitDone, "five\n", ""},
	} {
		w := newWorld(t)
		w.counts()
		if got := w.call(append([]string{"log", "unit", "shop#128"}, strings.Fields(flags)...)...); got != want {
			t.Errorf("%s: %+v", flags, got)
		}
	}
	w := newWorld(t)
	w.counts()
	if got := w.call("log", "unit", "shop#128", "--search", "x", "--follow"); got.code != ExitUsage {
		t.Errorf("a search that follows: %+v", got)
	}
}
