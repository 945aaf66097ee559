package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// adopt makes what the pipeline files of the default branch's tip say about times and about other pipelines what counts
// from now on. Where they could not all be read, what counted before goes on.
func (a *act) adopt(p towpath.Project, found reading) error {
	if found.files == nil || found.change.Branch != p.DefaultBranch {
		return nil
	}
	head, err := a.tx.Head(p.ID, p.DefaultBranch)
	if err != nil || head != found.change.Revision {
		return err
	}
	if err := a.adoptSchedules(p.ID, found.files); err != nil {
		return err
	}
	if err := a.adoptFollowers(p.ID, found.files); err != nil {
		return err
	}
	wantsTags := slices.ContainsFunc(found.files, func(f *pipeline.File) bool { return len(f.Triggers().Tags) > 0 })
	return a.tx.SaveWantsTags(p.ID, wantsTags)
}

// adoptSchedules leaves one that was there already as it stands.
func (a *act) adoptSchedules(project string, files []*pipeline.File) error {
	known, err := a.tx.Schedules(project)
	if err != nil {
		return err
	}
	wanted := schedulesOf(project, files)
	isSame := func(s store.Schedule) func(store.Schedule) bool {
		return func(o store.Schedule) bool { return s.Pipeline == o.Pipeline && s.When == o.When }
	}
	for _, s := range known {
		if !slices.ContainsFunc(wanted, isSame(s)) {
			if err := a.tx.DeleteSchedule(s); err != nil {
				return err
			}
		}
	}
	for _, s := range wanted {
		if slices.ContainsFunc(known, isSame(s)) {
			continue
		}
		begun, err := trigger.Begin(s.When, a.at)
		if err != nil {
			return fmt.Errorf("begin with the schedule %s of %s: %w", s.When.Cron, s.Pipeline, err)
		}
		s.Since, s.Next = begun.Since, begun.Next
		if err := a.tx.SaveSchedule(s); err != nil {
			return err
		}
	}
	return nil
}

func schedulesOf(project string, files []*pipeline.File) []store.Schedule {
	var wanted []store.Schedule
	for _, f := range files {
		for _, when := range f.Triggers().Schedules {
			wanted = append(wanted, store.Schedule{Project: project, Pipeline: f.Name(), When: when})
		}
	}
	return wanted
}

func (a *act) adoptFollowers(project string, files []*pipeline.File) error {
	known, err := a.tx.FollowersOf(project)
	if err != nil {
		return err
	}
	var wanted []store.Follower
	for _, f := range files {
		for _, after := range f.Triggers().After {
			wanted = append(wanted, store.Follower{Project: project, Pipeline: f.Name(), After: after})
		}
	}
	for _, f := range known {
		if !slices.Contains(wanted, f) {
			if err := a.tx.DeleteFollower(f); err != nil {
				return err
			}
		}
	}
	for _, f := range wanted {
		if !slices.Contains(known, f) {
			if err := a.tx.SaveFollower(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// fireSchedules records a change for each schedule whose time has come.
func (c *Conductor) fireSchedules(ctx context.Context) (more bool, err error) {
	if c.store.Unwritable() != nil {
		return false, nil
	}
	var due []store.Schedule
	err = c.store.View(ctx, func(tx *store.Tx) error {
		now := c.clock()
		due, err = tx.DueSchedules(now, now.Add(trigger.SetBack), changesBatch)
		return err
	})
	if err != nil || len(due) == 0 {
		return false, err
	}
	err = c.update(ctx, func(a *act) error {
		for _, s := range due {
			if err := a.fire(s); err != nil {
				return fmt.Errorf("fire the schedule %s of %s: %w", s.When.Cron, s.Pipeline, err)
			}
		}
		return nil
	})
	if err == nil {
		c.ChangesRecorded()
	}
	return len(due) == changesBatch, err
}

// fire moves a schedule on, and records the change in the same commit.
func (a *act) fire(s store.Schedule) error {
	s, err := a.tx.Schedule(s)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	fired, err := trigger.Fire(s.When, trigger.Firing{Since: s.Since, Next: s.Next}, a.at)
	if err != nil { // no version that wrote it would refuse it: its zone is gone
		a.log.Error("a schedule cannot be read any more", "pipeline", s.Pipeline, "cron", s.When.Cron, "zone", s.When.Zone, "error", err)
		return a.tx.DeleteSchedule(s)
	}
	s.Since, s.Next = fired.Since, fired.Next
	if fired.Again {
		s.Turn++
	}
	if fired.Fires {
		if err := a.recordTime(s); err != nil {
			return err
		}
	}
	return a.tx.SaveSchedule(s)
}

// recordTime records that the time of a schedule has come. A project that is paused, or whose default branch is gone,
// lets it pass.
func (a *act) recordTime(s store.Schedule) error {
	project, _, err := a.tx.Project(s.Project)
	if err != nil || project.Paused {
		return err
	}
	head, err := a.tx.Head(s.Project, project.DefaultBranch)
	if err != nil || head == "" {
		return err
	}
	_, err = a.tx.RecordChange(towpath.Change{
		Project: s.Project, Branch: project.DefaultBranch, Revision: head, Trigger: towpath.TriggerSchedule,
		Pipelines: []string{s.Pipeline}, Trusted: true, SeenAt: a.at,
	}, timeKey(s))
	return err
}

// timeKey names the time for which a schedule fires. Two schedules of a pipeline that name the same time fire once.
func timeKey(s store.Schedule) string {
	key := "schedule/" + s.Pipeline + "/" + s.Since.UTC().Format(time.RFC3339)
	if s.Turn > 0 {
		key += fmt.Sprintf("/%d", s.Turn)
	}
	return key
}
