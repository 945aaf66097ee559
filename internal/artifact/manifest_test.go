package artifact_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/artifact"
)

func TestAScanListsTheTree(t *testing.T) {
	dir := tree(t, map[string]string{"b/tool*": "run", "a.txt": "hello", "b/empty": ""})
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "nothing"), 0o755), os.Symlink("../a.txt", filepath.Join(dir, "b", "link"))); err != nil {
		t.Fatal(err)
	}
	want := artifact.Manifest{
		{Path: "a.txt", Kind: artifact.File, Size: 5, Digest: artifact.DigestOf([]byte("hello"))},
		{Path: "b/empty", Kind: artifact.File, Digest: artifact.DigestOf(nil)},
		{Path: "b/link", Kind: artifact.Link, Target: "../a.txt"},
		{Path: "b/tool", Kind: artifact.Executable, Size: 3, Digest: artifact.DigestOf([]byte("run"))},
		{Path: "nothing", Kind: artifact.Folder},
	}
	got := scan(t, dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	decoded, err := artifact.DecodeManifest(got.Encode())
	if diff := cmp.Diff(got, decoded); diff != "" || err != nil {
		t.Error(diff, err)
	}
	some, err := artifact.Scan(t.Context(), artifact.Selection{Dir: dir, Patterns: []string{"b/**"}})
	if err != nil || len(some) != 3 || some[0].Path != "b/empty" {
		t.Errorf("of b/**: %v, %v", some, err)
	}
}

func TestAHostileManifestIsRefused(t *testing.T) {
	file := "file 1 " + strings.Repeat("a", 64) + " "
	for _, lines := range []string{
		file + `"../x"`, file + `"/x"`, file + `"a/../b"`, file + `"a//b"`, file + `"."`, file + `""`, file + `"a\x00"`, file + `"\xff"`,
		file + `"b"` + "\n" + file + `"a"`, file + `"a"` + "\n" + file + `"a"`, // order, twice
		file + `"a"` + "\n" + file + `"a.b"` + "\n" + file + `"a/b"`, // below a file
		`link "x" "a"` + "\n" + file + `"a/b"`,                       // through a link
		`link "../x" "a"`, `link "/x" "a"`, `link "" "a"`, `link "d/.." "a"`, `link "../../x" "d/a"`,
		"file -1 " + strings.Repeat("a", 64) + ` "a"`, "file 01 " + strings.Repeat("a", 64) + ` "a"`,
		"file 1 " + strings.Repeat("A", 64) + ` "a"`, "file 1 abc \"a\"", `pipe "a"`, "file", "",
		file + "`a`", file + `"\u0061"`,
		"file 9223372036854775807 " + strings.Repeat("a", 64) + ` "a"` + "\n" + file + `"b"`,
	} {
		m, err := artifact.DecodeManifest([]byte("towpath-manifest 1\n" + lines + "\n"))
		if err == nil {
			t.Errorf("%s was taken as %v", lines, m)
		}
	}
}

func TestVerifyNamesTheFirstDifference(t *testing.T) {
	for name, change := range map[string]func(dir string){
		"c":  func(dir string) { put(t, filepath.Join(dir, "c"), "other") },
		"b":  func(dir string) { _ = os.Remove(filepath.Join(dir, "b")) },
		"aa": func(dir string) { put(t, filepath.Join(dir, "aa"), "new") },
		"a":  func(dir string) { _ = os.Chmod(filepath.Join(dir, "a"), 0o755) },
	} {
		dir := tree(t, map[string]string{"a": "1", "b": "2", "c": "3"})
		m := scan(t, dir)
		change(dir)
		err := artifact.Verify(t.Context(), dir, m)
		if !errors.Is(err, artifact.ErrMismatch) || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	sum := artifact.DigestOf([]byte("x"))
	m := artifact.Manifest{
		{Path: "a b", Kind: artifact.File, Size: 1, Digest: sum},
		{Path: "d", Kind: artifact.Folder},
		{Path: "l\n", Kind: artifact.Link, Target: "a b"},
		{Path: "ü", Kind: artifact.Executable, Digest: sum},
	}
	f.Add(m.Encode())
	f.Add([]byte("towpath-manifest 1\nlink \"../x\" \"a\"\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := artifact.DecodeManifest(content)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), content) || !slices.IsSortedFunc(m, func(a, b artifact.Entry) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("taken, and written otherwise: %q", content)
		}
		for _, e := range m {
			if !filepath.IsLocal(e.Path) || e.Kind == artifact.Link && !filepath.IsLocal(filepath.Join(filepath.Dir(e.Path), e.Target)) {
				t.Errorf("leads out: %+v", e)
			}
		}
	})
}
