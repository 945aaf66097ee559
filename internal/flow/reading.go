package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// reading is what a change is found to be.
type reading struct {
	change    towpath.Change     // complete
	files     []*pipeline.File   // every pipeline file that counts for it; nil where they could not all be read
	pipelines []towpath.Pipeline // those that it starts
}

// read completes a change, and answers the pipelines that it starts: at least one. What was found on the way is answered
// with an error too.
func (c *Conductor) read(ctx context.Context, p towpath.Project, change towpath.Change, w Wish) (reading, error) {
	change, files, err := c.repositories.Read(ctx, p, change)
	if err == nil && change.IsFromFork() {
		change.Trusted = false
		files, err = c.filesOfBase(ctx, p, change)
	}
	if !comparesFiles(change.Trigger) {
		change.Files = nil
	}
	found := reading{change: change}
	if err != nil {
		return found, err
	}
	if found.files, err = parseAll(p, change, files); err != nil {
		return found, err
	}
	return found.start(p, w)
}

// comparesFiles says that a change of the kind goes from one revision to another. Others touch no files rather than all.
func comparesFiles(t towpath.Trigger) bool {
	return t == towpath.TriggerPush || t == towpath.TriggerPullRequest
}

// parseAll reads the pipeline files. One with errors is refused with all of them told, and with it every other: what one
// says may hang on what another does.
func parseAll(p towpath.Project, change towpath.Change, contents map[string][]byte) ([]*pipeline.File, error) {
	files := []*pipeline.File{}
	if len(contents) == 0 {
		return files, towpath.Errorf(towpath.CodeInvalid, "%s has no towpath.yaml at %s", p.Name, change.Short()).
			WithHint("add one at the root of the repository; towpath schema and docs/pipeline-file.md say what it holds")
	}
	var problems []string
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		file, wrong := pipeline.Parse(path, contents[path])
		if file == nil {
			problems = append(problems, strings.TrimSpace(wrong.String()))
			continue
		}
		files = append(files, file)
	}
	if len(problems) > 0 {
		return nil, towpath.Errorf(towpath.CodeInvalid, "%s", strings.Join(problems, "\n"))
	}
	return files, nil
}

// fileOf is the path of the pipeline's file in the repository.
func (r reading) fileOf(p towpath.Pipeline) string {
	for _, f := range r.files {
		if f.Name() == p.Name {
			return f.Path()
		}
	}
	return "the pipeline file"
}

// start decides which pipelines the change starts, and each of them for this change.
func (r reading) start(p towpath.Project, w Wish) (reading, error) {
	started := slices.DeleteFunc(slices.Clone(r.files), func(f *pipeline.File) bool {
		return !trigger.Matches(f.Name(), f.Triggers(), p, r.change)
	})
	isManual := r.change.Trigger == towpath.TriggerManual
	switch {
	case len(started) == 0:
		return r, untriggered(r.change)
	case isManual && len(started) > 1:
		return r, towpath.Errorf(towpath.CodeInvalid, "%s has %d pipelines: %s", p.Name, len(started), namesOf(started)).
			WithHint("name one")
	case isManual:
		inputs, err := started[0].Triggers().CompleteInputs(w.Inputs)
		if err != nil {
			return r, err
		}
		r.change.Inputs = inputs
	}
	var problems []string
	for _, file := range started {
		made, err := file.Pipeline(r.change)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		leaveOut(&made, r.change, w)
		r.pipelines = append(r.pipelines, made)
	}
	if len(problems) > 0 {
		return r, towpath.Errorf(towpath.CodeInvalid, "%s", strings.Join(problems, "\n"))
	}
	return r, nil
}

// inputsOf answers the values of a run's inputs: the defaults where nobody was asked.
func inputsOf(p towpath.Pipeline, change towpath.Change) map[string]string {
	if len(p.Triggers.Inputs) == 0 {
		return nil
	}
	inputs := p.Triggers.DefaultInputs()
	maps.Copy(inputs, change.Inputs)
	return inputs
}

// errUntriggered is the cause of an error that says that nothing is to be run for a change.
var errUntriggered = errors.New("nothing is triggered")

func untriggered(change towpath.Change) error {
	err := towpath.Errorf(towpath.CodeConflict, "no pipeline is triggered by %s", inWords(change))
	switch {
	case change.Trigger != towpath.TriggerManual:
	case len(change.Pipelines) > 0:
		err = towpath.Errorf(towpath.CodeNotFound, "at %s there is no pipeline %q that is started by hand", change.Short(), change.Pipelines[0]).
			WithHint("manual: true under on: allows it")
	default:
		err = towpath.Errorf(towpath.CodeConflict, "at %s no pipeline may be started by hand", change.Short()).
			WithHint("manual: true under on: allows it")
	}
	err.Err = errUntriggered
	return err
}

// inWords says what a change is.
func inWords(c towpath.Change) string {
	switch {
	case c.Tag() != "":
		return "the tag " + c.Tag()
	case c.Request != nil:
		return fmt.Sprintf("pull request %d to %s", c.Request.Number, c.Request.Base)
	case c.Trigger == towpath.TriggerSchedule:
		return "the schedule of " + strings.Join(c.Pipelines, " and ") + " any more"
	case c.Trigger == towpath.TriggerPipeline:
		return "what " + strings.Join(c.Pipelines, " and ") + " ran after"
	}
	return fmt.Sprintf("a %s to %s", c.Trigger, c.Branch)
}

func namesOf(files []*pipeline.File) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	return strings.Join(names, ", ")
}

// leaveOut excludes the gates of a run that is not to come to them, and with them whatever is behind.
func leaveOut(p *towpath.Pipeline, change towpath.Change, w Wish) {
	switch {
	case w.Scripts:
		leaveGatesOut(p)
	case change.IsFromFork():
		leaveDeploymentsOut(p, "a pull request from a fork is never deployed")
	}
}

// scriptsOnly is why the gates of a run are left out that is of scripts only.
const scriptsOnly = "this run is of scripts only"

// leaveGatesOut excludes approvals and deployments.
func leaveGatesOut(p *towpath.Pipeline) {
	for i := range p.Steps {
		if p.Steps[i].Kind.IsGate() {
			p.Steps[i].Excluded = scriptsOnly
		}
	}
}
