package apart

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAKilledProcessLeftIsSweptAtTheNextStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, leave, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(left.Dir, "host", "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(os.TempDir())
	if _, err := os.Stat(left.Dir); err != nil {
		t.Fatalf("swept while its owner lives: %v", err)
	}
	if err := leave(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	next, leave, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if _, err := os.Stat(left.Dir); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
	if next.Dir == left.Dir || next.Group != filepath.Base(next.Dir) {
		t.Errorf("%+v", next)
	}
}
