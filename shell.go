package towpath

import "time"

// ShellPolicy says of which runs a debug shell may be opened. None is ever opened of a fork's change.
type ShellPolicy string

// The policies.
const (
	ShellsNever       ShellPolicy = "never"
	ShellsUnprotected ShellPolicy = "unprotected" // not of a protected branch, and not behind a deployment: whoever has the shell reads the step's secrets
	ShellsAlways      ShellPolicy = "always"
)

// ShellPolicies lists every policy.
var ShellPolicies = []ShellPolicy{ShellsNever, ShellsUnprotected, ShellsAlways}

// Shell is a shell that a person has in the place of a step's script.
type Shell struct {
	Step  string
	By    string        // account that opened it, and the only one to use it
	Idle  time.Duration // it ends when nothing was typed for so long
	Limit time.Duration // it ends after so long in any case
}

// WithShell makes of a repetition, which has to be of that one step, one with a shell in the place of its script. It keeps
// nothing of what the step leaves, and waits for no other run. CodeForbidden says why the policy does not allow that.
func (r Run) WithShell(shell Shell, policy ShellPolicy) (Run, error) {
	i := r.index(shell.Step)
	switch {
	case i < 0:
		return r, Errorf(CodeNotFound, "%s has no step %q", r.Pipeline, shell.Step)
	case !r.Steps[i].Kind.IsScript():
		return r, Errorf(CodeInvalid, "%s is %s step, which has no script to debug", shell.Step, article(r.Steps[i].Kind))
	}
	if err := policy.refuses(r, shell.Step); err != nil {
		return r, err
	}
	steps := make([]Step, len(r.Steps))
	copy(steps, r.Steps)
	script := *steps[i].Script
	script.Retry, script.Timeout, script.Artifacts, script.Reports = Retry{}, shell.Limit, nil, nil
	steps[i].Script = &script
	r.Steps, r.Concurrency, r.Shell = steps, ConcurrencyParallel, &shell
	return r, nil
}

func article(k StepKind) string {
	if k == KindApprove {
		return "an " + string(k)
	}
	return "a " + string(k)
}

func (p ShellPolicy) refuses(r Run, step string) error {
	const hint = "whoever runs the server may allow it: debug_shell: {allow: always} in its settings"
	switch {
	case r.Change.IsFromFork():
		return Errorf(CodeForbidden, "there are no debug shells for pull requests from forks")
	case p == ShellsAlways:
		return nil
	case p != ShellsUnprotected:
		return Errorf(CodeForbidden, "there are no debug shells on this server")
	case r.Change.Trusted:
		return Errorf(CodeForbidden, "%s is protected, and a debug shell sees the step's secrets", r.Change.Branch).WithHint(hint)
	}
	for _, before := range r.Behind(step) {
		if before.Kind == KindDeploy && before.Excluded == "" {
			return Errorf(CodeForbidden, "%s is behind the deployment to %s, and a debug shell sees the step's secrets", step, before.Deploy).WithHint(hint)
		}
	}
	return nil
}
