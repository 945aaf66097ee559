package web_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

func TestThePipelineFilesOfARepositoryAreFound(t *testing.T) {
	h := newHouse(t)
	const file = "pipeline: shop\non: {push: true, tag: \"v*\", pull_request: true, schedule: \"0 4 * * *\", pipeline: lib, manual: true}\n" +
		"steps:\n  - {test: unit, run: make}\n"
	h.repository("shop", "towpath.yaml", file, ".towpath/nightly.yaml", "pipeline: nightly\nstepps: []\n", ".towpath/README.md", "no pipeline")
	found, err := h.owner.PipelineFiles(t.Context(), "shop")
	must(t, err)
	if len(found.Files) != 2 || found.Branch != "main" || len(found.Revision) != 40 {
		t.Fatalf("found are %+v", found)
	}
	wrong, right := found.Files[0], found.Files[1]
	if wrong.Path != ".towpath/nightly.yaml" || wrong.Pipeline != "" || !strings.Contains(wrong.Problems, "stepps") {
		t.Errorf("the wrong file is %+v", wrong)
	}
	want := []string{"pushes to main", "tags v*", "pull requests to main", "at 0 4 * * * UTC", "after lib", "by hand"}
	if right.Path != "towpath.yaml" || right.Pipeline != "shop" || !slices.Equal(right.Starts, want) {
		t.Errorf("the right file is %+v", right)
	}
	h.repository("empty", "README", "nothing yet")
	if found, err := h.owner.PipelineFiles(t.Context(), "empty"); err != nil || found.Files == nil || len(found.Files) > 0 {
		t.Errorf("in a repository without pipelines are found %+v, %v", found, err)
	}
	if _, err := h.owner.PipelineFiles(t.Context(), "gone"); !is(err, string(towpath.CodeNotFound)) {
		t.Errorf("of no project are found files: %v", err)
	}
}

// repository makes a project of files with their contents.
func (h *house) repository(name string, files ...string) {
	h.Helper()
	folder := filepath.Join(h.TempDir(), name)
	must(h.T, os.MkdirAll(filepath.Join(folder, ".towpath"), 0o700))
	h.git(folder, "init", "-q", "-b", "main")
	for i := 0; i < len(files); i += 2 {
		h.commit(folder, files[i], files[i+1], "add "+files[i])
	}
	h.add(client.NewProject{URL: folder, Name: name})
}
