package towpath

import "time"

// ForgeKind says which kind of server a repository lives on: how its webhooks are signed and what they say, and by which
// API it is spoken to.
type ForgeKind string

// The kinds of forges.
const (
	ForgeNone            ForgeKind = ""                 // not known, or none: the documented generic webhook, no statuses
	ForgeGitHub          ForgeKind = "github"           // github.com, or GitHub Enterprise Server
	ForgeGitLab          ForgeKind = "gitlab"           // gitlab.com, or a GitLab of one's own
	ForgeGitea           ForgeKind = "gitea"            // Gitea or Forgejo
	ForgeBitbucket       ForgeKind = "bitbucket"        // bitbucket.org
	ForgeBitbucketServer ForgeKind = "bitbucket-server" // Bitbucket Server or Data Center
)

// ForgeKinds lists every kind.
var ForgeKinds = []ForgeKind{ForgeNone, ForgeGitHub, ForgeGitLab, ForgeGitea, ForgeBitbucket, ForgeBitbucketServer}

// Forge is where a project's repository lives, and what it is called there.
type Forge struct {
	Kind       ForgeKind
	URL        string // of the server, without a slash at its end: https://gitea.example.com
	Repository string // path on the server: ana/shop
}

// Project is a repository that Towpath watches.
type Project struct {
	ID            string
	Name          string // unique on the server, [a-z0-9-]
	URL           string // what git fetches from; never holds a credential
	DefaultBranch string
	Poll          time.Duration // how often the repository is asked for new commits; 0 is never
	Paused        bool          // no new runs are started
	CreatedAt     time.Time

	Forge      Forge      `json:",omitzero"`
	Forks      ForkPolicy `json:",omitempty"`
	Protected  []string   `json:",omitempty"` // globs of branches that are trusted besides the default one
	KnownHosts string     `json:",omitempty"` // the SSH host keys of its repository, as in known_hosts(5); empty: the server's own

	StepsAtOnce int `json:",omitempty"` // that each of its pipelines runs at most; 0 is as many as there are workers for
	Priority    int `json:",omitempty"` // its steps go before those of projects with less
}
