package cli

import (
	"encoding/json"
	"fmt"
	"io"
)

// Console is where a verb reads and writes, and in which form.
type Console struct {
	In   io.Reader
	Out  io.Writer // what was asked for
	Err  io.Writer // errors, and what only a person wants to know
	JSON bool      // set by --json: Out gets one document, or one object a line when following
}

// Show writes text and a line's end, or doc as one line of JSON under --json.
func (c *Console) Show(doc any, text string) error {
	if c.JSON {
		return writeJSON(c.Out, doc)
	}
	_, err := fmt.Fprintln(c.Out, text)
	return err
}

// fail tells a person or a program why a verb ended. There is nowhere left to tell that this could not be written.
func (c *Console) fail(why failure) {
	if c.JSON {
		_ = writeJSON(c.Err, why)
		return
	}
	fmt.Fprintln(c.Err, why.Message)
	if why.Hint != "" {
		fmt.Fprintln(c.Err, "hint: "+why.Hint)
	}
}

// writeJSON writes doc on one line, with URLs readable.
func writeJSON(w io.Writer, doc any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(doc)
}
