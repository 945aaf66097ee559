// Package service has a program run as a service of the machine: started when it starts, and again when it ends. It writes
// the definition that systemd, launchd or Windows takes, enables it, and takes it away again.
package service

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unit is a program that runs as a service. What it started is left alone when it is stopped or started again.
type Unit struct {
	Name        string   // [a-z-]+
	Description string   // one line
	Command     []string // absolute path, and arguments; nothing in it is secret
	Path        string   // PATH that the program has
	Data        string   // folder that it may write its complaints to, where the system does not keep them
	User        bool     // it is the caller's own, and runs while they are signed in; else the machine's
	As          string   // account that it runs as; empty is the caller's, or root
	Groups      bool     // it makes control groups of its own, with limits (systemd's Delegate=)
}

// File is a definition, and where it belongs.
type File struct {
	Path string // absolute
	Text string
}

// step is a command of the system, in words for people.
type step []string

func (s step) String() string { return strings.Join(s, " ") }

// run carries commands out one after the other.
func run(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if out, err := exec.CommandContext(ctx, s[0], s[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", s, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// write puts a definition in its place.
func (f File) write() error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", f.Path, err)
	}
	if err := os.WriteFile(f.Path, []byte(f.Text), 0o644); err != nil { //nolint:gosec // the system reads it, and it holds no secret
		return fmt.Errorf("write the definition of the service: %w", err)
	}
	return nil
}

// described is a definition and what is done with it, for people.
func described(f File, steps []step) string {
	var text strings.Builder
	text.WriteString("# " + f.Path + "\n" + f.Text)
	for _, s := range steps {
		text.WriteString("# then: " + s.String() + "\n")
	}
	return text.String()
}
