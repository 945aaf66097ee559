package worker

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// variables is the whole environment of a step's script. What the repository or the change says reaches the script
// here and nowhere else. More wins over everything.
func (w *worker) variables(l *client.StepLease, r room, home string, more map[string]string) []string {
	env := make(map[string]string)
	passed := w.PassEnv
	if l.Inside == nil { // a container's image has its own
		passed = append(platformVariables(), passed...)
	}
	for _, name := range passed {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	maps.Copy(env, folderVariables(home, r.temporary))
	maps.Copy(env, l.Env)
	maps.Copy(env, l.Secrets)
	maps.Copy(env, r.secretPaths(l.SecretFiles))
	maps.Copy(env, l.Outputs)
	maps.Copy(env, ownVariables(l, r))
	maps.Copy(env, more)
	return pairs(env)
}

// pairs writes variables as NAME=value.
func pairs(env map[string]string) []string {
	written := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		written = append(written, name+"="+env[name])
	}
	return written
}

// ownVariables describe the step, its run and its change. They win over everything else of their names.
func ownVariables(l *client.StepLease, r room) map[string]string {
	own := map[string]string{
		"CI":                   "true",
		"TOWPATH":              "true",
		"TOWPATH_RUN":          strconv.Itoa(l.RunNumber),
		"TOWPATH_RUN_ID":       l.Run,
		"TOWPATH_STEP":         l.Step,
		"TOWPATH_ATTEMPT":      strconv.Itoa(l.Attempt),
		"TOWPATH_PROJECT":      l.Project,
		"TOWPATH_PIPELINE":     l.Pipeline,
		"TOWPATH_REVISION":     l.Revision,
		"TOWPATH_BRANCH":       l.Branch,
		"TOWPATH_AUTHOR":       l.Author,
		"TOWPATH_AUTHOR_EMAIL": l.AuthorEmail,
		"TOWPATH_MESSAGE":      l.Message,
		"TOWPATH_ENVIRONMENT":  l.Environment,
		"TOWPATH_URL":          l.URL,
		"TOWPATH_OUTPUT":       r.outputs,
		"TOWPATH_WORKSPACE":    r.workspace,
		"TOWPATH_TRIGGER":      l.Trigger,
		"TOWPATH_TAG":          l.Tag,
		"TOWPATH_PULL_REQUEST": numberOrNothing(l.PullRequest),
		"TOWPATH_BASE_BRANCH":  l.BaseBranch,
		"TOWPATH_HEAD_BRANCH":  l.HeadBranch,
	}
	for name, value := range l.Inputs {
		own["TOWPATH_INPUT_"+strings.ToUpper(name)] = value
	}
	return own
}

func numberOrNothing(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
