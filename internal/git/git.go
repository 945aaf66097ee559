// Package git drives the git program (2.39 or newer): it asks remotes for their tips, keeps one bare mirror a
// repository, and checks revisions out of it.
//
// Nothing of the machine's or the user's git configuration is read, no hook runs, nothing asks at a terminal, and
// no name from outside can become an option or a command.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	defaultTimeout   = 10 * time.Minute
	defaultProtocols = "file:http:https:ssh"
	defaultSSH       = "ssh"
	excerptBytes     = 2 << 10
	killGrace        = 2 * time.Second
)

// Options say how the git program is run. The zero value is usable.
type Options struct {
	// Program is the path of git; by default it is searched in PATH.
	Program string
	// Timeout bounds each git process; 10 minutes by default. Its end is an [ErrTimeout].
	Timeout time.Duration
	// Protocols is the list of transports that may be used, separated by colons, of file, git, http, https and ssh;
	// "file:http:https:ssh" by default.
	Protocols string
	// PlainHTTP lets http reach other machines too, where everybody on the way reads the source and the password. Without
	// it http is for this machine itself.
	PlainHTTP bool
	// SSH is the program that opens SSH connections; by default ssh. It takes OpenSSH's options.
	SSH string
	// Scratch is a folder of this process alone, in which SSH keys stand while a call lasts; it is made when it is
	// missing. By default it is the system's folder for temporary files, in which nobody finds what a killed process left:
	// see ClearScratch.
	Scratch string
}

// Git runs the git program. It holds no state but open connections, and may be used by many goroutines.
type Git struct {
	program   string
	timeout   time.Duration
	env       []string
	protocols map[transport]bool
	plainHTTP bool
	ssh       string
	scratch   string
	web       *http.Client
}

// New returns a Git, or an error when there is no git program.
func New(options Options) (*Git, error) {
	name := orDefault(options.Program, "git")
	program, err := exec.LookPath(name)
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("find the git program: %w", err)
	}
	timeout := options.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	g := &Git{
		program: program, timeout: timeout, env: environment(), protocols: map[transport]bool{}, plainHTTP: options.PlainHTTP,
		ssh: orDefault(options.SSH, defaultSSH), scratch: options.Scratch, web: newWeb(),
	}
	for name := range strings.SplitSeq(orDefault(options.Protocols, defaultProtocols), ":") {
		g.protocols[transport(name)] = true
	}
	return g, nil
}

// Version returns what `git --version` says, such as "2.39.5".
func (g *Git) Version(ctx context.Context) (string, error) {
	out, err := g.output(ctx, command{doing: "ask git for its version", args: []string{"--version"}})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "git version "), nil
}

// environment is the process's own without any GIT_ variable, plus ours: an operator's GIT_DIR or GIT_TRACE must
// not reach into what we do, and nothing is asked by a program of theirs.
func environment() []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "GIT_") && name != "LC_ALL" && name != "SSH_ASKPASS" {
			env = append(env, pair)
		}
	}
	return append(env,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none", // but in a session
		"LC_ALL=C",
	)
}

// always is what git is told first in every call: nothing that a folder or a user's settings hold may name a program.
var always = []string{
	"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "core.attributesFile=" + os.DevNull,
	"-c", "gc.auto=0", "-c", "maintenance.auto=false",
}

// command is one run of git.
type command struct {
	doing string   // what it is for, the beginning of its error
	dir   string   // working directory; by default one that is in nobody's repository
	args  []string // after `git`
	env   []string // beyond the usual
	as    *session // for the remote that is asked; nil where none is
	stdin io.Reader
	holds *os.File                     // a lock that must last as long as the process and its children
	read  func(stdout io.Reader) error // reads standard output instead of collecting it
}

func (g *Git) run(ctx context.Context, c command) error {
	_, err := g.output(ctx, c)
	return err
}

func (g *Git) output(ctx context.Context, c command) ([]byte, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, g.timeout, ErrTimeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, g.program, slices.Concat(always, c.args)...)
	cmd.Dir, cmd.Stdin = orDefault(c.dir, filepath.Dir(g.program)), c.stdin
	cmd.Env = slices.Concat(g.env, c.env)
	if c.as != nil {
		cmd.Env = append(cmd.Env, c.as.env...)
	}
	cmd.WaitDelay = killGrace
	stderr := &tail{limit: excerptBytes}
	cmd.Stderr = stderr
	ownGroup(cmd)
	inherit(cmd, c.holds)
	out, err := collect(cmd, c.read)
	if err == nil {
		return out, nil
	}
	if bounded.Err() != nil {
		err = context.Cause(bounded)
	}
	return nil, explain(c.doing, err, c.as.masked(stderr.String()))
}

// collect runs cmd and returns its standard output, or hands it to read. An error of read wins over the exit
// status, because it is read that stopped the process; unless it is that nothing came any more.
func collect(cmd *exec.Cmd, read func(io.Reader) error) ([]byte, error) {
	if read == nil {
		var out bytes.Buffer
		cmd.Stdout = &out
		err := cmd.Run()
		return out.Bytes(), err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start git: %w", err)
	}
	readErr := read(stdout)
	hasEnded := errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF) // before it had said all
	if readErr != nil && !hasEnded {
		_ = cmd.Cancel()
	}
	waitErr := cmd.Wait()
	return nil, errors.Join(readErr, unless(readErr != nil && !hasEnded, waitErr))
}

func unless(condition bool, err error) error {
	if condition {
		return nil
	}
	return err
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// tail keeps the last limit bytes written to it.
type tail struct {
	limit int
	kept  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - t.limit; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
