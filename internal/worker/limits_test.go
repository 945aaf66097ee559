//go:build unix

package worker_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestALineThatIsTooLongIsCutAndCostsOnlyItself(t *testing.T) {
	s := working(t)
	report, log := s.result(s.step(`echo before; printf x%.0s {1..9}; head -c 5000000 /dev/zero | tr '\0' y; echo; echo after; ` +
		`head -c 1000000 /dev/zero | tr '\0' z; echo; head -c 1000001 /dev/zero | tr '\0' e`))
	lines := strings.Split(log, "\n")
	if report.State != "passed" || len(lines) != 5 || lines[0] != "before" || lines[2] != "after" {
		t.Fatalf("%d lines of %d bytes: %+v", len(lines), len(log), report)
	}
	const mark = " … 4 MB of this line not kept: a line is limited to 1 MB"
	if want := "xxxxxxxxx" + strings.Repeat("y", 999_991) + mark; lines[1] != want {
		t.Errorf("the long line has %d bytes, and ends with %q", len(lines[1]), lines[1][len(lines[1])-80:])
	}
	if lines[3] != strings.Repeat("z", 1_000_000) {
		t.Errorf("a line of just the limit has %d bytes", len(lines[3]))
	}
	if want := strings.Repeat("e", 1_000_000) + " … 1 bytes of this line not kept: a line is limited to 1 MB"; lines[4] != want {
		t.Errorf("the open line has %d bytes", len(lines[4]))
	}
}

func TestALogThatIsTooLongKeepsItsBeginningAndItsEnd(t *testing.T) {
	s := working(t)
	l := s.step(`for i in $(seq 20000); do echo "line $i"; done; exit 3`)
	l.LogLimit = 50_000
	report, log := s.result(l)
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if report.ExitCode != 3 || len(log) > 50_000+64_000+500 || int64(len(log)) != report.LogSize {
		t.Fatalf("%d bytes: %+v", len(log), report)
	}
	first := 0
	for lines[first] == fmt.Sprintf("line %d", first+1) {
		first++
	}
	if want := "… the log is limited to 50 kB: of what follows the last 64 kB are kept"; lines[first] != want {
		t.Fatalf("behind line %d stands %q", first, lines[first])
	}
	var left float64
	if n, err := fmt.Sscanf(lines[first+1], "… %f kB not kept: the log is limited to 50 kB", &left); n != 1 || err != nil {
		t.Fatalf("then stands %q", lines[first+1])
	}
	last := lines[first+2 : len(lines)-1]
	if len(last) < 5000 || lines[len(lines)-1] != "towpath: exited with status 3" {
		t.Fatalf("%d lines of the end, then %q", len(last), lines[len(lines)-1])
	}
	missing := 0
	for i := first + 1; i <= 20_000-len(last); i++ {
		missing += len(fmt.Sprintf("line %d\n", i))
	}
	if difference := float64(missing) - 1000*left; math.Abs(difference) > 1000 {
		t.Errorf("%g kB are said to be missing, and %d bytes are", left, missing)
	}
	for i, line := range last {
		if want := fmt.Sprintf("line %d", 20_000-len(last)+i+1); line != want {
			t.Fatalf("%q where %q should stand", line, want)
		}
	}
}

func TestALogThatIsLittleLongerThanItsLimitIsWhole(t *testing.T) {
	s := working(t)
	l := s.step(`for i in $(seq 1000); do echo "line $i"; done`)
	l.LogLimit = 2_000
	report, log := s.result(l)
	kept, found := "", 0
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "…") {
			found++
			continue
		}
		kept += line
	}
	want := ""
	for i := range 1000 {
		want += fmt.Sprintf("line %d\n", i+1)
	}
	if report.State != "passed" || kept != want || found != 1 {
		t.Errorf("%d marks, %d bytes of %d: %+v", found, len(kept), len(want), report)
	}
}

// TestALogNeverGoesBeyondWhatTheServerTakes has the limit be reached where that is furthest from it: the server of these
// tests complains.
func TestALogNeverGoesBeyondWhatTheServerTakes(t *testing.T) {
	s := working(t)
	for _, script := range []string{
		`head -c 99990 /dev/zero | tr '\0' '\n'; head -c 9000000 /dev/zero | tr '\0' x; head -c 9000000 /dev/zero | tr '\0' '\n'`,
		`for i in 1 2 3 4 5 6 7 8 9; do head -c 1500000 /dev/zero | tr '\0' x; echo; done; exit 3`,
	} {
		l := s.step(script)
		l.LogLimit = 100_000
		if report, log := s.result(l); len(log) < 100_000 || int64(len(log)) != report.LogSize {
			t.Errorf("%d bytes, %+v", len(log), report)
		}
	}
}
