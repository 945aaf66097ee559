//go:build unix

package worker_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/worker"
)

// trees is the server's store of artifacts.
type trees struct {
	t      testing.TB
	dir    string
	store  *artifact.Store
	isOld  bool // of the release that takes and gives packs in one piece
	served int  // packs
}

func newTrees(t testing.TB) *trees {
	t.Helper()
	s := &trees{t: t, dir: t.TempDir()}
	s.restart()
	t.Cleanup(func() { s.store.Close() })
	return s
}

// restart has the store know only what stands on its disk.
func (s *trees) restart() {
	s.t.Helper()
	if s.store != nil {
		s.store.Close()
	}
	var err error
	if s.store, err = artifact.OpenStore(s.dir, artifact.Options{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *trees) routes(mux *http.ServeMux, prefix string) {
	mux.HandleFunc("POST "+prefix+"missing", s.missing)
	mux.HandleFunc("POST "+prefix+"lacking", s.lacking)
	mux.HandleFunc("POST "+prefix+"packs", s.putPack)
	mux.HandleFunc("PUT "+prefix+"uploads/{pack}", s.putPart)
	mux.HandleFunc("GET "+prefix+"packs/{digest}", s.pack)
	mux.HandleFunc("PUT "+prefix+"manifests/{digest}", s.putManifest)
	mux.HandleFunc("GET "+prefix+"manifests/{digest}", s.manifest)
}

func (s *trees) missing(w http.ResponseWriter, r *http.Request) {
	var digests []artifact.Digest
	if err := json.NewDecoder(r.Body).Decode(&digests); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	answer(w, s.store.Missing(digests))
}

// lacking does what the real server does.
func (s *trees) lacking(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(r.Body)
	if s.isOld || err != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	for digest := range slices.Chunk(question, sha256.Size) {
		_, _ = w.Write([]byte{byte(len(s.store.Missing([]artifact.Digest{artifact.Digest(digest)})))})
	}
}

func (s *trees) putPack(w http.ResponseWriter, r *http.Request) {
	if err := s.store.PutPack(r.Context(), r.Body); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
	}
}

// putPart does what the real server does.
func (s *trees) putPart(w http.ResponseWriter, r *http.Request) {
	pack, err := artifact.ParseDigest(r.PathValue("pack"))
	offset, wrong := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if s.isOld || err != nil || wrong != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	upload := s.store.Upload("worker", pack)
	defer upload.Close()
	if r.ContentLength == 0 {
		upload.Settle(r.Context())
	}
	if size, stored, err := upload.Standing(); err == nil && !stored && size == offset {
		if r.URL.Query().Has("more") {
			err = upload.Append(offset, r.Body)
		} else {
			err = upload.Finish(r.Context(), offset, r.Body)
		}
		if errors.Is(err, artifact.ErrMalformed) || errors.Is(err, artifact.ErrMismatch) {
			refuse(w, http.StatusUnprocessableEntity, "invalid")
			return
		}
	}
	var stands client.PackUpload
	stands.Offset, stands.Stored, _ = upload.Standing()
	answer(w, stands)
}

func (s *trees) putManifest(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err == nil {
		_, err = s.store.PutManifest(content)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
	}
}

func (s *trees) wanted(w http.ResponseWriter, r *http.Request) (artifact.Manifest, bool) {
	d, err := artifact.ParseDigest(r.PathValue("digest"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return nil, false
	}
	m, err := s.store.Manifest(d)
	if errors.Is(err, artifact.ErrNotFound) {
		refuse(w, http.StatusNotFound, "not_found")
		return nil, false
	}
	return m, err == nil
}

func (s *trees) manifest(w http.ResponseWriter, r *http.Request) {
	if m, ok := s.wanted(w, r); ok {
		_, _ = w.Write(m.Encode())
	}
}

func (s *trees) pack(w http.ResponseWriter, r *http.Request) {
	m, ok := s.wanted(w, r)
	if !ok {
		return
	}
	s.served++
	stream, err := s.store.Stream(m.Digests())
	if err != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	offset := int64(0)
	if r.URL.Query().Get("stream") == stream.Identity().String() && !s.isOld {
		offset, _ = strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	}
	if !s.isOld {
		w.Header().Set(client.HeaderStream, stream.Identity().String())
		w.Header().Set(client.HeaderOffset, strconv.FormatInt(offset, 10))
	}
	if stream.WriteFrom(r.Context(), w, offset) != nil {
		panic(http.ErrAbortHandler)
	}
}

func (s *site) kept(script string, paths ...string) []client.Artifact {
	s.t.Helper()
	l := s.step(script)
	l.Keeps = paths
	report, log := s.result(l)
	if report.State != "passed" || len(report.Artifacts) != len(paths) {
		s.t.Fatalf("%+v\n%s", report, log)
	}
	return report.Artifacts
}

func (s *site) logUsing(script string, uses ...client.Artifact) string {
	s.t.Helper()
	l := s.step(script)
	l.Uses = uses
	_, log := s.result(l)
	return log
}

func TestAnArtifactBeyondTheServersLimitsIsNotSent(t *testing.T) {
	s := working(t)
	for reason, change := range map[string]func(*client.StepLease){
		"artifact dist: over the limit: it has 3 files, and may have 2 (artifact_files in the server's settings)":                    func(l *client.StepLease) { l.ArtifactFiles = 2 },
		"artifact dist: over the limit: its files have 6 kB together, and may have 5.9 kB (artifact_limit in the server's settings)": func(l *client.StepLease) { l.ArtifactLimit = 5900 },
	} {
		l := s.step("mkdir dist; for name in a b c; do head -c 2000 /dev/zero >dist/$name; done")
		l.Keeps = []string{"dist"}
		change(l)
		if report, _ := s.result(l); report.State != "failed" || report.Reason != reason {
			t.Errorf("%+v, want %q", report, reason)
		}
	}
	if packs, _ := filepath.Glob(filepath.Join(s.trees.dir, "packs", "*")); len(packs) > 0 {
		t.Errorf("the server has %q", packs)
	}
	s.kept("mkdir dist; echo small >dist/a", "dist")
}

const list = `find . -path ./.git -prune -o -type f -print | sort | while read f; do echo "$f $(cat "$f")"; done`

func TestArtifactsStandAgainWhereTheyWere(t *testing.T) {
	s := working(t)
	kept := s.kept("mkdir -p dist/js empty out; echo a >dist/a; echo b >dist/js/b; chmod +x dist/a; echo c >out/c", "dist/", "./out")
	if kept[0].Path != "dist" || kept[0].Files != 2 || kept[0].Size != 4 || kept[0].Step != "step 1" || kept[0].Platform == "" {
		t.Errorf("%+v", kept[0])
	}
	log := s.logUsing(list+"; test -x dist/a; ! test -x dist/js/b", kept...)
	want := "./dist/a a\n./dist/js/b b\n./greeting hello from the repository\n./out/c c\n"
	if log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
	if s.trees.served != 0 {
		t.Error("what the worker had itself was asked for")
	}
}

func TestArtifactsReachAnotherWorkerAndAreAskedForOnce(t *testing.T) {
	s := newSite(t)
	end := s.start(s.options())
	kept := s.kept("mkdir dist; echo a >dist/a", "dist")
	_ = end(worker.ErrDrain)
	s.data = t.TempDir()
	s.start(s.options())
	for range 2 {
		if log := s.logUsing("cat dist/a", kept...); log != "a\n" {
			t.Errorf("log %q", log)
		}
	}
	if s.trees.served != 1 {
		t.Errorf("asked for %d times", s.trees.served)
	}
}

func TestADamagedCopyOfAnArtifactIsFetchedAnew(t *testing.T) {
	s := working(t)
	kept := s.kept("mkdir dist; echo good >dist/a", "dist")
	packs, _ := filepath.Glob(filepath.Join(s.data, "artifacts", "*.pack"))
	if len(packs) != 1 {
		t.Fatal(packs)
	}
	content, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-2] ^= 1
	if err := os.WriteFile(packs[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	if log := s.logUsing("cat dist/a", kept...); log != "good\n" || s.trees.served != 1 {
		t.Errorf("log %q, asked for %d times", log, s.trees.served)
	}
}

func TestAnArtifactReplacesWhatTheRepositoryHasThere(t *testing.T) {
	s := newSite(t)
	if err := os.MkdirAll(filepath.Join(s.repository, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.commit("web/source", "s")
	s.start(s.options())
	web := s.kept("echo built >web/bundle; rm web/source", "web")
	if log := s.logUsing(list, web...); log != "./greeting hello from the repository\n./web/bundle built\n" {
		t.Errorf("log %q", log)
	}
	whole := s.kept("rm greeting; echo new >file", ".")
	if log := s.logUsing(list+"; git status --porcelain", whole...); log != "./file new\n./web/source s\n D greeting\n?? file\n" {
		t.Errorf("log %q", log)
	}
	other := s.kept("echo over >web/bundle; echo more >web/more", "web")
	log := s.logUsing(list, append(web, other...)...)
	if log != "./greeting hello from the repository\n./web/bundle over\n./web/more more\n./web/source s\n" {
		t.Errorf("log %q", log)
	}
}

func TestWhatCannotBeKeptFailsTheStepWithAReason(t *testing.T) {
	s := working(t)
	tests := []struct{ script, keep, reason string }{
		{"true", "dist/", "artifact dist/: the script did not leave such a folder"},
		{"touch dist", "dist", "artifact dist: it is a file; name the folder that holds it"},
		{"ln -s / dist", "dist", "artifact dist: the path leads out of the workspace by a link"},
		{"true", "../x", "artifact ../x: the path leads out of the workspace"},
		{"mkdir dist; mkfifo dist/pipe", "dist", "pipe"},
	}
	for _, tt := range tests {
		l := s.step(tt.script)
		l.Keeps = []string{tt.keep}
		report, _ := s.result(l)
		if report.State != "failed" || !strings.Contains(report.Reason, tt.reason) || report.Artifacts != nil {
			t.Errorf("%s: %+v", tt.script, report)
		}
	}
}

func TestAnArtifactCannotBePlacedOutsideTheWorkspace(t *testing.T) {
	s := newSite(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(s.repository, "link")); err != nil {
		t.Fatal(err)
	}
	s.commit("other", "x")
	s.start(s.options())
	kept := s.kept("mkdir dist; echo a >dist/a", "dist")[0]
	for _, path := range []string{"link/dist", "../dist", "/tmp/dist", ".git", ".git/hooks"} {
		kept.Path = path
		if log := s.logUsing("echo ran", kept); strings.Contains(log, "ran") || !strings.Contains(log, "artifact "+path) {
			t.Errorf("%s: log %q", path, log)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside holds %v (%v)", entries, err)
	}
}
