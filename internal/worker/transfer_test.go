//go:build unix

package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/worker"
)

// perConnection is how many bytes a connection carries before it is cut.
const perConnection = 1 << 20

// cargo is trees of bytes that cannot be compressed: one of many small files, and one of a large one.
func cargo(t *testing.T) (dirs map[string]string, size int64) {
	t.Helper()
	dirs, size = map[string]string{}, 12<<20
	if testing.Short() {
		size = 4 << 20
	}
	for name, files := range map[string]int64{"small": 1000, "large": 1} {
		dirs[name] = t.TempDir()
		content := make([]byte, size/files)
		for i := range files {
			_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(files)}).Read(content)
			file := filepath.Join(dirs[name], fmt.Sprintf("d%d", i/100), fmt.Sprintf("f%d", i))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dirs, size
}

func (s *site) through(address string) worker.Options {
	s.t.Helper()
	s.renewEvery = 1 // so that it does not count for much
	o := s.options()
	c, err := client.New(address, "key")
	if err != nil {
		s.t.Fatal(err)
	}
	o.Client, o.Slots = c, 1 // so that none asks for a step in vain while one runs
	return o
}

// atMost fails when more than the size travelled: what was on its way when a connection was cut may travel again, and calls
// need a little themselves.
func atMost(t *testing.T, what string, came, size int64) {
	t.Helper()
	if most := size + size/4 + 200_000; came > most || came < size {
		t.Errorf("%s: %d bytes travelled for %d", what, came, size)
	}
	t.Logf("%s: %.3f of the size", what, float64(came)/float64(size))
}

func sameAs(dir string) string { return "diff -r " + dir + " dist && echo the same" }

func TestWhatIsCutAgainAndAgainTravelsOnce(t *testing.T) {
	t.Parallel()
	dirs, size := cargo(t)
	for name, dir := range dirs {
		s := newSite(t)
		w := newWay(t, s.address, perConnection)
		end := s.start(s.through(w.url()))
		kept := s.kept("cp -r "+dir+" dist", "dist")
		up, _, cuts := w.came()
		atMost(t, name+" up", up, size)
		if want := int(size / perConnection / 2); cuts < want {
			t.Errorf("%d cuts, and not %d or more", cuts, want)
		}
		_ = end(worker.ErrDrain)

		s.data = t.TempDir()
		s.start(s.through(w.url()))
		if log := s.logUsing(sameAs(dir), kept...); log != "the same\n" {
			t.Errorf("%s: %s", name, log)
		}
		_, down, cuts := w.came()
		atMost(t, name+" down", down, size)
		if want := int(size / perConnection / 2); cuts < want {
			t.Errorf("%d cuts, and not %d or more", cuts, want)
		}
	}
}

func TestWhatCameBeforeTheServerRestartedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	dirs, size := cargo(t)
	s := newSite(t)
	w := newWay(t, s.address, 1<<40)
	w.hang(size / 2)
	end := s.start(s.through(w.url()))
	l := s.step("cp -r " + dirs["large"] + " dist")
	l.Keeps = []string{"dist"}
	ref := s.offer(l)
	s.restarts(w, filepath.Join(s.trees.dir, "incoming"), size/2)
	kept := s.awaitReport(ref).Artifacts
	up, _, _ := w.came()
	atMost(t, "up", up, size)
	_ = end(worker.ErrDrain)

	s.data = t.TempDir()
	w.hang(size / 2)
	s.start(s.through(w.url()))
	l = s.step(sameAs(dirs["large"]))
	l.Uses = kept
	ref = s.offer(l)
	s.restarts(w, filepath.Join(s.data, "artifacts"), size/2)
	if report := s.awaitReport(ref); report.State != "passed" {
		t.Errorf("%+v\n%s", report, s.logOf(ref))
	}
	_, down, _ := w.came()
	atMost(t, "down", down, size)
}

// restarts has the server go away when half has travelled, and come back.
func (s *site) restarts(w *way, arrivesIn string, bytes int64) {
	s.t.Helper()
	<-w.hangs
	s.awaitPart(arrivesIn, bytes)
	s.goAway()
	s.trees.restart()
	s.comeBack()
	w.letGo()
}

// awaitPart waits until most of what has travelled stands in a folder: what is on its way is lost with either side.
func (s *site) awaitPart(arrivesIn string, bytes int64) {
	s.t.Helper()
	eventually(s.t, "what has travelled has arrived", func() bool {
		parts, _ := filepath.Glob(filepath.Join(arrivesIn, "*.part"))
		info, err := os.Stat(strings.Join(parts, ""))
		return err == nil && info.Size() > bytes*9/10
	})
}

