package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// cut ends a connection in the middle.
func cut() { panic(http.ErrAbortHandler) }

// brokenOff streams a part of the documents on each connection, and cuts all but the last one.
func (w *world) brokenOff(pattern string, parts ...[]any) {
	var connection atomic.Int64
	w.mux.HandleFunc(pattern, func(answer http.ResponseWriter, _ *http.Request) {
		n := int(connection.Add(1))
		send(answer, parts[min(n, len(parts))-1]...)
		if n < len(parts) {
			cut()
		}
	})
}

func TestAFollowedRunGoesOnAfterABrokenConnection(t *testing.T) {
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	building := with(shopRun(), "shop", client.Step{State: "running", Attempt: 1, Worker: "worker-2", StartedAt: minutesAgo(3)})
	w.brokenOff("GET /api/v1/pipelines/shop/runs/128/events", []any{building}, []any{building, shopPassed()})

	got := w.call("status", "shop#128", "--follow")
	if got.code != ExitDone || strings.Count(got.out, "● build shop") != 1 || !strings.Contains(got.out, "✓ shop #128 passed in 3m\n") {
		t.Errorf("got %+v", got)
	}
	if got.err != "the connection broke; trying again\n" {
		t.Errorf("a person was told %q", got.err)
	}
}

func TestAStreamThatEndsEarlyIsNotTheEndOfTheRun(t *testing.T) {
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	var connections atomic.Int64
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128/events", func(answer http.ResponseWriter, _ *http.Request) {
		if connections.Add(1) > 1 { // a server that was told to stop ends its streams in good order
			send(answer, shopFailed())
		}
	})
	if got := w.call("status", "shop#128", "--follow"); got.code != ExitFailed || !strings.Contains(got.out, "failed in 2m: unit failed") {
		t.Errorf("got %+v", got)
	}
}

func TestAServerThatStaysAwayIsGivenUpAndNamed(t *testing.T) {
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	var connections atomic.Int64
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128/events", func(answer http.ResponseWriter, _ *http.Request) {
		if connections.Add(1) == 1 {
			send(answer, shopRun())
		}
		cut()
	})
	var out, err strings.Builder
	console := &Console{In: strings.NewReader(""), Out: &out, Err: &err, JSON: true, patience: patience{time.Millisecond, 20 * time.Millisecond}}
	if code := Execute(t.Context(), []string{"--server", w.url, "status", "shop#128", "-f", "--json"}, console); code != ExitFailed {
		t.Errorf("exit code %d", code)
	}
	var why failure
	if json.Unmarshal([]byte(err.String()), &why) != nil || why.Code != "unavailable" || !strings.HasPrefix(why.Message, "follow shop#128: no answer from") {
		t.Errorf("got %s", err.String())
	}
}

func TestAnErrorThatIsNoBrokenConnectionIsToldAtOnce(t *testing.T) {
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	w.refuses("GET /api/v1/pipelines/shop/runs/128/events", http.StatusForbidden, client.Error{Code: "forbidden", Message: "not yours", Hint: "ask"})
	if got := w.call("status", "shop#128", "-f"); got != (answer{ExitFailed, "", "follow shop#128: not yours\nhint: ask\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestADeploymentThatGoesBackFails(t *testing.T) {
	w := newWorld(t)
	back := deployment("returned")
	back.Outcome = "4.1% errors over 2m (limit 1%)"
	w.answers("GET /api/v1/environments", []client.Environment{shopProduction()})
	w.answers("POST /api/v1/environments/shop/production/deploy", deployment("running"))
	w.answers("GET /api/v1/environments/shop/production/deployments", []client.Deployment{back})
	w.streams("GET /api/v1/environments/shop/production/events", deploying(deployment("running"), "watching release 42"), shopProduction())

	want := "shop/production   release 42 in place of 41\n● running   watching release 42\n" +
		"✗ shop/production went back to release 41: 4.1% errors over 2m (limit 1%)   1m\n"
	if got := w.call("deploy", "production", "42"); got != (answer{ExitFailed, want, ""}) {
		t.Errorf("got %+v", got)
	}
	got := w.call("deploy", "production", "42", "--json")
	if lines := strings.Split(strings.TrimSpace(got.out), "\n"); got.code != ExitFailed || len(lines) != 2 || !strings.Contains(lines[1], `"state":"returned"`) {
		t.Errorf("got %+v", got)
	}
	if want := `{"code":"failed","message":"shop/production went back to release 41: 4.1% errors over 2m (limit 1%)"}` + "\n"; got.err != want {
		t.Errorf("programs are told %s", got.err)
	}
}

// theLog is what the step printed; it has characters of several bytes.
const theLog = "building → dist/\nok, 2,031 files ✓\n"

// logged serves theLog from the offset on that is asked for, piece by piece, and cuts every connection but the last.
func logged(t *testing.T, w *world, pieces ...int) {
	run := with(shopRun(), "shop", client.Step{State: "running", Attempt: 1})
	w.answers("GET /api/v1/runs", []client.Run{run})
	var connection atomic.Int64
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128/steps/shop/log", func(answer http.ResponseWriter, r *http.Request) {
		n := int(connection.Add(1))
		var offset int
		if _, err := fmt.Sscan(r.URL.Query().Get("offset"), &offset); err != nil {
			t.Error(err)
		}
		if n > len(pieces) {
			io.WriteString(answer, theLog[offset:])
			return
		}
		io.WriteString(answer, theLog[offset:pieces[n-1]])
		http.NewResponseController(answer).Flush()
		cut()
	})
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128", func(answer http.ResponseWriter, _ *http.Request) {
		if int(connection.Load()) > len(pieces) {
			run = shopPassed()
		}
		json.NewEncoder(answer).Encode(run)
	})
}

