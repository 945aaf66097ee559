package store_test

import (
	"bufio"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/internal/store"
)

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "towpath.db")
	var acknowledged []string
	for range 8 {
		acknowledged = append(acknowledged, writeAndKill(t, path, 1+rand.IntN(2000))...)
	}
	view(t, openAt(t, path), func(tx *store.Tx) error {
		for _, name := range acknowledged {
			if value, err := tx.Setting(name); value != "written" {
				t.Errorf("%s was acknowledged and is lost (%v)", name, err)
			}
		}
		return nil
	})
}

// writeAndKill lets a process write until it has acknowledged n updates, kills it, and answers all that it had
// acknowledged by then.
func writeAndKill(t *testing.T, path string, n int) (acknowledged []string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), crashes+"="+path)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(output)
	for {
		line, err := reader.ReadString('\n')
		if err == io.EOF {
			break // a line without its end was cut by the kill
		}
		acknowledged = append(acknowledged, line[:len(line)-1])
		if len(acknowledged) == n {
			_ = command.Process.Kill()
		}
	}
	_ = command.Wait() // it was killed
	if len(acknowledged) < n {
		t.Fatalf("the writer ended after %d of %d updates", len(acknowledged), n)
	}
	return acknowledged
}
