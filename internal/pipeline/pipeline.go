package pipeline

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// File is a pipeline file without errors.
type File struct {
	name     string
	pipeline towpath.Pipeline         // before a change is known: nothing is excluded
	written  []towpath.StepDefinition // as the file has them: one with a matrix is one step
	matrices map[string]matrix        // by step of the file; only those that have one
	whens    map[string]when          // the same
}

// Parse reads a file. Its name is for messages, and names the pipeline of a file in .towpath/ that does not name it
// itself. The file is nil where one of the problems is an error; warnings may come with a file.
func Parse(name string, data []byte) (*File, Problems) {
	r := newReport(newSource(name, data))
	root := read(data, r)
	if root == nil {
		return nil, r.sorted()
	}
	if root.kind == nodeMapping && len(root.entries) == 0 {
		r.unfit(place{1, 1, 1}, "the file is empty", "begin with pipeline: and a name, then steps:")
		return nil, r.sorted()
	}
	decoder := decoder{r}
	content := decoder.decode(root, grammar(), spot{name: "the file", key: place{1, 1, 1}})
	if content == nil {
		return nil, r.sorted()
	}
	file := newBuilder(r, name, content).build()
	if r.failed() {
		return nil, r.sorted()
	}
	return file, r.sorted()
}

// Check answers all that is wrong with a file, and what is probably not meant.
func Check(name string, data []byte) Problems {
	_, problems := Parse(name, data)
	return problems
}

// Path is what the file is called in messages: its path in the repository, where it is read from one.
func (f *File) Path() string { return f.name }

// Name is the name of the pipeline.
func (f *File) Name() string { return f.pipeline.Name }

// Triggers says which changes become runs of the pipeline.
func (f *File) Triggers() towpath.Triggers { return f.pipeline.Triggers }

// Pipeline answers the pipeline for one change: every `when` is decided. It fails where an expression cannot be
// decided for that change, with a [towpath.Error] of CodeInvalid that names the step.
func (f *File) Pipeline(change towpath.Change) (towpath.Pipeline, error) {
	p := f.pipeline
	p.Steps = slices.Clone(p.Steps)
	p.Environments = slices.Clone(p.Environments)
	p.Alerts = maps.Clone(p.Alerts)
	for i := range p.Steps {
		s := &p.Steps[i]
		w, ok := f.whens[cmp.Or(s.Of, s.Name)]
		if !ok || w.program == nil {
			continue
		}
		holds, err := w.holds(change, p.Triggers.Inputs)
		if err != nil {
			return towpath.Pipeline{}, towpath.Errorf(towpath.CodeInvalid,
				"%s:%d: when of %s cannot be decided: %s", f.name, s.Line, s.Name, err)
		}
		if !holds {
			s.Excluded = "when " + w.text + " does not hold"
		}
	}
	return p, nil
}

// Locate answers which of a repository's paths are pipeline files, sorted: towpath.yaml at the root, and those directly
// in .towpath/. Each is a pipeline of its own.
func Locate(paths []string) []string {
	var found []string
	for _, p := range paths {
		if p == "towpath.yaml" || path.Dir(p) == ".towpath" && path.Ext(p) == ".yaml" {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// nameFromPath is the pipeline's name that a file in .towpath/ has by itself; empty for others.
func nameFromPath(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	if path.Base(path.Dir(name)) != ".towpath" {
		return ""
	}
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	if wrong, _ := slugFormat("").check(base); wrong != "" {
		return ""
	}
	return base
}
