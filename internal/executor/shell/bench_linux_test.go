package shell_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

// BenchmarkScript runs an empty script at each level. The helper of these tests is a smaller program than the shipped one.
func BenchmarkScript(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := shell.Confinement{Helper: confine.Helper{self, helperVerb}, UID: user, GID: user}
	apart := c
	apart.World = &confine.World{}
	for _, level := range []struct {
		name string
		way  executor.Executor
	}{{"none", shell.New()}, {"user", shell.New().Confined(c)}, {"namespaces", shell.New().Confined(apart)}} {
		b.Run(level.name, func(b *testing.B) {
			script := executor.Script{Text: "true", Dir: b.TempDir(), Scratch: b.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}
			for _, dir := range []string{script.Dir, script.Scratch} {
				if err := os.Chown(dir, user, user); err != nil {
					b.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Dir(script.Dir), 0o711); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if result, err := level.way.Run(b.Context(), script); err != nil || !result.Passed() {
					b.Fatal(result, err)
				}
			}
		})
	}
}
