package web_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

// TestAPackComesAndGoesInPartsWhoseOffsetsAreTheServers sends one through the real server, with what a worker might get
// wrong about it.
func TestAPackComesAndGoesInPartsWhoseOffsetsAreTheServers(t *testing.T) {
	h := newHouse(t)
	folder := filepath.Join(h.TempDir(), "shop")
	must(t, os.MkdirAll(folder, 0o700))
	h.git(folder, "init", "-q", "-b", "main")
	h.commit(folder, "towpath.yaml", "pipeline: shop\nsteps: [{build: site, run: make, artifacts: dist}, {test: check, run: make check}]\n", "begin")
	h.add(client.NewProject{URL: folder, Name: "shop"})
	w := h.worker("north-1")
	h.run("shop")
	job := w.takes("site")
	at := job.ArtifactsOfLease(job.LeaseRef)
	m, named, pack := packed(t)
	stands := func(got client.PackUpload, err error, want client.PackUpload) {
		t.Helper()
		if must(t, err); got != want {
			t.Fatalf("the upload stands at %+v, wanted %+v", got, want)
		}
	}
	part := func(offset int64, content []byte) (client.PackUpload, error) {
		return at.AppendPack(t.Context(), named, offset, bytes.NewReader(content))
	}
	isMissing(t, at, m, true)
	got, err := part(0, nil)
	stands(got, err, client.PackUpload{})
	got, err = part(0, pack[:1000])
	stands(got, err, client.PackUpload{Offset: 1000})
	for _, offset := range []int64{0, 999, 1001, 1 << 40} {
		got, err = part(offset, []byte("nonsense"))
		stands(got, err, client.PackUpload{Offset: 1000})
	}
	if _, err = part(-1, nil); err == nil || !strings.Contains(err.Error(), "offset") {
		t.Errorf("an offset below 0: %v", err)
	}
	if _, err := at.FinishPack(t.Context(), "sha256:short", 0, http.NoBody); err == nil {
		t.Error("a pack without a name was taken")
	}
	other := h.worker("north-2")
	if _, err := other.ArtifactsOfLease(job.LeaseRef).AppendPack(t.Context(), named, 1000, http.NoBody); err == nil {
		t.Error("another worker may look at the upload")
	}
	_, err = at.FinishPack(t.Context(), named, 1000, bytes.NewReader(append([]byte{pack[1000] ^ 1}, pack[1001:]...)))
	if code := codeOf(err); code != "invalid" {
		t.Errorf("a wrong byte: %v", err)
	}
	got, err = part(0, nil) // all of it is gone
	stands(got, err, client.PackUpload{})
	got, err = at.FinishPack(t.Context(), named, 0, bytes.NewReader(pack))
	stands(got, err, client.PackUpload{Stored: true})
	isMissing(t, at, m, false)
	must(t, at.PutManifest(t.Context(), m.Digest().String(), bytes.NewReader(m.Encode())))
	must(t, job.Finish(t.Context(), job.LeaseRef, client.StepReport{State: "passed", Artifacts: []client.Artifact{
		{Step: "site", Digest: m.Digest().String(), Path: "dist", Platform: "linux/amd64"},
	}}))

	checks := w.takes("check")
	comesDown(t, checks.ArtifactsOfLease(checks.LeaseRef), m.Digest().String(), pack)
}

// isMissing holds which digests the server says that it does not hold: those of a tree, or not, and always another one.
func isMissing(t *testing.T, at client.Artifacts, m artifact.Manifest, whole bool) {
	t.Helper()
	other := artifact.DigestOf([]byte("never stored")).String()
	asked, want := []string{other}, []string{other, other}
	for _, d := range m.Digests() {
		asked = append(asked, d.String())
	}
	asked = append(asked, other)
	if whole {
		want = asked
	}
	got, err := at.Missing(t.Context(), asked)
	if must(t, err); !slices.Equal(got, want) {
		t.Errorf("missing are %v, wanted %v", got, want)
	}
	for _, wrong := range []string{"sha256:short", "md5", "sha256:" + strings.Repeat("0", 62)} {
		if _, err := at.Missing(t.Context(), []string{wrong}); codeOf(err) != "invalid" {
			t.Errorf("the digest %q: %v", wrong, err)
		}
	}
}

// packed answers a tree of one file, with the pack that holds it and its name.
func packed(t *testing.T) (m artifact.Manifest, named string, pack []byte) {
	t.Helper()
	content, dir := make([]byte, 200_000), t.TempDir()
	_, _ = rand.Read(content)
	must(t, os.WriteFile(filepath.Join(dir, "index.html"), content, 0o600))
	m, err := artifact.Scan(t.Context(), artifact.Selection{Dir: dir})
	must(t, err)
	packing, err := artifact.NewPacking(dir, m, m.Digests())
	must(t, err)
	var written bytes.Buffer
	must(t, packing.WriteFrom(t.Context(), &written, 0))
	return m, packing.Digest().String(), written.Bytes()
}

// comesDown holds that a pack comes as it went up, from its beginning and from any place in it.
func comesDown(t *testing.T, from client.Artifacts, manifest string, pack []byte) {
	t.Helper()
	whole, err := from.Pack(t.Context(), manifest, client.PackPlace{})
	must(t, err)
	came, err := io.ReadAll(whole)
	if must(t, err); !bytes.Equal(came, pack) {
		t.Fatal("it came down otherwise than it went up")
	}
	for _, offset := range []int64{1, 100_000, int64(len(pack))} {
		rest, err := from.Pack(t.Context(), manifest, client.PackPlace{Stream: whole.Stream(), Offset: offset})
		must(t, err)
		came, err := io.ReadAll(rest)
		if must(t, err); !bytes.Equal(came, pack[offset:]) {
			t.Errorf("from %d: %d bytes, or others", offset, len(came))
		}
	}
	stale, err := from.Pack(t.Context(), manifest, client.PackPlace{Stream: "sha256:other", Offset: 1000})
	must(t, err)
	if came, err := io.ReadAll(stale); !errors.Is(err, client.ErrOtherStream) || len(came) > 0 {
		t.Errorf("another stream: %d bytes, %v", len(came), err)
	}
}
