package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Console is where a verb reads and writes, and in which form.
type Console struct {
	In   io.Reader
	Out  io.Writer // what was asked for
	Err  io.Writer // errors, and what only a person wants to know
	JSON bool      // set by --json: Out gets one document, or one object a line when following

	server, token string           // set by --server and --token
	clock         func() time.Time // time.Now where it is nil
	patience      patience
}

// Show writes text and a line's end, or doc as one line of JSON under --json.
func (c *Console) Show(doc any, text string) error {
	if c.JSON {
		return writeJSON(c.Out, doc)
	}
	_, err := fmt.Fprintln(c.Out, safe(text))
	return err
}

// note tells a person what a program need not know.
func (c *Console) note(format string, args ...any) {
	if !c.JSON {
		fmt.Fprintln(c.Err, safe(fmt.Sprintf(format, args...)))
	}
}

// fail tells a person or a program why a verb ended. There is nowhere left to tell that this could not be written.
func (c *Console) fail(why failure) {
	if c.JSON {
		_ = writeJSON(c.Err, why)
		return
	}
	fmt.Fprintln(c.Err, safe(why.Message))
	if why.Hint != "" {
		fmt.Fprintln(c.Err, safe("hint: "+why.Hint))
	}
}

// now is the present in the time zone that people read.
func (c *Console) now() time.Time {
	if c.clock == nil {
		return time.Now()
	}
	return c.clock()
}

// writeJSON writes doc on one line, with URLs readable.
func writeJSON(w io.Writer, doc any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(doc)
}

// listed is a list as a document: an empty one is [], not null.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