func TestALogGoesOnWhereTheConnectionBroke(t *testing.T) {
	for name, flags := range map[string][]string{"followed": {"--follow"}, "once": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			logged(t, w, 5, 11) // the second one cuts a character apart
			got := w.call(append([]string{"log", "shop"}, flags...)...)
			if got.code != ExitDone || got.out != theLog {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAStepThatRunsAgainIsFollowedFromTheStartOfItsNewAttempt(t *testing.T) {
	w := newWorld(t)
	var attempt atomic.Int64
	attempt.Store(1)
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128", func(answer http.ResponseWriter, _ *http.Request) {
		state := map[int64]string{1: "running", 2: "running", 3: "passed"}[attempt.Load()]
		json.NewEncoder(answer).Encode(with(shopRun(), "unit", client.Step{State: state, Attempt: int(min(2, attempt.Load()))}))
	})
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128/steps/unit/log", func(answer http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(answer, "attempt %s from %s\n", r.URL.Query().Get("attempt"), r.URL.Query().Get("offset"))
		attempt.Add(1) // its worker is lost; then the second attempt passes
	})
	got := w.call("log", "unit", "shop#128", "--follow")
	if want := "attempt 1 from 0\nattempt 2 from 0\n"; got != (answer{ExitDone, want, "attempt 2:\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestTheLogThatNobodyNamesIsThatOfTheStepThatRunsOrElseFailed(t *testing.T) {
	running := with(shopWaiting(), "unit", client.Step{State: "running", Attempt: 1})
	for want, run := range map[string]client.Run{"unit": running, "shop": with(shopWaiting(), "unit", client.Step{State: "pending"})} {
		if got, err := stepToRead(run); got != want || err != nil {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/127", shopFailed())
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/127/steps/unit/log", func(answer http.ResponseWriter, _ *http.Request) {
		io.WriteString(answer, "2 tests failed\n")
	})
	if got := w.call("log", "shop#127"); got != (answer{ExitDone, "2 tests failed\n", "the log of unit in shop#127:\n"}) {
		t.Errorf("got %+v", got)
	}
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	if got := w.call("log", "shop#128"); got != (answer{ExitFailed, "", "no step of shop#128 has printed anything yet\nhint: towpath status shop#128 says why\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestALogForProgramsIsOneDocumentOrPiecesOfText(t *testing.T) {
	w := newWorld(t)
	logged(t, w)
	want := logPiece{Pipeline: "shop", Run: 128, Step: "shop", Text: theLog}
	var got logPiece
	if a := w.call("log", "shop", "shop#128", "--json"); json.Unmarshal([]byte(a.out), &got) != nil || got != want {
		t.Errorf("got %+v, want %+v", a, want)
	}

	w = newWorld(t)
	logged(t, w, 5, 11)
	a := w.call("log", "shop", "--follow", "--json")
	var all string
	for decoder := json.NewDecoder(strings.NewReader(a.out)); ; {
		var piece logPiece
		if decoder.Decode(&piece) != nil {
			break
		}
		if piece.Offset != int64(len(all)) {
			t.Errorf("a piece is at %d, after %d bytes", piece.Offset, len(all))
		}
		all += piece.Text
	}
	if a.code != ExitDone || all != theLog {
		t.Errorf("the pieces are %q, exit code %d: %s", all, a.code, a.err)
	}
}

func TestAnAttemptAndAMissingLogAreAskedForAsSuch(t *testing.T) {
	w := newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	w.refuses("GET /api/v1/pipelines/shop/runs/128/steps/unit tests/log", http.StatusNotFound, client.Error{Code: "not_found", Message: "no log yet"})
	got := w.call("log", "unit tests", "shop#128", "--attempt", "2")
	if got != (answer{ExitFailed, "", "follow the log: no log yet\n"}) {
		t.Errorf("got %+v", got)
	}
	w.wasAsked("GET /api/v1/pipelines/shop/runs/128/steps/unit%20tests/log?attempt=2&offset=0")
}
