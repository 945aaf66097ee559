//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// printer prints thousands of lines in little more than a second, each once.
const printer = `
      for i in $(seq 40); do seq -f "line %.0f." $((i * 1000)) $((i * 1000 + 999)); sleep 0.05; done
`

// follows starts the command line's follower, whose output is pieces with their offsets, and waits for the first: one
// that never had an answer gives up at once, and is right to.
func (s *site) follows(step string, flags ...string) *program {
	s.Helper()
	follower := s.start("follower", append([]string{
		"log", step, "app#1", "--follow", "--json", "--server", "http://" + s.address, "--token", s.token(),
	}, flags...)...)
	until(s, "the follower has something", func() bool { return follower.isGone() || strings.Contains(follower.said(), `"offset"`) })
	return follower
}

// followed is all that a follower got. Its pieces have to stand one behind the other.
func (p *program) followed() string {
	p.t.Helper()
	code, said := p.result()
	if code != 0 {
		p.t.Fatalf("the follower ended with %d: %s", code, lastLines(said, 3))
	}
	var text strings.Builder
	for decoder := json.NewDecoder(strings.NewReader(said)); decoder.More(); {
		var piece struct {
			Offset int
			Text   string
		}
		if err := decoder.Decode(&piece); err != nil {
			p.t.Fatal(err)
		}
		if piece.Offset != text.Len() {
			p.t.Fatalf("a piece stands at %d, after %d bytes", piece.Offset, text.Len())
		}
		text.WriteString(piece.Text)
	}
	return text.String()
}

func TestAFollowedLogIsWholeThoughTheServerIsKilled(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |` + printer}).watch()
	s.reaches(1, "long", "running")
	follower := s.follows("long")
	random := moments(t)
	for range 3 {
		lets(time.Duration(random.IntN(500)) * time.Millisecond)
		s.crashServer("--no-worker")
	}
	s.ends(1, "passed")
	var want strings.Builder
	for n := 1000; n < 41_000; n++ {
		fmt.Fprintf(&want, "line %d.\n", n)
	}
	if got := follower.followed(); got != want.String() {
		t.Errorf("%d bytes were followed, of %d", len(got), want.Len())
	}
	if got := s.log(1, "long", 0); got != want.String() {
		t.Errorf("the log has %d bytes, of %d", len(got), want.Len())
	}
}

func TestAFollowedLogIsWholeThoughItsWorkerIsKilled(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |` + stuck + `      if [ "$TOWPATH_ATTEMPT" = 2 ]; then exit; fi
`}).watch()
	s.reaches(1, "long", "running")
	follower := s.follows("long", "--attempt", "1")
	s.killsWorkerIn("long")
	s.startWorker()
	s.ends(1, "passed")
	const want = "attempt 1\ntowpath: the worker was killed while this step ran\n"
	if got := follower.followed(); got != want {
		t.Errorf("followed %q", got)
	}
	if got := s.log(1, "long", 1); got != want {
		t.Errorf("the log is %q", got)
	}
}

func TestAnyPartOfALogIsPrintedAndFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker", "--log-limit", "3MB")
	s.startWorker()
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |
      seq -f "Line %.0f" 100000
      head -c 30000000 /dev/zero | tr '\0' x
      echo; seq 900000; echo the end
`}).watch()
	s.ends(1, "passed")
	text := s.log(1, "long", 0)
	for _, part := range []string{"\nLine 100000\nxxx", "MB of this line not kept: a line is limited to 1 MB\n1\n2\n", "MB not kept: the log is limited to 3 MB\n", "\n900000\nthe end\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("the log of %d bytes lacks %q", len(text), part)
		}
	}
	for flag, want := range map[string]string{
		"--lines=54321-54322": "Line 54321\nLine 54322\n", "--tail=2": "900000\nthe end\n", "--search=line 99999": "99999: Line 99999\n",
	} {
		part := s.start("part", "log", "long", "app#1", flag, "--server", "http://"+s.address, "--token", s.token())
		if code, said := part.result(); code != 0 || said != want {
			t.Errorf("%s: %d, %q", flag, code, said)
		}
	}
}
