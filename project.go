package towpath

import "time"

// Project is a repository that Towpath watches.
type Project struct {
	ID            string
	Name          string // unique on the server, [a-z0-9-]
	URL           string // what git fetches from; never holds a credential
	DefaultBranch string
	Poll          time.Duration // how often the repository is asked for new commits; 0 is never
	Paused        bool          // no new runs are started
	CreatedAt     time.Time
}
