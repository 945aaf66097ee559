package towpath

import "time"

// Worker is a machine's process that runs steps and keeps environments.
type Worker struct {
	ID       string // kept in the worker's data folder, so that it survives a restart
	Name     string
	OS       string // GOOS
	Arch     string // GOARCH
	Labels   []string
	Slots    int // steps at a time
	Version  string
	SeenAt   time.Time
	JoinedAt time.Time
}

// HasProgram begins the labels that a worker gives itself for the programs that it finds: has=docker.
const HasProgram = "has="

// Isolation begins the label by which a worker says how far it keeps steps of its own shell apart: isolation=namespaces.
const Isolation = "isolation="

// IsolationNamespaces is the label of workers that give each step a world of its own.
const IsolationNamespaces = Isolation + "namespaces"

// Platform is os/arch, as artifacts record it.
func (w Worker) Platform() string { return w.OS + "/" + w.Arch }

// Lease is the right of a worker to run one attempt of a step. It is renewed while the step runs; a report under a
// lease whose attempt is no longer the current one is refused.
type Lease struct {
	Run     string // run's ID
	Step    string // step's name
	Attempt int    // counts from 1
	Worker  string // worker's ID
	Call    string // the worker's name of its call that the lease answers; empty: it gave none
	Expires time.Time

	LogLimit int64 // bytes that are kept of what the step prints, as the worker was told; 0: as many as it keeps by itself
}
