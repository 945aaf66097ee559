// Package walls holds the walls of the house: which room may import which. The rules are the table in house.go, and
// the test in this package checks every file of the module against it.
//
// Only shipped files are held. A test may reach across a wall, because real things stand behind it.
package walls

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the path that the imports of this module's packages begin with.
const module = "github.com/towpath-cd/towpath"

// File is a shipped Go file and what it imports.
type File struct {
	Path    string // from the module's root, slashed
	Imports []string
}

// Breach is something in a file that a wall forbids.
type Breach struct {
	File string
	Why  string
}

// String reads as a compiler's error does.
func (b Breach) String() string { return b.File + ": " + b.Why }

// Check returns what breaks a wall, in the order of the files.
func Check(files []File) []Breach {
	h := newHouse()
	var breaches []Breach
	for _, file := range files {
		for _, why := range h.breaches(file) {
			breaches = append(breaches, Breach{File: file.Path, Why: why})
		}
	}
	return breaches
}

// breaches returns every reason why a file may not stand where it does.
func (h house) breaches(file File) []string {
	place := placeOf(path.Dir(file.Path))
	here, known := h.roomOf(place)
	switch {
	case isNameless(place):
		return []string{fmt.Sprintf("a package is named for what it is about, not %q", path.Base(place))}
	case isForTests(place):
		return nil
	case !known:
		return []string{place + " is no room of the house; give it a line in internal/walls/house.go"}
	}
	var reasons []string
	for _, imported := range file.Imports {
		if why := h.forbids(here, place, imported); why != "" {
			reasons = append(reasons, fmt.Sprintf("imports %s: %s", imported, why))
		}
	}
	return reasons
}

// forbids returns why a package at a place in a room may not import a path, or "".
func (h house) forbids(here room, place, imported string) string {
	if !isOurs(imported) {
		if here.name == root && !isStandard(imported) {
			return "the root package imports the standard library only"
		}
		return ""
	}
	to := placeOf(strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
	there, known := h.roomOf(to)
	switch {
	case isForTests(to) && here.name == "bench": // it measures with the parts that tests have, and is in no binary
		return ""
	case isForTests(to):
		return "this package is for tests only"
	case !known:
		return to + " is no room of the house"
	case isWithin(place, to) || isWithin(to, place):
		return ""
	case here.name == there.name && here.detached:
		return "a driver does not know its neighbours"
	case here.name == there.name || slices.Contains(here.may, there.name):
		return ""
	}
	return fmt.Sprintf("%s may import %s", here.name, here.listed())
}

// placeOf is a package's folder as house.go writes it.
func placeOf(folder string) string {
	if folder == "." || folder == "" {
		return root
	}
	return strings.TrimPrefix(folder, "internal/")
}

// isWithin tells whether a place is another one, or a folder below it. Only the root package is within the root.
func isWithin(place, other string) bool {
	return place == other || strings.HasPrefix(place, other+"/")
}

// isNameless tells whether a name says nothing about what a package is for, so that everything would end up there.
func isNameless(place string) bool {
	names := []string{"common", "helper", "helpers", "model", "models", "util", "utils"}
	return slices.Contains(names, path.Base(place))
}

// isForTests tells whether a package, such as storetest, is only there for tests to import.
func isForTests(place string) bool { return strings.HasSuffix(path.Base(place), "test") }

func isOurs(imported string) bool { return isWithin(imported, module) }

// isStandard tells whether a path is in the standard library, whose first element has no dot.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
