//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cachedFile prints what its cache brought, and leaves who wrote it last.
const cachedFile = `
pipeline: app
on: {push: {branches: ["**"]}}
concurrency: parallel
steps:
  - build: all
    run: |
      test -e deps/from && echo "found $(cat deps/from) of $(cat deps/lock)" || echo "found nothing"
      mkdir -p deps
      echo "$TOWPATH_BRANCH" > deps/from
      cp lock deps/lock
    cache: {key: 'deps-{{os}}-{{hash "lock"}}', paths: deps, restore: 'deps-{{os}}-'}
`

// pushTo pushes files to a branch, which begins where main is unless it is there already.
func (r *repository) pushTo(branch string, files tree) {
	r.Helper()
	r.git(r.work, "checkout", "--quiet", "-B", branch)
	for name, content := range files {
		r.must(os.WriteFile(filepath.Join(r.work, name), []byte(content), 0o600))
	}
	r.git(r.work, "add", "--all")
	r.git(r.work, "commit", "--quiet", "--allow-empty", "-m", "On "+branch)
	r.git(r.work, "push", "--quiet", "--force", "origin", branch)
	r.git(r.work, "checkout", "--quiet", "main")
}

// restores waits until a run has passed, and holds its log to what it found.
func (s *site) restores(run int, found string, more ...string) {
	s.Helper()
	s.ends(run, "passed")
	log := s.log(run, "all", 0)
	for _, want := range append(more, "found "+found+"\n") {
		if !strings.Contains(log, want) {
			s.Errorf("no %q in the log of run %d:\n%s", want, run, log)
		}
	}
}

func TestACacheIsReadByEveryBranchAndAProtectedOneReadsNothingOfAnothers(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	r := s.newRepository("app", tree{"towpath.yaml": cachedFile, "lock": "1"}).watch()
	s.restores(1, "nothing", ": missed", ": kept (2 files")
	r.pushTo("feature", tree{"lock": "1"})
	s.restores(2, "main of 1", ": restored from deps-linux-")
	r.pushTo("feature", tree{"lock": "2"})
	s.restores(3, "main of 1", ": restored from deps-linux-", ": kept (2 files")
	r.pushTo("feature", tree{"lock": "2", "version": "the next"})
	s.restores(4, "feature of 2")

	r.push(tree{"lock": "2"})
	s.restores(5, "main of 1", ": kept (2 files")
	r.push(tree{"version": "another"})
	s.restores(6, "main of 2")

	if _, said := s.towpath("cache", "app"); strings.Count(said, "protected") != 2 || strings.Count(said, "branch/feature") != 1 {
		t.Errorf("towpath cache says:\n%s", said)
	}
	s.damagesArtifacts()
	r.push(tree{"version": "a third"})
	s.restores(7, "nothing", ": not restored: ")
	if code, said := s.towpath("cache", "clear", "app"); code != 0 || !strings.Contains(said, "3 entries") {
		t.Errorf("towpath cache clear says:\n%s", said)
	}
	r.push(tree{"version": "a fourth"})
	s.restores(8, "nothing", ": missed", ": kept")
}

// damagesArtifacts writes over the end of every pack that the server has, and takes away those that the worker has itself.
func (s *site) damagesArtifacts() {
	s.Helper()
	packs, err := filepath.Glob(filepath.Join(s.data, "artifacts", "packs", "*.pack"))
	s.must(err)
	for _, pack := range packs {
		content, err := os.ReadFile(pack)
		s.must(err)
		for i := len(content) - 1; i >= len(content)-2; i-- {
			content[i] ^= 0xff
		}
		s.must(os.WriteFile(pack, content, 0o600))
	}
	own, err := filepath.Glob(filepath.Join(s.workerData(), "steps", "artifacts", "*"))
	s.must(err)
	for _, file := range own {
		s.must(os.Remove(file))
	}
	if len(packs) == 0 || len(own) == 0 {
		s.Fatalf("there are %d packs, and %d files of the worker's own", len(packs), len(own))
	}
}
