package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tailLimit bounds what Tail reads, in bytes.
const tailLimit = 4 << 20

// output is the log of an instance. The child writes straight into the file, so that a supervisor's death neither
// breaks its output nor stops it; the price is that the file can only be put aside by copying it and cutting it to
// nothing, in which a byte written between the last read and the cut (microseconds, once every MaxBytes) is lost.
type output struct {
	dir    string
	limits Log
}

func (o output) path(age int) string {
	if age == 0 {
		return filepath.Join(o.dir, logFile)
	}
	return filepath.Join(o.dir, logFile+"."+strconv.Itoa(age))
}

// open returns the file for a child. Appending makes every write go to the end, also after the file was cut.
func (o output) open() (*os.File, error) {
	file, err := os.OpenFile(o.path(0), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return file, nil
}

// rotate puts the file aside when it has grown over its limit.
func (o output) rotate() error {
	info, err := os.Stat(o.path(0))
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() <= o.limits.MaxBytes {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	if o.limits.Files > 1 {
		err = o.putAside()
	} else {
		err = os.Truncate(o.path(0), 0)
	}
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	return nil
}

func (o output) putAside() error {
	for age := o.limits.Files - 1; age > 1; age-- {
		if err := os.Rename(o.path(age-1), o.path(age)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	from, err := os.OpenFile(o.path(0), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	aside, err := os.OpenFile(o.path(1), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(aside, from)
	if closed := aside.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return from.Truncate(0)
}

// Tail returns the last n lines that an instance wrote, without their line ends, the oldest first. It looks at the
// last 4 MiB, and needs no supervisor.
func Tail(dir string, n int) ([]string, error) {
	o := output{dir: dir}
	var text []byte
	for age := 0; ; age++ {
		if bytes.Count(text, []byte("\n")) > n || len(text) >= tailLimit {
			break
		}
		older, err := readEnd(o.path(age), int64(tailLimit-len(text)))
		if errors.Is(err, os.ErrNotExist) && age > 0 {
			break
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read log: %w", err)
		}
		text = slices.Concat(older, text)
	}
	return lastLines(string(text), n), nil
}

func readEnd(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(info.Size()-most, 0)
	return io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
}

func lastLines(text string, n int) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" || n <= 0 {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(len(lines)-n, 0):]
}
