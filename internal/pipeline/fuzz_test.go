package pipeline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath"
)

// FuzzParse promises: whatever the bytes, there is a file or an error with a place, never a panic; and what a right file
// expands to is right.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"right", "wrong"} {
		paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds in %s: %v", folder, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, seed := range []string{
		"a: &x [*x]", "<<: *a", "<<: [1, {a: b}]", "? a\n: b", "a: !!binary x", "- - - -", "&a &b c: d", "\"\\x", "a: |9\n b", "{a: b,, c}",
		"%YAML 9\n---\na", "\ufeffpipeline: a", "steps: [{<<: {run: a}, script: b}]", "a:\n  - b\n c", "? |\n a\n: b", "[a]: b", "{}: b", "*a : b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse("towpath.yaml", data)
		if (file == nil) != (problems.Errors() > 0) {
			t.Fatalf("file %v with %d errors", file != nil, problems.Errors())
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("without a place or words: %+v", p)
			}
		}
		if file == nil {
			return
		}
		expandsToItself(t, string(data))
		if _, err := file.Pipeline(towpath.Change{Branch: "main", Message: "x"}); err != nil && towpath.CodeOf(err) != towpath.CodeInvalid {
			t.Error(err)
		}
	})
}
