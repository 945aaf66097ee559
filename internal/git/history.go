package git

import (
	"context"
	"fmt"
	"slices"
)

// maxShallow bounds how many commits a shallow history may have: beyond that it saves nobody anything.
const maxShallow = 100_000

// history is what a checkout sees of its repository's past. The zero history is all of it.
type history struct {
	commits map[string]bool // that are seen; nil is all
	shallow []string        // those whose parents are not, sorted
}

func (h history) isWhole() bool { return h.commits == nil }

func (h history) holds(commit []byte) bool { return h.isWhole() || h.commits[string(commit)] }

// history follows all parents of a revision until it has gone so many commits deep, as `git fetch --depth` does.
func (m *Mirror) history(ctx context.Context, revision string, depth int) (history, error) {
	if depth <= 0 {
		return history{}, nil
	}
	h := history{commits: map[string]bool{revision: true}}
	err := m.Read(ctx, func(o *Objects) error {
		next, err := []string{revision}, error(nil)
		for level := 1; len(next) > 0 && err == nil; level++ {
			next, err = h.follow(o, next, level == depth)
		}
		return err
	})
	slices.Sort(h.shallow)
	return h, err
}

// follow answers the parents of commits that were not seen before; of the last ones none.
func (h *history) follow(o *Objects, commits []string, isLast bool) (parents []string, err error) {
	for _, hash := range commits {
		commit, err := o.Commit(hash)
		if err != nil {
			return nil, err
		}
		if isLast {
			if len(commit.Parents) > 0 {
				h.shallow = append(h.shallow, hash)
			}
			continue
		}
		for _, parent := range commit.Parents {
			if !h.commits[parent] {
				h.commits[parent] = true
				parents = append(parents, parent)
			}
		}
	}
	if len(h.commits) > maxShallow {
		return nil, fmt.Errorf("a history of more than %d commits is not shallow: %w", maxShallow, ErrTooLarge)
	}
	return parents, nil
}
