// Package failpoint lets a process die at a named place, so that a test sees what a crash between two instructions
// leaves behind.
//
// A place stands beside what becomes lasting, or leaves the process: a commit, a file that takes its name, an order to a
// driver, a process that starts. It has two sides, before and after. Nothing happens at any of them unless the variable
// TOWPATH_FAILPOINTS names a folder: there stands a file for each side at which the next process that comes to it dies,
// by SIGKILL, or, where the file says "freeze", is stopped by SIGSTOP until somebody lets it go on. It puts the file into
// the folder's subfolder "died" first, which one process alone can do: each file is one death, and whoever waits for it sees
// where which process died.
package failpoint

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Variable names the folder.
const Variable = "TOWPATH_FAILPOINTS"

// Died is the subfolder for what was died at. A file there has the name that it had in the folder, and holds the number of
// the process that died.
const Died = "died"

// Freezing is what a file holds whose process is to be stopped and not killed.
const Freezing = "freeze"

// The sides of a place.
const (
	Before = "before"
	After  = "after"
)

// depth is how many calls above a place may name it: a few wrappers stand between a commit and the one who wants it.
const depth = 8

// Place is where a process may die. The zero Place is one where nobody does.
type Place struct{ names []string }

// At is a place with a name of its own, such as "start a step".
func At(name string) Place {
	if os.Getenv(Variable) == "" {
		return Place{}
	}
	return Place{[]string{name}}
}

// Of is a place for each type of what is done there, such as "perform Shift".
func Of(what string, subject any) Place {
	if os.Getenv(Variable) == "" {
		return Place{}
	}
	named := fmt.Sprintf("%T", subject)
	return Place{[]string{what + " " + named[strings.LastIndex(named, ".")+1:]}}
}

// Called is a place that is named after where it is called from, such as "commit flow/act.go:40": each of the
// calls above the one that called Called, from the inside out, is a name of it.
func Called(what string) Place {
	if os.Getenv(Variable) == "" {
		return Place{}
	}
	var p Place
	callers := make([]uintptr, depth)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)]) // without Callers, Called and who called it
	for {
		frame, more := frames.Next()
		if name := nameOf(frame); name != "" {
			p.names = append(p.names, what+" "+name)
		}
		if !more {
			return p
		}
	}
}

// nameOf answers the place of a call as a file below the folder "internal" with a line, which does not depend on where the
// program was built; empty where it is another's.
func nameOf(frame runtime.Frame) string {
	const inside = "/internal/"
	at := strings.LastIndex(frame.File, inside)
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", frame.File[at+len(inside):], frame.Line)
}

// Inherited is the variable for the environment of a process that gets no other of ours; none where nothing is armed.
func Inherited() []string {
	if folder := os.Getenv(Variable); folder != "" {
		return []string{Variable + "=" + folder}
	}
	return nil
}

// Before is where nothing is lasting yet.
func (p Place) Before() { p.die(Before) }

// After is where it is, and nobody has been told.
func (p Place) After() { p.die(After) }

func (p Place) die(side string) {
	folder := os.Getenv(Variable)
	for _, name := range p.names {
		file := FileOf(name + " " + side)
		died := filepath.Join(folder, Died, file)
		if os.Rename(filepath.Join(folder, file), died) != nil {
			continue // nobody is to die here, or somebody else does
		}
		fmt.Fprintln(os.Stderr, "failpoint:", name, side)
		order, _ := os.ReadFile(died)
		_ = os.WriteFile(died, fmt.Append(nil, os.Getpid()), 0o600)
		if string(order) == Freezing {
			freeze()
			return
		}
		kill()
	}
}

// kill ends this process without a word to anybody.
func kill() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // the signal is on its way
}

// FileOf answers the name of the file for one side of a place.
func FileOf(side string) string { return url.PathEscape(strings.ReplaceAll(side, " ", "_")) }
