package towpath

// StatusState is how a commit fares, as a forge shows it.
type StatusState string

// The states of a status.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure"
	StatusSkipped StatusState = "skipped" // counts as a success
)

// Status is what a forge shows beside a commit.
type Status struct {
	Revision string // full commit hash
	Context  string // names the status among those of the commit: towpath/shop, towpath/shop/production
	State    StatusState
	Text     string // for people, in a line
	Path     string // of the page on this server that says more
}
