package forge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	const date = "Mon, 23 Nov 2026 06:00:00 GMT"
	for name, c := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"seconds":            {map[string]string{"Retry-After": "90"}, 90 * time.Second},
		"a date":             {map[string]string{"Retry-After": "Mon, 23 Nov 2026 06:01:30 GMT", "Date": date}, 90 * time.Second},
		"a date in the past": {map[string]string{"Retry-After": "Mon, 23 Nov 2026 05:00:00 GMT", "Date": date}, 0},
		"no date to hold it": {map[string]string{"Retry-After": "Mon, 23 Nov 2026 06:01:30 GMT"}, 0},
		"negative":           {map[string]string{"Retry-After": "-5"}, 0},
		"for ever":           {map[string]string{"Retry-After": "99999999999"}, 24 * time.Hour},
		"nonsense":           {map[string]string{"Retry-After": "soon"}, 0},
		"GitHub's":           {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795413690", "Date": date}, 90 * time.Second},
		"GitHub's, not yet":  {map[string]string{"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "1795413690", "Date": date}, 0},
		"nothing":            {nil, 0},
	} {
		header := http.Header{}
		for key, value := range c.header {
			header.Set(key, value)
		}
		if got := retryAfter(header); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	var sent int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for line := strings.Repeat(" ", 1<<20); ; sent++ {
			if _, err := w.Write([]byte(line)); err != nil {
				return
			}
		}
	}))
	caller, err := NewCaller(Where{Server: server.URL}, server.URL, Credential{})
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Call(t.Context(), "GET", "/", nil, &struct{}{}); err == nil {
		t.Error("it was read")
	}
	server.Close() // waits for the handler
	if sent > 2*maxAnswer>>20 {
		t.Errorf("%d MiB were sent", sent)
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	for _, api := range []string{"", "git.example.com", "ftp://git.example.com", "https://ana:hunter2@git.example.com", "https://%zz"} {
		if _, err := NewCaller(Where{}, api, Credential{}); err == nil {
			t.Errorf("%q is taken", api)
		}
	}
}

func TestBusy(t *testing.T) {
	err := error(&Busy{After: 7 * time.Second, Why: "429"})
	if !errors.Is(err, ErrBusy) || err.Error() != "the forge does not answer: 429 (it asks to be called again in 7s)" {
		t.Error(err)
	}
}
