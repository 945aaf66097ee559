package worker

import (
	"errors"
	"log/slog"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
)

// ErrDrain lets the steps that run come to their end when it is the cause of the end of Run's context. With every
// other cause they are interrupted.
var ErrDrain = errors.New("the worker drains")

// ErrRemoved says that the server does not know this worker, or no longer.
var ErrRemoved = errors.New("the server does not accept this worker")

// ErrInUse says that another worker has the data folder.
var ErrInUse = errors.New("data folder is in use by another worker")

// Options are what a worker is told at its start.
type Options struct {
	Client  *client.Client // with the worker's own key
	DataDir string         // absolute; made when it is missing
	Version string         // of this program
	Name    string         // among the workers, for people who look at what it left in docker
	Slots   int            // steps at a time; at least 1
	Logger  *slog.Logger

	// Kubernetes is the cluster where steps inside of a container run; nil: the docker daemon of this machine has them.
	Kubernetes *kubernetes.Cluster

	// PassEnv names variables of the worker's own environment that scripts get besides PATH.
	PassEnv []string
	// Grace is how long an interrupted script may take to end by itself; 10 seconds by default.
	Grace time.Duration
	// MinFree is how many bytes have to be free on the disk of DataDir before another step is taken; 1 GiB by
	// default, below 0 for any.
	MinFree int64
	// CacheSize is about how many bytes of artifacts are kept for later steps; 2 GiB by default.
	CacheSize int64
	// Isolation says how far steps are kept from each other; by default they are not.
	Isolation Isolation
	// StopLimit is how long a worker that stops goes on trying to deliver logs and reports; 5 seconds by default.
	StopLimit time.Duration
	// ShellAlone is how long a debug shell waits for its person, who may have lost the connection; a minute by default.
	ShellAlone time.Duration
}

func (o Options) withDefaults() Options {
	o.Slots = max(o.Slots, 1)
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.MinFree == 0 {
		o.MinFree = 1 << 30
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 2 << 30
	}
	if o.StopLimit <= 0 {
		o.StopLimit = 5 * time.Second
	}
	if o.ShellAlone <= 0 {
		o.ShellAlone = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
