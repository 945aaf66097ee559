package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// stage is a folder of one benchmark's own, with the binary in it, and the processes that were started there.
type stage struct {
	dir      string
	towpath  string // the binary that is measured
	self     string // this program, for the benchmark's own processes
	quick    bool
	progress io.Writer
	running  []*process
}

// newStage builds the binary as it is shipped. The folder's name is short, because sockets are made in it.
func newStage(ctx context.Context, name string, quick bool, progress io.Writer) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "tb-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the benchmark: %w", err)
	}
	s := &stage{dir: dir, towpath: filepath.Join(dir, "towpath"), self: self, quick: quick, progress: progress}
	s.say("building towpath")
	if err := s.build(ctx, s.towpath, "github.com/towpath-cd/towpath/cmd/towpath"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// build builds a program of this module.
func (s *stage) build(ctx context.Context, into, what string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", into, what)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", what, err, out)
	}
	return nil
}

// say tells how far it is, where figures do not go.
func (s *stage) say(format string, values ...any) {
	fmt.Fprintf(s.progress, format+"\n", values...)
}

// rounds answers how often something is done: fewer times where it has to be quick.
func (s *stage) rounds(full, quick int) int {
	if s.quick {
		return quick
	}
	return full
}

// path answers a place in the stage's folder.
func (s *stage) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// start runs a program whose errors go to a file of that name.
func (s *stage) start(name string, env []string, command ...string) (*process, error) {
	p, err := startProcess(s.path(name+".log"), s.dir, env, command)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.running = append(s.running, p)
	return p, nil
}

// startPart runs this program as one of the benchmark's own processes, and answers its address, which it prints first.
func (s *stage) startPart(name string, args ...string) (*process, string, error) {
	p, err := s.start(name, nil, append([]string{s.self}, args...)...)
	if err != nil {
		return nil, "", err
	}
	address, err := p.firstLine()
	return p, address, err
}

// close ends every process, the last one first, and what those left running in the folder; then the folder goes.
func (s *stage) close() error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		errs = append(errs, p.end())
	}
	errs = append(errs, endAllIn(s.dir), os.RemoveAll(s.dir))
	return errors.Join(errs...)
}

// freeAddress answers an address on this machine at which nobody listens.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// until waits for what another process does.
func until(ctx context.Context, what string, isTrue func() (bool, error)) error {
	return untilWithin(ctx, 30*time.Second, what, isTrue)
}

func untilWithin(ctx context.Context, limit time.Duration, what string, isTrue func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := isTrue()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}
