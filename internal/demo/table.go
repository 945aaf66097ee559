package demo

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is the facts for people.
func (f Facts) Table() string {
	var b strings.Builder
	f.writeCommits(&b)
	f.writeMoves(&b)
	for _, failure := range f.Failures {
		fmt.Fprintf(&b, "failed: %s\n", failure)
	}
	if f.Broken != nil {
		fmt.Fprintf(&b, "\nalert %.0f ms after the failed run, once: %s\n", f.Broken.AlertMS, f.Broken.Alert)
	}
	f.writeReturned(&b)
	f.writeKills(&b)
	fmt.Fprintf(&b, "all of it took %.0f s", f.Seconds)
	return b.String()
}

func (f Facts) writeCommits(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	for _, c := range f.Commits {
		fmt.Fprintf(table, "%.7s\t%s\trun %d\tseen after %s\t%s\n", c.Revision, c.Title, c.Run, seconds(c.SeenMS), c.outcome())
	}
}

func (f Facts) writeMoves(b *strings.Builder) {
	if len(f.Rounds) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%d times back and forward, from the call to the last answer of the old side:\n", len(f.Rounds))
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	slowest := Round{}
	for _, r := range f.Rounds {
		slowest = Round{RollbackMS: max(slowest.RollbackMS, r.RollbackMS), SwitchMS: max(slowest.SwitchMS, r.SwitchMS)}
	}
	fmt.Fprintf(table, "switch\tmedian %.0f ms\tslowest %.0f ms\n", f.SwitchMS, slowest.SwitchMS)
	fmt.Fprintf(table, "rollback\tmedian %.0f ms\tslowest %.0f ms\n", f.RollbackMS, slowest.RollbackMS)
}

func (f Facts) writeReturned(b *strings.Builder) {
	r := f.Returned
	if r == nil {
		return
	}
	fmt.Fprintf(b, "\nrelease %d started healthy and answered errors under traffic:\n", r.Release)
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	fmt.Fprintf(table, "traffic\t%s, from its first answer to its last\n", seconds(r.TrafficMS))
	fmt.Fprintf(table, "5xx\t%d answers beside %d right ones, counted apart from what failed\n", r.Errors, r.Answers)
	if r.Problem != "" {
		fmt.Fprintf(table, "not recovered\t%s\n", firstLine(r.Problem))
		return
	}
	fmt.Fprintf(table, "verdict\t%s\n", r.Verdict)
	fmt.Fprintf(table, "moved back\tby the watch, to release %d; %s is pinned until a newer change comes\n", r.To, production)
	fmt.Fprintf(table, "alert\tafter %.0f ms, once: %s\n", r.AlertMS, r.Alert)
}

func (f Facts) writeKills(b *strings.Builder) {
	if len(f.Kills) == 0 {
		return
	}
	fmt.Fprintf(b, "\nkilled by SIGKILL in the midst of a deployment, and started again:\n")
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	for _, k := range f.Kills {
		fmt.Fprintf(table, "%s\t%s\n", k.Process, firstLine(k.String()))
	}
}

func (c Commit) outcome() string {
	if c.Returned {
		return fmt.Sprintf("release %d moved back after %s", c.Release, seconds(c.EndedMS))
	}
	if c.Release == 0 {
		return "failed after " + seconds(c.EndedMS) + ", nothing deployed"
	}
	return fmt.Sprintf("release %d live after %s", c.Release, seconds(c.EndedMS))
}
