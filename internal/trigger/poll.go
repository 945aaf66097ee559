package trigger

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
)

// tagsSeen stands among a project's heads from when its tags were looked at first: those that were there then make no
// change. No tag has this name.
var tagsSeen = towpath.TagLine("")

// look is what a repository said when it was asked.
type look struct {
	project towpath.Project
	last    int // ID of the last change that was recorded before it was asked
	tips    map[string]string
}

// Poll asks one repository for its branches, and for its tags where its pipelines want them, and records a change for each
// that has moved. A branch that is seen for the first time makes a change if it is the default one, or if others were
// known before: so a new project has its first run at once, and not one for each old branch or tag.
func (p *Poller) Poll(ctx context.Context, project towpath.Project) error {
	l, err := p.look(ctx, project)
	if err != nil {
		return err
	}
	var heads map[string]string
	err = p.store.View(ctx, func(tx *store.Tx) error {
		heads, err = tx.Heads(project.ID)
		return err
	})
	if err != nil || maps.Equal(heads, l.tips) {
		return err
	}
	fresh := false
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		fresh, err = p.record(tx, l)
		return err
	})
	if err == nil && fresh {
		p.recorded()
	}
	return err
}

func (p *Poller) look(ctx context.Context, project towpath.Project) (look, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pollTime, git.ErrTimeout)
	defer cancel()
	withTags := p.tags != nil && p.tags(project.ID)
	l := look{project: project}
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		l.last, err = tx.LastChange()
		return err
	})
	if err != nil {
		return l, err
	}
	seen, err := p.repositories.lines(ctx, project, withTags)
	if err != nil {
		return l, err
	}
	if len(seen.strays) > 0 {
		if _, told := p.strays.LoadOrStore(project.ID, true); !told {
			p.log.Warn("branches make no runs: their names could pass for a tag or a pull request",
				"project", project.Name, "branches", len(seen.strays), "such_as", seen.strays[0])
		}
	}
	l.tips = seen.tips
	if withTags {
		l.tips[tagsSeen] = "seen"
	}
	return l, nil
}

// record keeps what has moved, in the order of the names.
func (p *Poller) record(tx *store.Tx, l look) (fresh bool, err error) {
	heads, err := tx.Heads(l.project.ID)
	if err != nil {
		return false, err
	}
	var moved []string
	for line, revision := range l.tips {
		if heads[line] != revision {
			moved = append(moved, line)
		}
	}
	slices.Sort(moved)
	for _, line := range moved {
		isNew, err := p.recordMove(tx, l, line, heads)
		if err != nil {
			return false, err
		}
		fresh = fresh || isNew
	}
	for line := range heads {
		if _, there := l.tips[line]; !there {
			if err := tx.ForgetHead(l.project.ID, line); err != nil {
				return false, err
			}
		}
	}
	return fresh, nil
}

// recordMove notes where a line is now, and answers whether that made a change. What somebody else has recorded since the
// repository was asked is newer than what it said.
func (p *Poller) recordMove(tx *store.Tx, l look, line string, heads map[string]string) (isNew bool, err error) {
	isQuiet, now := isOld(l.project, line, heads), p.clock()
	var last store.RecordedChange
	if !isQuiet {
		last, err = lastMove(tx, l.project.ID, line)
		if err != nil || last.ID > l.last {
			return false, err
		}
	}
	if err := tx.SaveHead(l.project.ID, line, l.tips[line], now); err != nil || isQuiet {
		return false, err
	}
	change := towpath.Change{
		Project: l.project.ID, Branch: line, Revision: l.tips[line], Before: heads[line],
		Trigger: towpath.TriggerPush, Trusted: IsProtected(l.project, line), SeenAt: now,
	}
	if change.Tag() != "" {
		change.Trigger = towpath.TriggerTag
	}
	isNew, err = tx.RecordChange(change, "")
	if isNew || err != nil || last.ID == 0 || last.Change.Revision == change.Revision {
		return isNew, err
	}
	// It was here before, and went elsewhere in between. What it came back after makes it a change of its own.
	return tx.RecordChange(change, "back/"+strconv.Itoa(last.ID))
}

// isOld says that a line which is seen for the first time was there before we looked.
func isOld(p towpath.Project, line string, heads map[string]string) bool {
	if line == tagsSeen {
		return true
	}
	if towpath.IsLine(line) {
		_, looked := heads[tagsSeen]
		return !looked
	}
	return len(heads) == 0 && line != p.DefaultBranch
}

// lastMove answers the last change of a line that a push made; none has no ID.
func lastMove(tx *store.Tx, project, line string) (store.RecordedChange, error) {
	filter := store.ChangeFilter{Projects: []string{project}, Branch: line, Limit: 10}
	for {
		page, err := tx.Changes(filter)
		if err != nil {
			return store.RecordedChange{}, err
		}
		for _, c := range page {
			if c.Change.Trigger == towpath.TriggerPush || c.Change.Trigger == towpath.TriggerTag {
				return c, nil
			}
		}
		if len(page) < filter.Limit {
			return store.RecordedChange{}, nil
		}
		filter.Before = page[len(page)-1].ID
	}
}
