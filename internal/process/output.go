package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// drainLimit is how long a process that escaped its group may keep our end of a pipe busy after its leader ended.
const drainLimit = time.Second

// How much is read at a time. Who fills the first buffer writes a lot, and gets a larger one, with a pipe that holds as
// much: else writer and reader wait for each other at every step.
const (
	firstBuffer = 32 << 10
	largeBuffer = 256 << 10
)

// output carries what a process writes from a pipe to a writer.
type output struct {
	reader, inner *os.File
	writer        io.Writer
	done          chan error
}

// connect gives cmd its standard output and error, by pipes where the writers are not files.
func connect(cmd *exec.Cmd, stdout, stderr io.Writer) ([]*output, error) {
	var outputs []*output
	attach := func(w io.Writer) (io.Writer, error) {
		file, isFile := w.(*os.File)
		if w == nil || isFile {
			return fileOrNothing(file), nil
		}
		o, err := newOutput(w)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, o)
		return o.inner, nil
	}
	var err error
	if cmd.Stdout, err = attach(stdout); err != nil {
		return nil, err
	}
	if isSame(stdout, stderr) {
		cmd.Stderr = cmd.Stdout
		return outputs, nil
	}
	if cmd.Stderr, err = attach(stderr); err != nil {
		closeAll(outputs)
		return nil, err
	}
	return outputs, nil
}

func fileOrNothing(file *os.File) io.Writer {
	if file == nil {
		return nil
	}
	return file
}

// isSame compares two writers; those of a type that cannot be compared count as different.
func isSame(a, b io.Writer) (same bool) {
	defer func() { _ = recover() }()
	return a != nil && a == b
}

func newOutput(w io.Writer) (*output, error) {
	reader, inner, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	return &output{reader: reader, inner: inner, writer: w, done: make(chan error, 1)}, nil
}

func closeAll(outputs []*output) {
	for _, o := range outputs {
		_ = o.reader.Close()
		_ = o.inner.Close()
	}
}

// start closes our copy of the end that the process writes to, and begins to copy.
func (o *output) start() {
	_ = o.inner.Close()
	go func() { o.done <- o.copy() }()
}

// copy reads to the end even when the writer fails: a full pipe would block the process for ever.
func (o *output) copy() error {
	buffer := make([]byte, firstBuffer)
	var failed error
	write := func(p []byte) {
		if failed == nil && len(p) > 0 {
			_, failed = o.writer.Write(p)
		}
	}
	for {
		n, err := o.reader.Read(buffer)
		write(buffer[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			write(rest(o.reader))
		}
		if err != nil {
			break
		}
		if n == firstBuffer && len(buffer) == firstBuffer {
			enlarge(o.reader, largeBuffer)
			buffer = make([]byte, largeBuffer)
		}
	}
	if failed != nil {
		return fmt.Errorf("write output: %w", failed)
	}
	return nil
}

// finish waits for the last bytes. What was written before the process ended is in the pipe, so that only somebody
// who escaped the group can still hold it open; that one is waited for no longer than drainLimit.
func finish(outputs []*output) error {
	var failed error
	for _, o := range outputs {
		// Where deadlines are not supported the copy ends with the pipe's last holder.
		_ = o.reader.SetReadDeadline(time.Now().Add(drainLimit))
		failed = errors.Join(failed, <-o.done)
		_ = o.reader.Close()
	}
	return failed
}
