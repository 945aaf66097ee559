package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatWouldBeInstalledHoldsTheFlagsAndNeverTheToken(t *testing.T) {
	data := filepath.Join(t.TempDir(), "barge")
	t.Setenv("HOME", t.TempDir())
	got := call(t, "worker", "install", "--user", "--dry-run", "--server", "https://towpath.example.com", "--token", "twr_secret",
		"--data", data, "--name", "barge-7", "--slots", "4", "--label", "gpu")
	if got.code != ExitDone {
		t.Fatalf("it ended with %d: %s", got.code, got.err)
	}
	for _, word := range []string{
		"https://towpath.example.com", data, "barge-7", "4", "gpu", filepath.Join(data, "registration.token"), os.Getenv("HOME"),
	} {
		if !strings.Contains(got.out, word) {
			t.Errorf("%q is not in it:\n%s", word, got.out)
		}
	}
	if strings.Contains(got.out, "twr_secret") {
		t.Errorf("the token is in it:\n%s", got.out)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data folder was made (%v)", err)
	}
}

func TestAMachinesWorkerNeedsAnAccount(t *testing.T) {
	if got := call(t, "worker", "install", "--dry-run"); got.code != ExitUsage || !strings.Contains(got.err, "--as NAME") {
		t.Errorf("it answered %+v", got)
	}
}

func TestAWorkerReadsItsTokenFromAFile(t *testing.T) {
	wish := workerWish{tokenFile: filepath.Join(t.TempDir(), "token")}
	if o, err := wish.options(); err != nil || o.Token != "" {
		t.Errorf("a file that is gone: %q, %v", o.Token, err)
	}
	if err := os.WriteFile(wish.tokenFile, []byte("twr_once\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := wish.options(); err != nil || o.Token != "twr_once" {
		t.Errorf("it was read as %q, %v", o.Token, err)
	}
}
