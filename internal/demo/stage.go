package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/process"
)

// longestTemporary is the longest name of a folder for temporary files below which sockets still find their place in
// 104 bytes, which is all that macOS has for them.
const longestTemporary = 24

// logLines is how much of a log is told where its process has ended.
const logLines = 8

// stage is the throw-away folder with what runs in it. It is written to stage.json there, so that another process can
// end what was kept.
type stage struct {
	folder string
	Server string  `json:"server"` // address
	Proxy  string  `json:"proxy"`  // host:port
	Actors []actor `json:"actors"` // in the order in which they were started
}

// actor is a process that the demo started.
type actor struct {
	Name     string           `json:"name"`
	Identity process.Identity `json:"identity"`
	spec     process.Spec     // by which it was started, and is started again
}

// newStage makes the folder. The program goes along: what runs starts it again, also when "go run" has removed its own.
func newStage(program string) (*stage, error) {
	base := os.TempDir()
	if info, err := os.Stat("/tmp"); len(base) > longestTemporary && err == nil && info.IsDir() {
		base = "/tmp"
	}
	folder, err := os.MkdirTemp(base, "towpath-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s := &stage{folder: folder}
	if err := errors.Join(os.Mkdir(s.path("logs"), 0o700), bring(program, s.program())); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// bring links a program to another place, or copies it there.
func bring(program, to string) error {
	if program, err := filepath.EvalSymlinks(program); err == nil && os.Link(program, to) == nil {
		return nil
	}
	from, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	defer from.Close()
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	_, err = io.Copy(copied, from)
	return errors.Join(err, copied.Close())
}

func (s *stage) path(name string) string { return filepath.Join(s.folder, name) }

// program is the stage's own copy of the binary.
func (s *stage) program() string { return s.path(programName) }

// ownerToken is the file that holds it.
func (s *stage) ownerToken() string { return filepath.Join(s.path("server"), "owner.token") }

// start starts a verb of the program as a process of its own, which outlives this one.
func (s *stage) start(name string, env []string, verb ...string) error {
	spec := process.Spec{
		Path: s.program(), Args: append([]string{s.program()}, verb...), Dir: s.folder,
		Env: append(environment(), env...), LogFile: s.log(name),
	}
	id, err := process.StartDetached(spec)
	if err != nil {
		return err
	}
	s.Actors = append(s.Actors, actor{Name: name, Identity: id, spec: spec})
	return s.write()
}

// write has another process know what runs.
func (s *stage) write() error {
	encoded, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode what runs: %w", err)
	}
	return durable.WriteFile(s.path(stageFile), encoded)
}

// actor answers the process of a name, nil where there is none.
func (s *stage) actor(name string) *actor {
	n := slices.IndexFunc(s.Actors, func(a actor) bool { return a.Name == name })
	if n < 0 {
		return nil
	}
	return &s.Actors[n]
}

func (s *stage) log(name string) string { return filepath.Join(s.path("logs"), name+".log") }

// environment is ours without what would change the settings of the program, or the repository that git works in.
func environment() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TOWPATH_") && !strings.HasPrefix(variable, "GIT_") {
			env = append(env, variable)
		}
	}
	return env
}

// await waits until a process answers. One that has ended says why in its log.
func (s *stage) await(ctx context.Context, name string, isThere func(context.Context) bool) error {
	limited, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("the %s does not answer after %s", name, startLimit))
	defer cancel()
	id := s.actor(name).Identity
	var ended error
	err := until(limited, func(ctx context.Context) bool {
		if !process.Alive(id) {
			ended = fmt.Errorf("the %s has ended:\n%s", name, s.tail(name))
		}
		return ended != nil || isThere(ctx)
	})
	return errors.Join(ended, err)
}

// tail is the end of a process's log.
func (s *stage) tail(name string) string {
	text, err := os.ReadFile(s.log(name))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}

// shortened leaves out the middle of a text of many lines.
func shortened(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > logLines {
		lines = append(append(lines[:2:2], "…"), lines[len(lines)-2:]...)
	}
	return strings.Join(lines, "\n")
}

// running says to a person what was left running, and how to end it.
func (s *stage) running() *Running {
	return &Running{
		Server: s.Server, Proxy: "http://" + s.Proxy, Host: productionHost, Folder: s.folder, OwnerToken: s.ownerToken(),
		Stop: s.program() + " demo stop " + s.folder,
	}
}
