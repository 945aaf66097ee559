package artifact_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
)

// TestMain lets the test binary play the server that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TOWPATH_TEST_STORE"); dir != "" {
		if err := storeForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// storeForEver stores trees, sweeps them now and then, and prints the digest of each that was acknowledged.
func storeForEver(dir string) error {
	ctx := context.Background()
	store, err := artifact.OpenStore(dir, artifact.Options{Grace: time.Nanosecond})
	if err != nil {
		return err
	}
	for round := 0; ; round++ {
		source, err := os.MkdirTemp(filepath.Dir(dir), "source")
		if err != nil {
			return err
		}
		for i := range 20 {
			content := random(1+rand.IntN(60_000), rand.Uint64N(60_000))
			if err := os.WriteFile(filepath.Join(source, fmt.Sprint(i)), content, 0o600); err != nil {
				return err
			}
		}
		d, err := storeTree(ctx, store, source)
		if err != nil {
			return err
		}
		fmt.Println(d)
		if round%3 == 2 { // and forget half of what is there, which is said first
			if err := forgetSome(ctx, store); err != nil {
				return err
			}
		}
	}
}

func storeTree(ctx context.Context, store *artifact.Store, dir string) (artifact.Digest, error) {
	m, err := artifact.Scan(ctx, artifact.Selection{Dir: dir})
	if err != nil {
		return artifact.Digest{}, err
	}
	var packed bytes.Buffer
	if err := artifact.WritePack(ctx, &packed, dir, m, store.Missing(m.Digests())); err != nil {
		return artifact.Digest{}, err
	}
	if err := store.PutPack(ctx, &packed); err != nil {
		return artifact.Digest{}, err
	}
	return store.PutManifest(m.Encode())
}

func forgetSome(ctx context.Context, store *artifact.Store) error {
	fmt.Println("sweeping")
	_, err := store.Sweep(ctx, isKept)
	return err
}

func isKept(d artifact.Digest) bool { return d[0]%2 == 0 }

func TestAKillAtAnyMomentLosesNoTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	acknowledged := make(map[artifact.Digest]bool)
	for range 12 {
		storeAndKill(t, dir, acknowledged)
		store := openStore(t, dir, artifact.Options{})
		for d := range acknowledged {
			m, err := store.Manifest(d)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Pack(t.Context(), io.Discard, m.Digests()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var last artifact.Digest
	for d := range acknowledged {
		last = d
	}
	fetch(t, openStore(t, dir, artifact.Options{}), last)
	t.Logf("%d trees", len(acknowledged))
}

// storeAndKill runs the storing process for a random while, and notes what it acknowledged and did not forget.
func storeAndKill(t *testing.T, dir string, acknowledged map[artifact.Digest]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TOWPATH_TEST_STORE="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var killer *time.Timer
	for lines.Scan() {
		if killer == nil {
			killer = time.AfterFunc(rand.N(300*time.Millisecond), func() { _ = cmd.Process.Kill() })
			defer killer.Stop()
		}
		if d, err := artifact.ParseDigest(lines.Text()); err == nil {
			acknowledged[d] = true
			continue
		}
		for d := range acknowledged {
			if !isKept(d) {
				delete(acknowledged, d)
			}
		}
	}
	_ = cmd.Wait()
}
