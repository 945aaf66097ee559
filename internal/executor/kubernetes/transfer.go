package kubernetes

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/util/exec"
)

const (
	// transferTries is how often something is carried while the API is there, and it breaks off all the same.
	transferTries = 3
	// carryLimit is how long the step's files may take, in either direction. The pod has its own programs for that, which
	// may be made to send for ever.
	carryLimit = time.Hour
	// mostSaid is how much of a helper's complaint is told, in bytes.
	mostSaid = 1000
	// streamPause is how long a stream that broke waits before the next.
	streamPause = 500 * time.Millisecond
)

// again does something that is carried through the API until it works, or the pod says that it does not. It waits for an API
// that is away.
func (r *running) again(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	for tries := 0; ; {
		err := do(ctx)
		var status exec.CodeExitError
		if err == nil || errors.As(err, &status) || errors.Is(err, errForeign) {
			return err
		}
		if !r.isAway(ctx) {
			tries++
		}
		if tries >= transferTries {
			return err
		}
		select {
		case <-time.After(streamPause):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// isAway says whether the API does not answer, or not yet.
func (r *running) isAway(ctx context.Context) bool {
	return errors.Is(r.get(ctx, pods, r.pod, nil), ErrNoCluster)
}

// bring carries the step's folders and variables into its pod, and lets its script begin.
func (r *running) bring(ctx context.Context) error {
	env, err := environment(r.script.Env)
	if err != nil {
		return err
	}
	return r.again(ctx, carryLimit, func(ctx context.Context) error { return r.bringOnce(ctx, env) })
}

func (r *running) bringOnce(ctx context.Context, env []byte) error {
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := r.pack(writer, env)
		packed <- err
		_ = writer.CloseWithError(err)
	}()
	var said complaint
	err := r.exec(ctx, r.pod, helperContainer, streams{in: reader, err: &said}, "sh", "-c", takeScript, "sh", controlFolder, outputFolder)
	_ = reader.CloseWithError(errUnread)
	if failed := <-packed; failed != nil && !errors.Is(failed, errUnread) {
		return failed
	}
	return said.with(err)
}

// errUnread ends the packing of what nobody reads.
var errUnread = errors.New("the pod takes no more")

// pack writes everything that the step finds in its pod.
func (r *running) pack(to io.Writer, env []byte) error {
	p := packer{to: tar.NewWriter(to), uid: int(r.box.UID), gid: int(r.box.GID)}
	if err := p.pack(r.there(r.script)); err != nil {
		return err
	}
	header := tar.Header{Name: controlFolder + "/env", Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(env))}
	if err := p.put(header, bytes.NewReader(env)); err != nil {
		return err
	}
	return p.to.Close()
}

// fetch carries the folders back.
func (r *running) fetch(ctx context.Context) error { return r.again(ctx, carryLimit, r.fetchOnce) }

func (r *running) fetchOnce(ctx context.Context) error {
	folders := r.back(r.script)
	command := []string{"sh", "-c", giveScript, "sh"}
	for _, folder := range folders {
		command = append(command, "."+folder)
	}
	reader, writer := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := unpack(reader, folders, r.places(r.script))
		if err == nil {
			_, err = io.Copy(io.Discard, reader) // tar fills its last block
		}
		_ = reader.CloseWithError(err)
		unpacked <- err
	}()
	var said complaint
	err := said.with(r.exec(ctx, r.pod, helperContainer, streams{out: writer, err: &said}, command...))
	_ = writer.CloseWithError(err)
	return errors.Join(<-unpacked, err)
}

// complaint is the beginning of what a helper's command says of its troubles. A stream that was given up may still write.
type complaint struct {
	mutex sync.Mutex
	text  []byte
}

func (c *complaint) Write(text []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.text = append(c.text, text[:min(len(text), mostSaid-len(c.text))]...)
	return len(text), nil
}

// with adds it to how the command ended.
func (c *complaint) with(err error) error {
	text := c.String()
	if err == nil || text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}

func (c *complaint) String() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return string(bytes.TrimSpace(c.text))
}

// output is what a script prints, with how much of it has come. Output that cannot be written is read on.
type output struct {
	to io.Writer

	mutex  sync.Mutex
	come   int64
	err    error
	stream int // of those so far, the one that may write
}

// part is the output as one stream brings it. A stream that was given up may still write, and no longer does.
type part struct {
	*output
	stream int
}

// begin answers the next stream, and from which byte on it is to come, counted from 1.
func (o *output) begin() (part, int64) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.stream++
	return part{o, o.stream}, o.come + 1
}

func (p part) Write(text []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.stream != p.output.stream {
		return 0, errUnread
	}
	p.come += int64(len(text))
	if p.err == nil {
		_, p.err = p.to.Write(text)
	}
	return len(text), nil
}

// end lets no stream write any more, and answers why not all was written.
func (o *output) end() error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.stream++
	return o.err
}

func (r *running) show(ctx context.Context, script string, said io.Writer) error {
	to, from := r.output.begin()
	return r.exec(ctx, r.pod, helperContainer, streams{out: to, err: said}, "sh", "-c", script, "sh", outputFolder, strconv.FormatInt(from, 10))
}

// showRest fails as long as less has come than there is: a stream may end early and say nothing.
func (r *running) showRest(ctx context.Context) error {
	var said complaint
	if err := r.show(ctx, restScript, &said); err != nil {
		return said.with(err)
	}
	size, err := strconv.ParseInt(said.String(), 10, 64)
	if _, next := r.output.begin(); err == nil && next-1 < size {
		err = fmt.Errorf("%d bytes of %d have come", next-1, size)
	}
	return err
}

// print writes what the script prints until ctx ends. A stream that breaks is taken up at the byte where it broke.
func (r *running) print(ctx context.Context) error {
	for ctx.Err() == nil {
		_ = r.show(ctx, tellScript, io.Discard)
		select {
		case <-time.After(streamPause):
		case <-ctx.Done():
		}
	}
	return nil
}

// printRest writes what has not come when the script has ended, and answers why not all was written.
func (r *running) printRest() error {
	if err := r.again(r.life, awayLimit, r.showRest); err != nil {
		err = fmt.Errorf("the end of the step's output did not come: %w", err)
		return errors.Join(r.output.end(), err)
	}
	return r.output.end()
}