func TestWhatCameBeforeTheWorkerWasStoppedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	dirs, size := cargo(t)
	s := newSite(t)
	w := newWay(t, s.address, 1<<40)
	script := "cp -r " + dirs["small"] + " dist"
	s.stopsInTheMiddle(w, size/2, filepath.Join(s.trees.dir, "incoming"), func(l *client.StepLease) {
		l.Script, l.Keeps = script, []string{"dist"}
	})
	end := s.start(s.through(w.url()))
	kept := s.kept(script, "dist")
	up, _, _ := w.came()
	atMost(t, "up", up, size)
	_ = end(worker.ErrDrain)

	s.data = t.TempDir()
	s.stopsInTheMiddle(w, size/2, filepath.Join(s.data, "artifacts"), func(l *client.StepLease) { l.Uses = kept })
	s.start(s.through(w.url()))
	if log := s.logUsing(sameAs(dirs["small"]), kept...); log != "the same\n" {
		t.Error(log)
	}
	_, down, _ := w.came()
	atMost(t, "down", down, size)
	if left, _ := filepath.Glob(filepath.Join(s.data, "artifacts", "*.part")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// stopsInTheMiddle runs a step whose worker is stopped when so many bytes have travelled, most of which stand in a folder.
func (s *site) stopsInTheMiddle(w *way, bytes int64, arrivesIn string, change func(*client.StepLease)) {
	s.t.Helper()
	w.hang(bytes)
	end := s.start(s.through(w.url()))
	l := s.step("true")
	change(l)
	ref := s.offer(l)
	<-w.hangs
	s.awaitPart(arrivesIn, bytes)
	_ = end(nil)
	s.giveToAnother(ref)
	w.letGo()
}

// TestAByteThatIsChangedOnTheWayIsSeen cannot say what of it is sent again: where the byte was one of HTTP's own, it is but
// another cut.
func TestAByteThatIsChangedOnTheWayIsSeen(t *testing.T) {
	t.Parallel()
	dirs, size := cargo(t)
	s := newSite(t)
	w := newWay(t, s.address, perConnection)
	w.flip(size / 2)
	end := s.start(s.through(w.url()))
	kept := s.kept("cp -r "+dirs["large"]+" dist", "dist")
	if !w.hasFlipped() {
		t.Error("no byte was changed on the way up")
	}
	_ = end(worker.ErrDrain)

	s.data = t.TempDir()
	w.came()
	w.flip(size / 2)
	s.start(s.through(w.url()))
	if said := s.logUsing(sameAs(dirs["large"]), kept...); said != "the same\n" {
		t.Error(said)
	}
	if !w.hasFlipped() {
		t.Error("no byte was changed on the way down")
	}
}

// TestAProxyThatTakesNoLargeBodies stands for those that hand nothing on before they have all of it, and not more than so
// much.
func TestAProxyThatTakesNoLargeBodies(t *testing.T) {
	t.Parallel()
	dirs, _ := cargo(t)
	s := newSite(t)
	s.start(s.through(s.takingLittle(nil)))
	kept := s.kept("cp -r "+dirs["large"]+" dist", "dist")
	d, err := artifact.ParseDigest(kept[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.trees.store.Manifest(d); err != nil {
		t.Error(err)
	}
}

// TestAPackThatIsRefusedAgainAndAgainFailsItsStep has one byte of every part changed on the way.
func TestAPackThatIsRefusedAgainAndAgainFailsItsStep(t *testing.T) {
	t.Parallel()
	dirs, _ := cargo(t)
	s := newSite(t)
	s.start(s.through(s.takingLittle(func(part []byte) { part[len(part)/2] ^= 1 })))
	l := s.step("cp -r " + dirs["large"] + " dist")
	l.Keeps = []string{"dist"}
	if report, _ := s.result(l); report.State != "failed" || !strings.Contains(report.Reason, "artifact dist: refused as invalid") {
		t.Errorf("%+v", report)
	}
}

// takingLittle is a proxy that takes no large bodies, and may change the parts of packs.
func (s *site) takingLittle(change func(part []byte)) (address string) {
	t := s.t
	t.Helper()
	server, err := url.Parse(s.url())
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(server)
	behind.ErrorLog = log.New(io.Discard, "", 0) // of who hangs up as the test ends
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, perConnection))
		if err != nil {
			http.Error(rw, "413 Request Entity Too Large", http.StatusRequestEntityTooLarge)
			return
		}
		if change != nil && len(body) > 0 && strings.Contains(r.URL.Path, "/uploads/") {
			change(body)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		behind.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

func TestAServerOfTheReleaseBeforeTakesAndGivesPacksInOnePiece(t *testing.T) {
	t.Parallel()
	dirs, _ := cargo(t)
	s := newSite(t)
	s.trees.isOld = true
	end := s.start(s.options())
	kept := s.kept("cp -r "+dirs["small"]+" dist", "dist")
	_ = end(worker.ErrDrain)
	s.data = t.TempDir()
	s.start(s.options())
	if log := s.logUsing(sameAs(dirs["small"]), kept...); log != "the same\n" {
		t.Error(log)
	}
}
