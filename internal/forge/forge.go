// Package forge knows the servers that repositories live on: how each signs its webhooks and what they say, and by which
// API a repository is found, given a deploy key and a webhook, and told how a commit fares. It knows nothing of runs.
//
// Each kind is a folder of its own, all of the same shape, and is handed in by the wiring.
package forge

import (
	"context"
	"errors"
	"net/http"
)

// Reasons why a delivery or a call is refused.
var (
	// ErrUnsigned says that a delivery bears no signature, or none of the form that its forge uses.
	ErrUnsigned = errors.New("the delivery is not signed")
	// ErrForged says that a delivery's signature was made with none of the secrets.
	ErrForged = errors.New("the delivery's signature is not valid")
	// ErrDenied says that a forge did not accept the token, or that it does not allow the call.
	ErrDenied = errors.New("the forge does not allow it")
	// ErrNotFound says that there is no such repository at a forge, or that the token does not show it.
	ErrNotFound = errors.New("the forge knows no such repository")
	// ErrUnsupported says that a kind of forge has no such thing.
	ErrUnsupported = errors.New("this kind of forge cannot do it")
	// ErrBusy says that a forge did not answer, or asked to be called later: the same call may succeed then.
	ErrBusy = errors.New("the forge does not answer")
)

// Hooks is how a kind of forge makes deliveries. Its methods have no I/O, and are safe for concurrent use.
type Hooks interface {
	// Verify answers nil where the signature over the raw body, or the token beside it, was made with one of the secrets,
	// ErrUnsigned or ErrForged where not. The time that it takes tells nothing of the secrets. No secrets verify nothing.
	Verify(header http.Header, body []byte, secrets []string) error
	// Identify answers the forge's own ID of a delivery, which a repeated delivery has again (empty where it gives none),
	// and its name of the event. It reads headers only.
	Identify(header http.Header) (id, event string)
	// Parse reads what a verified delivery says. The error is for people; a delivery that is whole but of an event that
	// means nothing to us is one of kind EventOther.
	Parse(header http.Header, body []byte) ([]Event, error)
}

// EventKind is what happened in a repository.
type EventKind string

// The kinds of events.
const (
	EventPing          EventKind = "ping" // the webhook was set up
	EventPush          EventKind = "push" // a branch moved, was made or deleted
	EventTag           EventKind = "tag"  // a tag moved, was made or deleted
	EventRequestOpen   EventKind = "pull-request"
	EventRequestClosed EventKind = "pull-request-closed" // merged or not
	EventOther         EventKind = "other"               // nothing that we act on; Note says what
)

// Event is what a delivery says. One delivery may hold several (Bitbucket puts all branches of a push into one).
type Event struct {
	Kind       EventKind
	Repository string // path on the server, as in Repository.Path; as the forge says it
	Branch     string // without refs/heads/, for EventPush
	Tag        string // without refs/tags/, for EventTag
	Before     string // full hash; empty where it was made just now
	After      string // full hash (of a tag, where the forge says it, of the commit that it names); empty where it was deleted
	Request    *Request
	Note       string // for people, for EventOther
}

// Request is a pull request, or merge request.
type Request struct {
	Number  int
	Title   string
	URL     string // for people
	Author  string // account
	Base    string // branch that it goes to
	Head    string // branch that it comes from
	HeadSHA string // full hash; empty where the forge does not say it in full (Bitbucket Cloud): Ref tells it
	Fork    bool   // it comes from another repository, or the delivery does not tell
	Draft   bool
	// Ref is the full name, in the repository that it goes to, of the reference that holds its commits: refs/pull/7/head.
	// It is empty where there is none (Bitbucket Cloud, from a fork).
	Ref string
	// Changed says that it may have to be tried anew: it has commits that it did not have before, goes to another branch, is
	// new, open again or no draft any more, or the forge does not tell what changed (Bitbucket Cloud). False where only words
	// did, and where it is closed.
	Changed bool
}

// API is a repository at a forge, spoken to with a token. Errors wrap one of the reasons above where one fits. It is safe
// for concurrent use.
type API interface {
	// Repository answers what the forge knows of it.
	Repository(ctx context.Context) (Repository, error)
	// AddDeployKey lets a public key (a line of authorized_keys) read the repository. One that is there already is no error.
	AddDeployKey(ctx context.Context, title, publicKey string) error
	// SetWebhook has deliveries of pushes, tags and pull requests made to a URL. A webhook of ours for that URL that is
	// there already is changed, never doubled.
	SetWebhook(ctx context.Context, url, secret string) error
	// RemoveWebhook ends them. None is no error.
	RemoveWebhook(ctx context.Context, url string) error
	// SetStatus shows a status beside a commit. The same context on the same commit is overwritten.
	SetStatus(ctx context.Context, revision string, s Status) error
}

// Repository is what a forge says of a repository.
type Repository struct {
	Path          string // on the server: ana/shop
	DefaultBranch string
	CloneHTTPS    string
	CloneSSH      string
	Private       bool
	Protected     []string // globs of protected branches, where the token shows them
}

// State is how a commit fares.
type State string

// The states of a status. A forge that has no word for one takes the nearest.
const (
	StatePending State = "pending"
	StateSuccess State = "success"
	StateFailure State = "failure"
	StateSkipped State = "skipped" // counts as a success
)

// Status is shown beside a commit.
type Status struct {
	Context     string // names the status among those of a commit: towpath/shop
	State       State
	Description string // short
	URL         string // for people
}

// Where is how a repository is reached by its API.
type Where struct {
	Server string // the forge's own address, as people see it, without a slash at its end: https://gitea.example.com
	Path   string // of the repository: ana/shop
	Token  string // of an account or an application; its kind is the forge's matter
	Client *http.Client
}

// Kind is one kind of forge.
type Kind struct {
	Name  string // as a project's settings have it: "github"
	Hooks Hooks
	// Open answers the API of a repository; nil where the kind has none.
	Open func(Where) (API, error)
	// Recognizes says by a server's address, or by asking it, whether it is of this kind. It needs no token.
	Recognizes func(ctx context.Context, client *http.Client, server string) (bool, error)
	// Manual says how a person sets the webhook up by hand: what to paste where, in plain lines.
	Manual func(where Where, hookURL, secret string) string
	// RequestRefspec answers the refspec by which the commits of all pull requests are fetched, empty where the forge keeps
	// no references of them.
	RequestRefspec string
}
