package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// runHelp explains how verbs name a run.
const runHelp = "RUN is shop#128, or 128 where there is one pipeline, or shop for the latest run of that pipeline."

// environmentHelp explains how verbs name an environment.
const environmentHelp = "ENV is shop/production, or production where only one environment has that name."

// findRun finds the run that a person means; without a name it is the latest one.
func findRun(ctx context.Context, server *client.Client, name string) (client.Run, error) {
	pipeline, number, err := splitRun(name)
	if err != nil {
		return client.Run{}, err
	}
	if number == 0 {
		return latestRun(ctx, server, pipeline)
	}
	if pipeline == "" {
		if pipeline, err = onlyPipeline(ctx, server, number); err != nil {
			return client.Run{}, err
		}
	}
	return server.Run(ctx, pipeline, number)
}

// splitRun reads "shop#128", "shop", "128", "#128" and nothing.
func splitRun(name string) (pipeline string, number int, err error) {
	pipeline, digits, both := strings.Cut(name, "#")
	if !both {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			return "", n, nil
		}
		return name, 0, nil
	}
	number, err = strconv.Atoi(digits)
	if err != nil || number < 1 {
		return "", 0, usage(fmt.Sprintf("%q is not a run", name), "write it like shop#128")
	}
	return pipeline, number, nil
}

func latestRun(ctx context.Context, server *client.Client, pipeline string) (client.Run, error) {
	runs, err := server.Runs(ctx, client.RunFilter{Pipeline: pipeline, Limit: 1})
	if err != nil {
		return client.Run{}, err
	}
	if len(runs) == 0 && pipeline != "" {
		return client.Run{}, towpath.Errorf(towpath.CodeNotFound, "there is no run of a pipeline %q", pipeline).
			WithHint("towpath runs lists them")
	}
	if len(runs) == 0 {
		return client.Run{}, towpath.Errorf(towpath.CodeNotFound, "there are no runs yet").
			WithHint("push a commit, or start one: towpath run PROJECT")
	}
	return server.Run(ctx, runs[0].Pipeline, runs[0].Number)
}

func onlyPipeline(ctx context.Context, server *client.Client, number int) (string, error) {
	projects, err := server.Projects(ctx)
	if err != nil {
		return "", err
	}
	var pipelines, choices []string
	for _, p := range projects {
		pipelines = append(pipelines, p.Pipelines...)
	}
	if len(pipelines) == 1 {
		return pipelines[0], nil
	}
	for _, p := range pipelines {
		choices = append(choices, fmt.Sprintf("%s#%d", p, number))
	}
	if len(choices) == 0 {
		return "", towpath.Errorf(towpath.CodeNotFound, "there are no pipelines yet").WithHint("push a commit, or start a run: towpath run PROJECT")
	}
	return "", usage(fmt.Sprintf("run %d of which pipeline?", number), "write "+strings.Join(choices, " or "))
}

// findEnvironment finds the environment that a person means.
func findEnvironment(ctx context.Context, server *client.Client, name string) (client.Environment, error) {
	environments, err := server.Environments(ctx)
	if err != nil {
		return client.Environment{}, err
	}
	var found []client.Environment
	var keys, meant []string
	for _, e := range environments {
		keys = append(keys, e.Key)
		if e.Key == name || e.Name == name {
			found, meant = append(found, e), append(meant, e.Key)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return client.Environment{}, usage(fmt.Sprintf("%s of which pipeline?", name), "write "+strings.Join(meant, " or "))
	case len(keys) == 0:
		return client.Environment{}, towpath.Errorf(towpath.CodeNotFound, "there are no environments yet").
			WithHint("one is made by the first run that deploys to it")
	}
	return client.Environment{}, towpath.Errorf(towpath.CodeNotFound, "there is no environment %q", name).
		WithHint("there are %s", strings.Join(keys, ", "))
}

// findProject answers the name of the project that a person means; without a name it is the only one.
func findProject(ctx context.Context, server *client.Client, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	projects, err := server.Projects(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range projects {
		names = append(names, p.Name)
	}
	switch len(names) {
	case 0:
		return "", towpath.Errorf(towpath.CodeNotFound, "there are no projects yet").WithHint("towpath project add URL")
	case 1:
		return names[0], nil
	}
	return "", usage("which project?", "one of "+strings.Join(names, ", "))
}

// releaseNumber reads the number of a release.
func releaseNumber(text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return 0, usage(fmt.Sprintf("%q is not the number of a release", text), "towpath releases ENV lists them")
	}
	return number, nil
}

// first is the first argument, or nothing.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
