package steplog_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/steplog"
)

// TestMain lets the test binary play the server that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TOWPATH_TEST_APPEND"); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

// appendForEver goes on where the log ends, with the same lines over and over, and prints each size that was
// acknowledged.
func appendForEver(dir string) {
	store, err := steplog.NewStore(dir)
	if err != nil {
		panic(err)
	}
	l, err := store.Create(name)
	if err != nil {
		panic(err)
	}
	lines := numbered(0, 20_000)
	for {
		from := l.Size()
		rest := lines[from%int64(len(lines)):]
		end, err := l.Append(from, rest[:min(len(rest), 1+rand.IntN(300_000))], noon)
		if err != nil {
			panic(err)
		}
		fmt.Println(end)
	}
}

func TestAKillAtAnyMomentLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	lines := numbered(0, 20_000)
	for range 15 {
		acknowledged := appendAndKill(t, dir)
		store := openStore(t, dir)
		l := create(t, store)
		if l.Size() < acknowledged {
			t.Fatalf("%d bytes are left of %d acknowledged", l.Size(), acknowledged)
		}
		for rest := content(t, l); len(rest) > 0; {
			n := min(len(rest), len(lines))
			if !bytes.Equal(rest[:n], lines[:n]) {
				t.Fatal("other bytes than were appended")
			}
			rest = rest[n:]
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// appendAndKill runs the appending process for a random while, and returns the last size it acknowledged.
func appendAndKill(t *testing.T, dir string) (acknowledged int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TOWPATH_TEST_APPEND="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if lines.Scan() {
		acknowledged, _ = strconv.ParseInt(strings.TrimSpace(lines.Text()), 10, 64)
	}
	killer := time.AfterFunc(rand.N(30*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	for lines.Scan() {
		if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
			acknowledged = n
		}
	}
	_ = cmd.Wait()
	return acknowledged
}
