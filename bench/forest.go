package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// forest is a tree of files that is made anew for each round, so that nobody has seen its content before.
type forest struct {
	*stage
	name  string
	files int
	each  int // bytes of a file
}

// described is what a figure calls it.
func (f forest) described() string {
	return fmt.Sprintf("%d files, %.0f MB", f.files, float64(f.files)*float64(f.each)/1e6)
}

func (f forest) dir() string     { return f.path(f.name) }
func (f forest) archive() string { return f.path(f.name + ".tar") }

// grow writes the files, a hundred in a folder: text in which about half is not like what came before.
func (f forest) grow(round int) error {
	if err := os.RemoveAll(f.dir()); err != nil {
		return err
	}
	words := rand.NewChaCha8([32]byte{byte(round), byte(f.files), byte(f.files >> 8)})
	block := make([]byte, min(f.each, 1<<20))
	for i := range f.files {
		path := filepath.Join(f.dir(), fmt.Sprintf("d%d", i/100), fmt.Sprintf("f%d.txt", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := f.write(path, words, block); err != nil {
			return err
		}
	}
	return nil
}

func (f forest) write(path string, words *rand.ChaCha8, block []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for left := f.each; left > 0; left -= len(block) {
		if _, err := words.Read(block[:len(block)/2]); err != nil { // the other half stays as it was
			return err
		}
		if _, err := file.Write(block[:min(left, len(block))]); err != nil {
			return err
		}
	}
	return nil
}

// byTar packs the tree into an archive on the disk, durably as ours is when it is acknowledged, and unpacks that, in s.
func (f forest) byTar(ctx context.Context) (pack, unpack float64, err error) {
	if pack, err = timed(ctx, "sh", "-c", `tar -cf "$0" -C "$1" . && sync "$0"`, f.archive(), f.dir()); err != nil {
		return 0, 0, err
	}
	into := f.path(f.name + ".out")
	if err := os.MkdirAll(into, 0o700); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(into)
	defer os.Remove(f.archive())
	unpack, err = timed(ctx, "tar", "-xf", f.archive(), "-C", into)
	return pack, unpack, err
}

// byCopy copies the tree, in s.
func (f forest) byCopy(ctx context.Context) (float64, error) {
	into := f.path(f.name + ".copy")
	defer os.RemoveAll(into)
	return timed(ctx, "cp", "-r", f.dir(), into)
}

func timed(ctx context.Context, name string, args ...string) (seconds float64, err error) {
	began := time.Now()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return time.Since(began).Seconds(), nil
}

// peak ends the watch, and answers the most that it has been, in MB.
func (w *memoryWatch) peak() (float64, error) {
	close(w.stop)
	w.done.Wait()
	return w.most, w.failed
}
