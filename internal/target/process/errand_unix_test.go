//go:build unix

package process_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/target/errandtest"
)

func TestACommandOfAPersonRunsBesideAProcess(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{HTTP: "/", Rises: 1}))
	m.release.Env["production"]["GREETING"] = "it's $5"
	m.runs("r42-1")
	if err := os.WriteFile(filepath.Join(m.root, "files", "r42-1", "greeting"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	errandtest.Way{Target: m.Driver, Epoch: m.epoch, Release: m.release, Instance: m.sees("r42-1"), Token: "$ecret s"}.Run(t)
}
