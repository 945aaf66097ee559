package steplog_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/steplog"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openSpool(t *testing.T, dir string, c *clock) *steplog.Spool {
	t.Helper()
	s, err := steplog.OpenSpool(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func print(t *testing.T, s *steplog.Spool, text string) {
	t.Helper()
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
}

// send brings everything from the spool to the log, as a worker does.
func send(t *testing.T, s *steplog.Spool, l *steplog.Log) {
	t.Helper()
	for {
		changed := s.Changed()
		chunk, more, err := s.Next(s.Acknowledged(), 64<<10, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(chunk.Data) > 0:
			end, err := l.Append(chunk.Offset, chunk.Data, chunk.At)
			if err := errors.Join(err, s.Acknowledge(end)); err != nil {
				t.Fatal(err)
			}
		case !more:
			return
		default:
			<-changed
		}
	}
}

func TestASpoolBringsEveryByteToTheServer(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	dir := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, dir, &clock{at: noon})
	want := numbered(0, 20_000)
	var step sync.WaitGroup
	step.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 12_345)
			print(t, s, string(rest[:n]))
			rest = rest[n:]
		}
		s.End()
	})
	send(t, s, l)
	step.Wait()
	if got := content(t, l); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d arrived", len(got), len(want))
	}
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestASpoolGoesOnAfterItsWorkerDied(t *testing.T) {
	dir := t.TempDir()
	c := &clock{at: noon}
	s := openSpool(t, dir, c)
	print(t, s, "one\n")
	if err := s.Acknowledge(4); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Minute)
	print(t, s, "two\n") // and nobody closes it

	again := openSpool(t, dir, c)
	defer again.Close()
	if again.Acknowledged() != 4 || again.Size() != 8 {
		t.Errorf("acknowledged %d of %d", again.Acknowledged(), again.Size())
	}
	print(t, again, "three\n")
	chunk, more, err := again.Next(4, 100, nil)
	if err != nil || !more || string(chunk.Data) != "two\nthree\n" || !chunk.At.Equal(noon.Add(time.Minute)) {
		t.Errorf("next %q of %s, %v", chunk.Data, chunk.At, err)
	}
}

func TestWhatWasPrintedMinutesAgoIsSentWithItsOwnTime(t *testing.T) {
	c := &clock{at: noon}
	s := openSpool(t, t.TempDir(), c)
	defer s.Close()
	for _, line := range []string{"a\n", "b\n", "c\n"} {
		print(t, s, line)
		c.advance(time.Minute)
	}
	for i, want := range []string{"a\n", "b\n", "c\n"} {
		chunk, _, err := s.Next(int64(2*i), 100, nil)
		if err != nil || string(chunk.Data) != want || !chunk.At.Equal(noon.Add(time.Duration(i)*time.Minute)) {
			t.Errorf("chunk %d: %q at %s, %v", i, chunk.Data, chunk.At, err)
		}
	}
	if err := s.Acknowledge(100); !errors.Is(err, steplog.ErrConflict) {
		t.Errorf("acknowledging what never was: %v", err)
	}
}

func TestASpoolThatIsResetIsANewOne(t *testing.T) {
	dir, c := t.TempDir(), &clock{at: time.Now()}
	s := openSpool(t, dir, c)
	print(t, s, "of the first step\n")
	if err := errors.Join(s.Acknowledge(5), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, dir, c)
	s.End()
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	if chunk, more, err := s.Next(0, 100, nil); len(chunk.Data) > 0 || !more || err != nil || s.Size() != 0 || s.Acknowledged() != 0 {
		t.Errorf("%q, %v, %v of %d bytes, %d of them acknowledged", chunk.Data, more, err, s.Size(), s.Acknowledged())
	}
	c.advance(time.Hour)
	print(t, s, "second\n")
	for _, spool := range []*steplog.Spool{s, openSpool(t, dir, c)} {
		chunk, _, err := spool.Next(0, 100, nil)
		if string(chunk.Data) != "second\n" || !chunk.At.Equal(c.now().Truncate(time.Millisecond)) || err != nil {
			t.Errorf("%q of %s, %v", chunk.Data, chunk.At, err)
		}
	}
}
