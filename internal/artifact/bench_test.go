package artifact_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
)

// BenchmarkArtifact keeps and fetches a tree through the store, beside what tar does to move it.
func BenchmarkArtifact(b *testing.B) {
	trees := map[string]func() string{
		"2000-files": func() string { return tree(b, many(2000)) },
		"256-MB":     func() string { return tree(b, map[string]string{"image": string(random(256<<20, 5))}) },
	}
	for name, make := range trees {
		dir := make()
		b.Run(name, func(b *testing.B) {
			var keeping, fetching, tarring time.Duration
			for b.Loop() {
				at := b.TempDir()
				begun := time.Now()
				store := openStore(b, at, artifact.Options{})
				m := scan(b, dir)
				from, to := io.Pipe()
				go func() { to.CloseWithError(artifact.WritePack(b.Context(), to, dir, m, m.Digests())) }()
				if err := store.PutPack(b.Context(), from); err != nil {
					b.Fatal(err)
				}
				if _, err := store.PutManifest(m.Encode()); err != nil {
					b.Fatal(err)
				}
				keeping += time.Since(begun)
				begun = time.Now()
				from, to = io.Pipe()
				go func() { to.CloseWithError(store.Pack(b.Context(), to, m.Digests())) }()
				if err := artifact.Unpack(b.Context(), from, m, filepath.Join(at, "tree"), artifact.Limits{}); err != nil {
					b.Fatal(err)
				}
				fetching += time.Since(begun)
				begun = time.Now()
				tar(b, dir, filepath.Join(at, "tarred"))
				tarring += time.Since(begun)
				b.StopTimer()
				if err := os.RemoveAll(at); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			n := float64(b.N)
			b.ReportMetric(keeping.Seconds()*1e3/n, "ms-keep")
			b.ReportMetric(fetching.Seconds()*1e3/n, "ms-fetch")
			b.ReportMetric(tarring.Seconds()*1e3/n, "ms-tar")
			b.ReportMetric((keeping+fetching).Seconds()/tarring.Seconds(), "x-tar")
		})
	}
}

// tar packs a folder into a durable file, and unpacks that.
func tar(b *testing.B, from, to string) {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", `mkdir -p "$2" && tar cf "$2.tar" -C "$1" . && sync "$2.tar" && tar xf "$2.tar" -C "$2"`, "-", from, to)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v\n%s", err, out.Bytes())
	}
}
