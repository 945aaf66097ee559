package web

import (
	"cmp"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// pipelineFiles answers what is found in a project's repository.
func (s *Server) pipelineFiles(c call[none]) (found client.PipelineFiles, err error) {
	found.Branch = c.Project.DefaultBranch
	revision, files, err := s.Flow.PipelineFiles(c.Context(), c.Project)
	if err != nil {
		return found, err
	}
	found.Revision, found.Files = revision, []client.PipelineFile{}
	for _, f := range files {
		found.Files = append(found.Files, client.PipelineFile{
			Path: f.Path, Pipeline: f.Pipeline, Problems: f.Problems, Starts: startsOf(f.Triggers, c.Project.DefaultBranch),
		})
	}
	return found, nil
}

// startsOf says what starts a pipeline.
func startsOf(t towpath.Triggers, defaultBranch string) (starts []string) {
	onto := func(branches []string) string {
		if len(branches) == 0 {
			return defaultBranch
		}
		return strings.Join(branches, ", ")
	}
	if t.Push {
		starts = append(starts, "pushes to "+onto(t.Branch))
	}
	if len(t.Tags) > 0 {
		starts = append(starts, "tags "+strings.Join(t.Tags, ", "))
	}
	if t.PullRequests != nil {
		starts = append(starts, "pull requests to "+onto(t.PullRequests.Branches))
	}
	for _, s := range t.Schedules {
		starts = append(starts, "at "+s.Cron+" "+cmp.Or(s.Zone, "UTC"))
	}
	if len(t.After) > 0 {
		starts = append(starts, "after "+strings.Join(t.After, ", "))
	}
	if t.Manual {
		starts = append(starts, "by hand")
	}
	return starts
}
