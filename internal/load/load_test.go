package load_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/load"
)

// site is a real server that counts what reaches it.
type site struct {
	address string
	asked   *atomic.Int64
}

func serve(t *testing.T, handler http.HandlerFunc) site {
	t.Helper()
	asked := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return site{address: server.Listener.Addr().String(), asked: asked}
}

// whole answers with a right digest, under a side's name.
func whole(side string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body := strings.Repeat("as it should be ", 64)
		sum := sha256.Sum256([]byte(body))
		w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		w.Header().Set("X-Release", side)
		io.WriteString(w, body)
	}
}

// eventually waits for a condition that a server brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !is(); {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 20 s", what)
		case <-tick.C:
		}
	}
}

func TestWholeAnswersAreCountedAndNothingElse(t *testing.T) {
	site := serve(t, whole("7"))
	l := load.Start(t.Context(), load.Options{
		Address: site.address, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: 3, Fresh: 2, Label: "X-Release",
	})
	eventually(t, "answers", func() bool { return l.Sides()["7"].Answers > 100 })
	r := l.Stop()
	if r.Failed > 0 || int64(r.Requests) != site.asked.Load() || l.Sides()["7"].Answers != r.Requests {
		t.Errorf("got %+v, %d answers; the server saw %d", r, l.Sides()["7"].Answers, site.asked.Load())
	}
}

func TestEveryAnswerThatIsNotWholeAndRightHasFailed(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"a body that is cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "the first of a thousand")
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
		"a chunked body that is cut": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "more is to come")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
		"a body of another release": {func(w http.ResponseWriter, _ *http.Request) {
			sum := sha256.Sum256([]byte("release 1"))
			w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
			io.WriteString(w, "release 2")
		}, "wrong digest"},
		"a body without its digest":   {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "trust me") }, "no digest"},
		"an error of the server":      {status(http.StatusInternalServerError), "500"},
		"a bad gateway":               {status(http.StatusBadGateway), "502"},
		"nobody to serve":             {status(http.StatusServiceUnavailable), "503"},
		"a page that is not there":    {status(http.StatusNotFound), "404"},
		"an answer that names nobody": {whole(""), "X-Release"},
		"an answer that never comes":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout"},
		"a connection that is closed": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := serve(t, c.handler)
			l := load.Start(t.Context(), load.Options{
				Address: site.address, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: 1, Fresh: 1,
				Label: "X-Release", Timeout: 200 * time.Millisecond,
			})
			eventually(t, "failures", func() bool { return l.Report().Failed >= 4 })
			r := l.Stop()
			if r.Failed != r.Requests || r.Refused > 0 {
				t.Errorf("%d of %d have failed, %d of them refused", r.Failed, r.Requests, r.Refused)
			}
			if !strings.Contains(r.Failures[0].Reason, c.says) {
				t.Errorf("it says %q, want %q in it", r.Failures[0].Reason, c.says)
			}
			if int64(r.Requests) != site.asked.Load() {
				t.Errorf("%d requests were counted, the server saw %d", r.Requests, site.asked.Load())
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

// fails answers a side's name with a status, and with as much of a body of four bytes as is told.
func fails(side string, code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Release", side)
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(code)
		io.WriteString(w, body)
		if len(body) < 4 {
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

func TestOnlyWholeErrorsOfTheExcusedSideAreCountedApart(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		apart   bool
	}{
		"it cannot serve":              {fails("7", http.StatusServiceUnavailable, "full"), true},
		"it broke":                     {fails("7", http.StatusInternalServerError, "ouch"), true},
		"its answer is cut":            {fails("7", http.StatusServiceUnavailable, "fu"), false},
		"it does not know the page":    {fails("7", http.StatusNotFound, "none"), false},
		"another side cannot serve":    {fails("6", http.StatusServiceUnavailable, "full"), false},
		"nobody says who cannot serve": {fails("", http.StatusBadGateway, "oops"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := load.Start(t.Context(), load.Options{
				Address: serve(t, c.handler).address, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: 1, Fresh: 1, Label: "X-Release",
			})
			l.Excuse("7")
			had := l.Report()
			eventually(t, "answers", func() bool { return l.Report().Requests > had.Requests+10 })
			r := l.Stop()
			apart, failed := r.Excused-had.Excused, r.Failed-had.Failed
			if c.apart && (apart < 8 || failed > 2) || !c.apart && (apart > 0 || failed < 8) { // one a client was on its way before
				t.Errorf("got %+v, of which before %+v", r, had)
			}
			if side := l.Sides()["7"]; c.apart && (side.Excused != r.Excused || side.Answers > 0 || side.Last.Before(side.First)) {
				t.Errorf("of the side it tells %+v, of all %+v", side, r)
			}
		})
	}
}

func TestAnExcuseEnds(t *testing.T) {
	site := serve(t, fails("7", http.StatusServiceUnavailable, "full"))
	l := load.Start(t.Context(), load.Options{Address: site.address, Targets: []load.Target{{Path: "/"}}, Kept: 1, Label: "X-Release"})
	l.Excuse("7")
	eventually(t, "answers", func() bool { return l.Report().Excused > 3 })
	l.Excuse("")
	excused := l.Report().Excused
	eventually(t, "failures", func() bool { return l.Report().Failed > 3 })
	if r := l.Stop(); r.Excused != excused {
		t.Errorf("%d were counted apart, and %d more once that was over", excused, r.Excused-excused)
	}
}

func TestARefusedConnectionHasFailed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	l := load.Start(t.Context(), load.Options{Address: listener.Addr().String(), Targets: []load.Target{{Path: "/"}}, Kept: 1})
	eventually(t, "failures", func() bool { return l.Report().Failed > 2 })
	if r := l.Stop(); r.Failed != r.Requests || r.Refused != r.Failed || !strings.Contains(r.Failures[0].Reason, "connect") {
		t.Errorf("got %+v", r)
	}
}

// The standard client would send such a request again, on another connection, and nobody would know.
func TestARequestOnAKeptConnectionThatHasGoneIsNotSentAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
			conn.Close()
		}
	}()
	l := load.Start(t.Context(), load.Options{
		Address: listener.Addr().String(), Targets: []load.Target{{Path: "/"}}, Kept: 1, Pause: 5 * time.Millisecond,
	})
	eventually(t, "failures", func() bool { return l.Report().Failed > 2 })
	r := l.Stop()
	if answered := l.Sides()[""].Answers; answered+r.Failed != r.Requests || answered < r.Failed {
		t.Errorf("%d answered and %d failed of %d; every second one should fail", answered, r.Failed, r.Requests)
	}
}

