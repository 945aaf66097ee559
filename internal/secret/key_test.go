package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath/internal/secret"
)

func newKeys(t testing.TB) (secret.Keys, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	keys, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys, path
}

func TestASealedValueOpensOnlyInItsRow(t *testing.T) {
	keys, _ := newKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		row := rapid.String().Draw(t, "row")
		sealed, err := keys.Seal(row, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Open(row, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened %q, %v", got, err)
		}
		if _, err := keys.Open(row+"x", sealed); !errors.Is(err, secret.ErrTampered) {
			t.Fatalf("in another row: %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1
		if _, err := keys.Open(row, sealed); err == nil {
			t.Fatal("a changed value was opened")
		}
	})
}

func TestTheKeyFileSurvivesRestartsAndRotation(t *testing.T) {
	keys, path := newKeys(t)
	old, err := keys.Seal("r", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := secret.Rotate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := secret.LoadOrCreate(path)
	if err != nil || len(again) != 2 {
		t.Fatalf("%d keys, %v", len(again), err)
	}
	if got, err := again.Open("r", old); err != nil || string(got) != "value" {
		t.Errorf("with the older key: %q, %v", got, err)
	}
	renewed, err := rotated.Seal("r", []byte("value"))
	if err != nil || again.IsCurrent(old) || !again.IsCurrent(renewed) {
		t.Errorf("the newest key seals, %v", err)
	}
	if _, err := keys.Open("r", renewed); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("without the newer key: %v", err)
	}
}

func TestAKeyFileThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access is the folder's matter there
	}
	_, path := newKeys(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("made with mode %s, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.LoadOrCreate(path); !errors.Is(err, secret.ErrExposed) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestABadKeyFileIsRefusedAndNotShown(t *testing.T) {
	for _, content := range []string{"", "towpath-key-1 dG9vIHNob3J0", "hunter2hunter2", "towpath-key-1 " + strings.Repeat("%", 44)} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := secret.LoadOrCreate(path)
		if !errors.Is(err, secret.ErrBadKeyFile) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", content, err)
		}
		if kept, _ := os.ReadFile(path); string(kept) != content {
			t.Errorf("%q was changed to %q", content, kept)
		}
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	keys, path := newKeys(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(content))
	material := fields[len(fields)-1]
	for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
		if shown := fmt.Sprintf(verb, keys); strings.Contains(shown, material) || len(shown) > 60 {
			t.Errorf("%s prints %s", verb, shown)
		}
	}
}
