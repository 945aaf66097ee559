package flow

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
)

// PipelineFile is a pipeline file that was found in a repository.
type PipelineFile struct {
	Path     string
	Pipeline string // its name; empty where the file is wrong
	Triggers towpath.Triggers
	Problems string // with their lines; empty where the file is right
}

// PipelineFiles answers the pipeline files at the tip of a project's default branch, by their paths, and that revision. It
// brings the project's mirror up to date first, which takes a while where the repository is large.
func (c *Conductor) PipelineFiles(ctx context.Context, p towpath.Project) (revision string, files []PipelineFile, err error) {
	branch, revision, err := c.repositories.Resolve(ctx, p, "", "")
	if err != nil {
		return "", nil, err
	}
	_, contents, err := c.repositories.Read(ctx, p, towpath.Change{Project: p.ID, Branch: branch, Revision: revision, Trigger: towpath.TriggerPush})
	if err != nil {
		return "", nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		found := PipelineFile{Path: path}
		if file, wrong := pipeline.Parse(path, contents[path]); file == nil {
			found.Problems = strings.TrimSpace(wrong.String())
		} else {
			found.Pipeline, found.Triggers = file.Name(), file.Triggers()
		}
		files = append(files, found)
	}
	return revision, files, nil
}
