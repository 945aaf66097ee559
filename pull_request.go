package towpath

// PullRequest is a wish that a branch be merged (GitLab says merge request).
type PullRequest struct {
	Number int
	Title  string
	URL    string // for people
	Author string // account at the forge
	Base   string // branch that it goes to, without refs/heads/
	Head   string // branch that it comes from, in its own repository
	Fork   bool   // it comes from another repository, or nobody can tell
	Ref    string // full name, in the repository that it goes to, of the reference that holds its commits
}

// ForkPolicy says what becomes of a pull request from a fork.
type ForkPolicy string

// The policies.
const (
	ForksAsk    ForkPolicy = ""       // each of its changes waits for a maintainer's go
	ForksRun    ForkPolicy = "run"    // it runs like one of the repository's own, still without secrets and environments
	ForksIgnore ForkPolicy = "ignore" // it makes no runs
)

// ForkPolicies lists every policy.
var ForkPolicies = []ForkPolicy{ForksAsk, ForksRun, ForksIgnore}
