package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/towpath-cd/towpath/internal/secret"
)

// colour is the one kind of control sequence that texts of ours hold.
var colour = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// safe makes a text harmless for a terminal: commit titles and reasons come from anywhere, and a terminal obeys what
// they hold. Line ends, tabs and colours stay; other characters that cannot be seen become a dot.
func safe(text string) string {
	var b strings.Builder
	for {
		at := colour.FindStringIndex(text)
		if at == nil {
			return b.String() + visible(text)
		}
		b.WriteString(visible(text[:at[0]]) + text[at[0]:at[1]])
		text = text[at[1]:]
	}
}

func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// oneLine is a harmless text on one line, as a cell of a table is.
func oneLine(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(safe(text))
}

// terminalOf answers the file that a stream is, where that is a terminal.
func terminalOf(stream any) (*os.File, bool) {
	file, ok := stream.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// asks says that a person sits there who can be asked.
func (c *Console) asks() bool {
	_, reads := terminalOf(c.In)
	_, writes := terminalOf(c.Err)
	return reads && writes && !c.JSON
}

// moves says that what was written may be written over: Out is a terminal that knows how.
func (c *Console) moves() bool {
	_, is := terminalOf(c.Out)
	return is && !c.JSON && os.Getenv("TERM") != "dumb"
}

// confirm asks a person a question whose answer is no unless they type y or yes. Where nobody can be asked, yes has to
// be said by --yes.
func (c *Console) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.asks() {
		return usage("nobody is here to ask: "+question, "--yes says yes beforehand")
	}
	fmt.Fprint(c.Err, question+" [y/N] ")
	answer, err := readLine(c.In)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}

// maxSecret is the size of the largest secret that is read, in bytes.
const maxSecret = 1 << 20

// readSecret reads a value without showing it: typed by a person who is asked for it, or else all of the input. The line's end
// after a single line does not belong to it (secret.WithoutLineEnd).
func (c *Console) readSecret(what string) (string, error) {
	file, ok := terminalOf(c.In)
	if !ok {
		all, err := io.ReadAll(io.LimitReader(c.In, maxSecret+1))
		if len(all) > maxSecret {
			return "", usage("the value is over 1 MiB", "keep what is so large in a file of its own, and its key as the secret")
		}
		if err == nil && !utf8.Valid(all) {
			return "", usage("the value is not a text (UTF-8)", "encode it, by base64 for example, and have the step decode it")
		}
		return secret.WithoutLineEnd(string(all)), err
	}
	return c.readUnseen(file, what)
}

// readUnseen takes the terminal's echo away before it asks, so that not even a fast typist's first letters are shown.
func (c *Console) readUnseen(file *os.File, what string) (string, error) {
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(file.Fd()), before)
	typed, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{file, c.Err}, "").ReadPassword(what + ": ")
	if errors.Is(err, io.EOF) { // the keys that interrupt and that end the input
		return "", errDeclined
	}
	return typed, err
}

// readLine reads up to a line's end, and no byte more: what follows is for the next question.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); ; {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[:n]...)
		if errors.Is(err, io.EOF) {
			return string(line), nil
		}
		if err != nil {
			return "", err
		}
	}
}
