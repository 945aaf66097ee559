package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// maxOutputs is how much a script may write to TOWPATH_OUTPUT, in bytes.
const maxOutputs = 256 << 10

var outputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// errOutput is why a step whose script passed fails over its outputs.
var errOutput = errors.New("TOWPATH_OUTPUT")

// readOutputs reads the lines name=value that a script wrote. The last one of a name counts. A file that the script
// removed holds none. What it made of it may be a link to anything, or a pipe that nobody writes to.
func readOutputs(path string, isForeign func(fs.FileInfo) bool) (map[string]string, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || isForeign(info)) {
		err = errors.New("it is no file of the step's own any more")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutput, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutput, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxOutputs+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutput, err)
	}
	if len(content) > maxOutputs {
		return nil, fmt.Errorf("%w: more than %d bytes; keep large things as artifacts", errOutput, maxOutputs)
	}
	return parseOutputs(content)
}

func parseOutputs(content []byte) (map[string]string, error) {
	outputs := make(map[string]string)
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			continue
		}
		name, value, found := strings.Cut(text, "=")
		if !found || !outputName.MatchString(name) {
			return nil, fmt.Errorf("%w: line %d is not name=value: %q", errOutput, number, excerpt(text))
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("%w: line %d holds a zero byte", errOutput, number)
		}
		outputs[name] = value
	}
	return outputs, nil
}

func excerpt(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
