//go:build !linux

package confine

import (
	"fmt"
	"os"
	"runtime"
)

var errSystem = fmt.Errorf("%w: steps are kept apart on Linux only, and this is %s", ErrUnsupported, runtime.GOOS)

// Main is the helper, which no other system starts.
func Main() int {
	fmt.Fprintln(os.Stderr, errSystem)
	return 1
}

// Clone are the namespaces in which the helper of a world is to be started.
func (*World) Clone() uintptr { return 0 }

// Cells makes control groups with limits.
type Cells struct{}

// OpenCells answers an ErrUnsupported.
func OpenCells(string, Limits) (*Cells, error) { return nil, errSystem }

// Make answers an ErrUnsupported.
func (*Cells) Make(string) (*Group, error) { return nil, errSystem }

// Group is a cell with its limits.
type Group struct{ Cell }

// Remove has nothing to do.
func (*Group) Remove() error { return nil }

// Met is nothing.
func (*Group) Met() Met { return Met{} }

// Closed is empty: nothing is kept apart here.
func Closed(string) string { return "" }

func newMemory() (*os.File, error) { return nil, errSystem }

func newLine() (line, far *os.File, err error) { return nil, nil, errSystem }

func receive(*os.File) (*os.File, error) { return nil, errSystem }
