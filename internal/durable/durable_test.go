package durable

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAFileIsReplacedWholeAndNothingIsLeftBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	for _, content := range []string{"one", "two, which is longer"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("read %q, %v; want %q", got, err, content)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Fatalf("%d files in the folder, want 1", len(entries))
	}
}

func TestALockBelongsToOneHolderAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("a second lock answered %v, want ErrHeld", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = Lock(path); err != nil {
		t.Fatal(err)
	}
	_ = unlock()
}

func TestWhoWaitsForALockGetsItOnceItIsFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancelCause(t.Context())
	cancel(errImpatient)
	if _, err := AwaitLock(impatient, path); !errors.Is(err, ErrHeld) || !errors.Is(err, errImpatient) {
		t.Fatalf("waiting in vain answered %v, want ErrHeld and the cause", err)
	}
	taken := make(chan error)
	go func() {
		next, err := AwaitLock(t.Context(), path)
		if err == nil {
			err = next()
		}
		taken <- err
	}()
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
}

var errImpatient = errors.New("impatient")

func TestALockThatIsGivenBackMeanwhileIsHad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = unlock() })
	again, err := LockSoon(path)
	if err != nil {
		t.Fatalf("the lock was given back, and answered %v", err)
	}
	_ = again()
}
