// Package shell runs a step's script with a shell of the worker's machine, in a process group that leaves nothing
// behind.
package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/process"
)

// Shell runs scripts. It holds no state but the default command, and may be used by many goroutines.
type Shell struct{ standard command }

// command is what a script's file is handed to.
type command struct {
	args     []string // program and options; the file comes last
	suffix   string   // that the program expects of the file
	prologue string   // first lines of the file
	epilogue string   // last ones
}

// file is what stands in a script's file. Windows' cmd finds labels only behind its own line ends.
func (c command) file(text string) string {
	text = c.prologue + text + c.epilogue
	if c.suffix == ".cmd" {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	}
	return text
}

// New looks for the platform's shell once.
func New() Shell { return Shell{standard: standard()} }

// Run runs a script as executor.Executor says.
func (s Shell) Run(ctx context.Context, script executor.Script) (executor.Result, error) {
	spec, file, err := s.prepare(script)
	if err != nil {
		return executor.NotBegun(err), nil
	}
	if err := os.WriteFile(file.path, []byte(file.text), 0o600); err != nil {
		return executor.NotBegun(fmt.Errorf("write the script: %w", err)), nil
	}
	ctx, cancel := executor.Limit(ctx, script.Timeout)
	defer cancel()
	running, err := process.Start(ctx, spec)
	if err != nil {
		return failedStart(ctx, script.Timeout, err)
	}
	if script.Started != nil {
		script.Started(running.Group())
	}
	ended, err := running.Wait()
	return judge(ctx, script.Timeout, ended, err)
}

// scriptFile is a script as its shell takes it.
type scriptFile struct{ path, text string }

// prepare answers what is to be started once the script is in a file: a command line has a limit, and is seen by everyone
// on the machine.
func (s Shell) prepare(script executor.Script) (process.Spec, scriptFile, error) {
	c := s.standard
	if script.Shell != "" {
		c = parse(script.Shell)
	}
	program, err := exec.LookPath(inDir(script.Dir, c.args[0]))
	if err != nil {
		return process.Spec{}, scriptFile{}, fmt.Errorf("this worker has no shell %q", c.args[0])
	}
	file := scriptFile{filepath.Join(script.Scratch, "script"+c.suffix), c.file(script.Text)}
	return process.Spec{
		Path: program, Args: append(append([]string{}, c.args...), file.path),
		Dir: script.Dir, Env: script.Env, Stdout: script.Output, Stderr: script.Output,
		GivesWay: true, Grace: script.Grace, Group: process.GroupOptions{Handle: script.Group},
	}, file, nil
}

// inDir has a relative path begin where the script runs.
func inDir(dir, program string) string {
	if strings.ContainsRune(program, '/') && !filepath.IsAbs(program) {
		return filepath.Join(dir, filepath.FromSlash(program))
	}
	return program
}

// parse takes a shell's words apart. There are no quotes: a path with blanks belongs into PATH.
func parse(words string) command {
	args := strings.Fields(words)
	if len(args) == 0 {
		return standard()
	}
	if len(args) == 1 {
		if c, known := known(args[0]); known {
			return c
		}
	}
	return command{args: args, suffix: suffixFor(args[0])}
}

// byteOrderMark tells Windows PowerShell that a file is in UTF-8.
const byteOrderMark = "\ufeff"

// known are the shells that are told to stop at the first command that fails, when the file names no options; cmd cannot be
// told.
func known(name string) (command, bool) {
	switch name {
	case "bash":
		return command{args: []string{"bash", "-euo", "pipefail"}}, true
	case "sh":
		return command{args: []string{"sh", "-eu"}}, true
	case "powershell", "pwsh":
		return command{
			args:     []string{name, "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"},
			suffix:   ".ps1",
			prologue: byteOrderMark + "$ErrorActionPreference = 'Stop'; $PSNativeCommandUseErrorActionPreference = $true\n",
			// before 7.4 PowerShell goes on when a program fails: the status of the last one is the script's at least
			epilogue: "\nif (Test-Path -LiteralPath variable:\\LASTEXITCODE) { exit $LASTEXITCODE }\n",
		}, true
	case "cmd":
		// CALL keeps the quotes around a path with blanks and parentheses, of which /C would take those at both ends off. The
		// script is a part of its file, so that its status is cmd's also where it ends by "exit /b".
		return command{
			args:     []string{"cmd", "/D", "/E:ON", "/V:OFF", "/S", "/C", "CALL"},
			suffix:   ".cmd",
			prologue: "@echo off\ncall :towpath_script\nexit %ERRORLEVEL%\n:towpath_script\n",
		}, true
	}
	return command{}, false
}

// suffixFor is what Windows' shells insist on.
func suffixFor(program string) string {
	switch strings.TrimSuffix(strings.ToLower(filepath.Base(program)), ".exe") {
	case "powershell", "pwsh":
		return ".ps1"
	case "cmd":
		return ".cmd"
	}
	return ""
}

func failedStart(ctx context.Context, timeout time.Duration, err error) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Cut(ctx, timeout), nil
	}
	return executor.NotBegun(err), err
}

// judge tells a script that was ended by us from one that ended by itself, also in the moment in which both happen.
func judge(ctx context.Context, timeout time.Duration, ended process.Result, err error) (executor.Result, error) {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return executor.Cut(ctx, timeout), besides(err, cause)
	}
	return executor.Ended(ended.ExitCode, ended.Signal), err
}

// besides leaves out of a joined error what the result tells already.
func besides(err, told error) error {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // only the outermost layer is a list
	if !ok {
		return nil
	}
	var rest []error
	for _, one := range joined.Unwrap() {
		if !errors.Is(one, told) {
			rest = append(rest, one)
		}
	}
	return errors.Join(rest...)
}
