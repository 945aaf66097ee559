package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
)

// newCheckCommand is "towpath check".
func newCheckCommand(console *Console) *cobra.Command {
	var expand bool
	command := &cobra.Command{
		Use:   "check [FILE|FOLDER]...",
		Short: "Find the mistakes in pipeline files, and run nothing",
		Long: "Checks files, or those of folders: towpath.yaml, and .towpath/*.yaml. Without arguments it is the present folder.\n" +
			"It needs no server, and fails where a file has an error; warnings are no errors.",
		Example: "  towpath check\n  towpath check --expand towpath.yaml",
		RunE:    func(_ *cobra.Command, args []string) error { return console.check(args, expand) },
		Args:    cobra.ArbitraryArgs,
	}
	command.Flags().BoolVar(&expand, "expand", false, "print the files with every default filled in")
	return command
}

// checked is what was found in a file.
type checked struct {
	path     string
	file     *pipeline.File // nil where it has errors
	problems pipeline.Problems
}

// expanded is a file with every default filled in, for programs.
type expanded struct {
	File     string `json:"file"`
	Pipeline string `json:"pipeline"`
	Text     string `json:"text"`
}

func (c *Console) check(args []string, expand bool) error {
	paths, err := pipelineFiles(args)
	if err != nil {
		return err
	}
	var files []checked
	problems := pipeline.Problems{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the pipeline file: %w", err)
		}
		file, found := pipeline.Parse(filepath.ToSlash(path), content)
		files = append(files, checked{path: path, file: file, problems: found})
		problems = append(problems, found...)
	}
	if problems.Errors() == 0 && expand {
		return c.expand(files)
	}
	if err := c.Show(problems, checkText(files, problems)); err != nil {
		return err
	}
	if err := problems.Err(); err != nil {
		return told(err)
	}
	return nil
}

func checkText(files []checked, problems pipeline.Problems) string {
	if len(problems) > 0 {
		return strings.TrimRight(problems.String(), "\n")
	}
	var lines []string
	for _, f := range files {
		lines = append(lines, fmt.Sprintf("✓ %s   pipeline %s", f.path, f.file.Name()))
	}
	return strings.Join(lines, "\n")
}

// expand prints documents that YAML keeps apart; what is doubtful in the files goes beside them.
func (c *Console) expand(files []checked) error {
	var texts []string
	docs := []expanded{}
	for _, f := range files {
		for _, problem := range f.problems {
			c.note("%s", problem.String())
		}
		text := string(f.file.Expand())
		texts = append(texts, strings.TrimRight(text, "\n"))
		docs = append(docs, expanded{File: f.path, Pipeline: f.file.Name(), Text: text})
	}
	return c.Show(docs, strings.Join(texts, "\n---\n"))
}

// pipelineFiles answers the files that are meant: those named, and those of the folders named.
func pipelineFiles(args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var found []string
	for _, path := range args {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, towpath.Errorf(towpath.CodeNotFound, "there is no file %s", path)
		}
		if err != nil {
			return nil, fmt.Errorf("find pipeline files: %w", err)
		}
		if !info.IsDir() {
			found = append(found, path)
			continue
		}
		inside, err := filesIn(path)
		if err != nil {
			return nil, err
		}
		found = append(found, inside...)
	}
	return found, nil
}

func filesIn(folder string) ([]string, error) {
	var paths []string
	for _, pattern := range []string{"towpath.yaml", ".towpath/*.yaml"} {
		matches, err := fs.Glob(os.DirFS(folder), pattern)
		if err != nil {
			return nil, fmt.Errorf("find pipeline files: %w", err)
		}
		paths = append(paths, matches...)
	}
	var found []string
	for _, path := range pipeline.Locate(paths) {
		found = append(found, filepath.Join(folder, filepath.FromSlash(path)))
	}
	if len(found) == 0 {
		return nil, towpath.Errorf(towpath.CodeNotFound, "there is no pipeline file in %s", folder).
			WithHint("it is towpath.yaml, or several files in .towpath/")
	}
	return found, nil
}
