package keeper

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

// startPrometheus answers the address of a real one, which scrapes itself.
func startPrometheus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is needed: apt-get install prometheus")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // it binds it itself
	folder := t.TempDir()
	settings := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(settings, []byte("global: {scrape_interval: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	awaitReady(t, "http://"+address+"/-/ready")
	return "http://" + address
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if !pause(ctx, 20*time.Millisecond) {
			t.Fatalf("%s: %v", url, err)
		}
	}
}

func TestAQueryIsGoodBadOrSaysNothing(t *testing.T) {
	prometheus := startPrometheus(t)
	p, most, least := new(performer), 0.01, 2.0
	e := towpath.Environment{Key: "shop/production", Goal: towpath.ReleaseRef{Number: 42}, Live: towpath.ReleaseRef{Number: 41}}
	for _, c := range []struct {
		query towpath.QueryDefinition
		state towpath.FindingState
		text  string
	}{
		{towpath.QueryDefinition{Expr: "0.005", AtMost: &most}, towpath.FindingGood, "0.005 (at most 0.01)"},
		{towpath.QueryDefinition{Expr: "vector(0.02)", AtMost: &most}, towpath.FindingBad, "0.02 (at most 0.01)"},
		{towpath.QueryDefinition{Expr: "vector({{release}})", AtLeast: &least}, towpath.FindingGood, "42 (at least 2)"},
		{towpath.QueryDefinition{Expr: "vector({{live}} - 40)", AtLeast: &least}, towpath.FindingBad, "1 (at least 2)"},
		{towpath.QueryDefinition{Expr: `label_replace(vector(0), "a", "b", "", "") or vector(5)`, AtMost: &most}, towpath.FindingBad, "5 (at most 0.01)"},
		{towpath.QueryDefinition{Expr: "vector(0) / 0", AtMost: &most}, towpath.FindingNone, "it has no values"},
		{towpath.QueryDefinition{Expr: `nothing{environment="{{environment}}"}`, AtMost: &most}, towpath.FindingNone, "it has no values"},
		{towpath.QueryDefinition{Expr: "sum(", AtMost: &most}, towpath.FindingNone, "Prometheus did not answer: bad_data"},
		{towpath.QueryDefinition{Prometheus: "http://127.0.0.1:1", Expr: "1", AtMost: &most}, towpath.FindingNone, "Prometheus did not answer"},
	} {
		if c.query.Prometheus == "" {
			c.query.Prometheus = prometheus
		}
		state, text := askOnce(t.Context(), p.query(c.query, e))
		if state != c.state || !strings.HasPrefix(text, c.text) {
			t.Errorf("%s: %s, %q", c.query.Expr, state, text)
		}
	}
}

func TestBadIsCountedInARow(t *testing.T) {
	answers := []towpath.FindingState{
		towpath.FindingBad, towpath.FindingBad, towpath.FindingNone, towpath.FindingBad, towpath.FindingGood, towpath.FindingBad,
	}
	w := &witnesses{findings: make([]towpath.Finding, 1)}
	var inRow []int
	for _, state := range answers {
		w.note(0, state, "")
		inRow = append(inRow, w.findings[0].InRow)
	}
	if got := fmt.Sprint(inRow); got != "[1 2 0 1 0 1]" {
		t.Errorf("in a row: %s", got)
	}
}