func TestAnAnswerWithoutALengthIsNotBelieved(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\nwas that all?")
			}
			conn.Close()
		}
	}()
	l := load.Start(t.Context(), load.Options{Address: listener.Addr().String(), Targets: []load.Target{{Path: "/"}}, Fresh: 1})
	eventually(t, "failures", func() bool { return l.Report().Failed > 2 })
	if r := l.Stop(); r.Failed != r.Requests {
		t.Errorf("got %+v", r)
	}
}

func TestTheLastAnswerOfTheOldSideIsKnownOnceTheLoadHasSettled(t *testing.T) {
	var isNew atomic.Bool
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		side := "old"
		if isNew.Load() {
			side = "new"
		}
		whole(side)(w, r)
	})
	l := load.Start(t.Context(), load.Options{
		Address: site.address, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: 4, Fresh: 1, Label: "X-Release",
	})
	eventually(t, "answers", func() bool { return l.Sides()["old"].Answers > 10 })
	l.Mark()
	eventually(t, "an answer since the mark", func() bool { return l.Sides()["old"].Answers > 0 })
	isNew.Store(true)
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := l.Sides()
	if before["old"].Last.IsZero() || before["new"].Answers < 5 {
		t.Errorf("after settling: %+v", before)
	}
	if r := l.Stop(); r.Failed > 0 {
		t.Errorf("got %+v", r)
	}
	if after := l.Sides(); after["old"] != before["old"] {
		t.Errorf("the old side answered after all had settled: %+v, then %+v", before["old"], after["old"])
	}
}

func TestAStreamThatIsCutHasFailedAndOneThatEndsHasNot(t *testing.T) {
	for name, c := range map[string]struct {
		end    func()
		failed bool
	}{
		"cut":   {func() { panic(http.ErrAbortHandler) }, true},
		"ended": {func() {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			site := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "data: one\n\n")
				http.NewResponseController(w).Flush()
				c.end()
			})
			l := load.Start(t.Context(), load.Options{Address: site.address, Streams: []string{"/events"}})
			eventually(t, "streams", func() bool { return l.Report().Requests > 3 })
			if r := l.Stop(); (r.Failed > 0) != c.failed {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestAStreamThatIsOpenWhenTheLoadStopsHasNotFailed(t *testing.T) {
	left := make(chan struct{})
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: one\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	l := load.Start(t.Context(), load.Options{Address: site.address, Streams: []string{"/events"}})
	eventually(t, "the stream", func() bool { return site.asked.Load() == 1 })
	if r := l.Stop(); r.Failed > 0 || r.Requests != 1 {
		t.Errorf("got %+v", r)
	}
	<-left
}

func TestFreshConnectionsGoWhereTheyAreToldToEachTime(t *testing.T) {
	site := serve(t, whole("1"))
	var asked atomic.Int64
	l := load.Start(t.Context(), load.Options{
		Host: "shop.test", Targets: []load.Target{{Path: "/"}}, Fresh: 1,
		Find: func(context.Context) (string, error) {
			if asked.Add(1) == 1 {
				return "", errors.New("no such name")
			}
			return site.address, nil
		},
	})
	for range 3 {
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	report := l.Stop()
	if report.Failed != 1 || report.Failures[0].Reason != "find: no such name" || int64(report.Requests) != asked.Load() {
		t.Errorf("%+v, asked %d times", report, asked.Load())
	}
}
