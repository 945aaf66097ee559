package confine

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/towpath-cd/towpath/internal/process"
)

// Helper is the command that ends up in Main: this program, with what leads there.
type Helper []string

// Start is the start of a confined command.
type Start struct {
	order, told, tell *os.File
	line, far         *os.File // by which its terminal comes; nil without one
}

// Prepare makes the start of what a spec says, as an order says: who, and where. The order's own command is the spec's, whose
// input is empty or the order's terminal. The start has to be closed.
func (h Helper) Prepare(spec *process.Spec, o Order) (*Start, error) {
	o.Path, o.Args, o.Env, o.Dir, o.GivesWay = spec.Path, spec.Args, spec.Env, spec.Dir, spec.GivesWay
	order, err := inMemory(o)
	if err != nil {
		return nil, err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a pipe: %w", err), order.Close())
	}
	spec.Path, spec.Args, spec.Dir, spec.GivesWay = h[0], h, "", false
	spec.Env = []string{} // none: they are the command's owner's choice, and the helper has more rights
	spec.Stdin, spec.Files, spec.Namespaces = order, []*os.File{tell}, o.World.Clone()
	s := &Start{order: order, told: told, tell: tell}
	if !o.Terminal {
		return s, nil
	}
	if s.line, s.far, err = newLine(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	spec.Files = append(spec.Files, s.far)
	return s, nil
}

// Began waits until the command runs. The error is why it does not; then the helper has ended.
func (s *Start) Began() error {
	_ = s.tell.Close()
	text, err := io.ReadAll(s.told)
	if err != nil {
		return fmt.Errorf("follow the start of a command: %w", err)
	}
	if len(text) > 0 {
		return errors.New(strings.TrimSpace(string(text)))
	}
	return nil
}

// Terminal is the other end of the terminal of a command that began with one. The caller closes it.
func (s *Start) Terminal() (*os.File, error) {
	_ = s.far.Close() // so that nobody is waited for
	terminal, err := receive(s.line)
	if err != nil {
		return nil, fmt.Errorf("take over a terminal: %w", err)
	}
	return terminal, nil
}

// Close frees what the start needed.
func (s *Start) Close() error {
	_ = s.tell.Close()
	if s.line != nil {
		_, _ = s.line.Close(), s.far.Close()
	}
	return errors.Join(s.order.Close(), s.told.Close())
}

// inMemory is a file that has no name, with the order: it holds a step's secrets.
func inMemory(o Order) (*os.File, error) {
	file, err := newMemory()
	if err != nil {
		return nil, err
	}
	if err = gob.NewEncoder(file).Encode(o); err == nil { // variables may be of any bytes
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write down what is to be confined: %w", err), file.Close())
	}
	return file, nil
}
