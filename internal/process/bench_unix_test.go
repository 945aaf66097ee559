//go:build unix

package process_test

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/towpath-cd/towpath/internal/process"
)

func BenchmarkPlainExec(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartAndWait(b *testing.B) {
	for b.Loop() {
		runTrue(b, process.GroupOptions{})
	}
}

func BenchmarkStartAndWaitMarked(b *testing.B) {
	n := 0
	for b.Loop() {
		n++
		runTrue(b, process.GroupOptions{Handle: "marked:bench" + strconv.Itoa(n)})
	}
}

func runTrue(b *testing.B, group process.GroupOptions) {
	p, err := process.Start(b.Context(), process.Spec{Args: []string{"/bin/true"}, Group: group})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		b.Fatal(err)
	}
}
