package worker

import (
	"sync"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/git"
)

// workspace is what stands in a place between two steps: the checkout of the last one, pristine again. Steps of other
// pipelines, of branches trusted otherwise, and of another pull request from a fork, never get it.
type workspace struct {
	of       string
	pristine *git.Pristine // nil: there is nothing
}

// ownerOf names the steps that may have each other's workspaces.
func ownerOf(l *client.StepLease) string {
	owner := l.Repository + "\n" + l.Project + "\n" + l.Pipeline + "\n" + kindOf(l)
	if l.Fork {
		owner += "\n" + l.Branch
	}
	return nameOf(owner)
}

// places are where workspaces stand, as many as there are slots.
type places struct {
	mutex sync.Mutex
	taken []bool
	left  []workspace
}

func newPlaces(n int) *places { return &places{taken: make([]bool, n), left: make([]workspace, n)} }

// take answers the free place that suits a step best, with what the step may use of what was left there. There is
// always a free one, since a step gives its place back before its slot.
func (p *places) take(l *client.StepLease) (int, workspace) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	best, bestRank := -1, -1
	for n, taken := range p.taken {
		if rank := p.left[n].suits(l); !taken && rank > bestRank {
			best, bestRank = n, rank
		}
	}
	left := p.left[best]
	p.taken[best], p.left[best] = true, workspace{}
	if left.of != ownerOf(l) {
		left = workspace{}
	}
	return best, left
}

// suits ranks a workspace for a step: one that needs no work is best, somebody else's is worst.
func (w workspace) suits(l *client.StepLease) int {
	switch {
	case w.pristine == nil:
		return 1
	case w.of != ownerOf(l):
		return 0
	case w.pristine.Revision != l.Revision:
		return 2
	}
	return 3
}

func (p *places) give(n int, left workspace) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.taken[n], p.left[n] = false, left
}
