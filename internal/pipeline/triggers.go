package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/crontab"
)

// Limits on what may start a pipeline.
const (
	maxSchedules = 50
	maxInputs    = 50
)

// every is the glob of all names.
const every = "**"

// utc is the zone of a schedule that names none.
const utc = "UTC"

// triggers reads `on`. Where it names something else that starts the pipeline, and not push, pushes start nothing.
func (b *builder) triggers(on *value) towpath.Triggers {
	t := towpath.Triggers{
		Branch:       on.get("push", "branches").texts(),
		Paths:        on.get("push", "paths").texts(),
		Manual:       on.get("manual").bool() || on.get("manual").isMapping(),
		Tags:         tags(on),
		PullRequests: pullRequests(on),
		Schedules:    b.schedules(on),
		After:        b.after(on),
		Inputs:       b.inputs(on.get("manual", "inputs")),
	}
	t.Push = !on.has("manual") && !startsByItself(t)
	if push := on.get("push"); on.has("push") {
		t.Push = push.isMapping() || push.bool()
	}
	t.Poll = poll(on, t)
	if !starts(t) && !misreadsTrigger(on) {
		b.unfit(on.key, "nothing starts this pipeline: push and manual are both off", "switch one of them on, or name a tag, pull_request, schedule or pipeline")
	}
	return t
}

// triggerKeys are those that say what starts a pipeline, besides push.
var triggerKeys = []string{"manual", "tag", "pull_request", "schedule", "pipeline"}

// misreadsTrigger says that a trigger is there but wrong, which is told already.
func misreadsTrigger(on *value) bool {
	return slices.ContainsFunc(append([]string{"push"}, triggerKeys...), on.misread)
}

func starts(t towpath.Triggers) bool { return t.Push || t.Manual || startsByItself(t) }

// startsByItself says that something besides pushes and people starts the pipeline.
func startsByItself(t towpath.Triggers) bool {
	return len(t.Tags)+len(t.Schedules)+len(t.After) > 0 || t.PullRequests != nil
}

// poll is only for what a repository can be asked for.
func poll(on *value, t towpath.Triggers) time.Duration {
	length := on.get("poll").duration()
	if poll := on.get("poll"); on.has("poll") && poll.text == "" && poll.bool() {
		length, _ = parseDuration("2m")
	}
	if !t.Push && len(t.Tags) == 0 {
		return 0
	}
	return length
}

func tags(on *value) []string {
	tag := on.get("tag")
	switch {
	case !on.has("tag"):
		return nil
	case tag.list || tag.text != "":
		return tag.texts()
	case tag.bool():
		return []string{every}
	}
	return nil
}

func pullRequests(on *value) *towpath.PullRequestTriggers {
	wanted := on.get("pull_request")
	if !on.has("pull_request") || !wanted.isMapping() && !wanted.bool() {
		return nil
	}
	return &towpath.PullRequestTriggers{Branches: wanted.get("branches").texts(), Paths: wanted.get("paths").texts()}
}

func (b *builder) after(on *value) []string {
	if !on.has("pipeline") {
		return nil
	}
	for _, name := range on.get("pipeline").each() {
		if name.text == b.out.Name {
			b.wrong(name.at, name.text+" would start itself for ever", "name another pipeline")
		}
	}
	return on.get("pipeline").texts()
}

func (b *builder) schedules(on *value) []towpath.Schedule {
	if !on.has("schedule") {
		return nil
	}
	var found []towpath.Schedule
	for _, v := range on.get("schedule").each() {
		s, ok := b.schedule(v)
		if ok && slices.Contains(found, s) {
			b.wrong(v.at, fmt.Sprintf("%q stands here twice", s.Cron), "keep one of them")
		}
		found = append(found, s)
	}
	if len(found) > maxSchedules {
		b.wrong(on.get("schedule").at, fmt.Sprintf("%d schedules; a pipeline has at most %d", len(found), maxSchedules), "")
	}
	return found
}

// schedule reads one time, and points at the field of it that is wrong.
func (b *builder) schedule(v *value) (towpath.Schedule, bool) {
	at := v
	if v.isMapping() {
		at = v.get("cron")
	}
	s := towpath.Schedule{Cron: strings.TrimSpace(at.string()), Zone: v.get("zone").string()}
	if at == nil {
		return s, false
	}
	if s.Zone == utc {
		s.Zone = ""
	}
	isZone := b.isZone(v.get("zone"), s.Zone)
	_, err := crontab.Parse(at.text, "")
	if wrong, ok := errors.AsType[*crontab.Error](err); ok {
		b.wrong(at.part(wrong.Offset, wrong.Width), wrong.Message, wrong.Hint)
	}
	return s, err == nil && isZone
}

// isZone says that a zone is one, and tells where it is none.
func (b *builder) isZone(v *value, zone string) bool {
	_, err := crontab.Zone(zone)
	if err != nil {
		b.wrong(v.at, fmt.Sprintf("%q is not a time zone", clip(zone)), "write a name of the IANA database, such as Europe/Vienna or UTC")
	}
	return err == nil
}

// part is the place of some characters of a text that stands on one line, or else that of the whole.
func (v *value) part(offset, width int) place {
	quotes := v.at.width - utf8.RuneCountInString(v.text)
	if strings.Contains(v.text, "\n") || quotes < 0 || quotes > 2 {
		return v.at
	}
	return place{v.at.line, v.at.column + quotes/2 + offset, width}
}

func (b *builder) inputs(v *value) []towpath.Input {
	if v == nil {
		return nil
	}
	if len(v.keys()) > maxInputs {
		b.wrong(v.key, fmt.Sprintf("%d inputs; a pipeline has at most %d", len(v.keys()), maxInputs), "")
	}
	var found []towpath.Input
	as := map[string]string{} // by the variable's name
	for _, name := range v.keys() {
		variable := strings.ToUpper(name)
		if other, twice := as[variable]; twice {
			b.wrong(v.key, fmt.Sprintf("%s and %s are both TOWPATH_INPUT_%s", other, name, variable), "choose another name for one of them")
		}
		as[variable] = name
		if i := v.get(name); i != nil {
			found = append(found, b.input(name, i))
		}
	}
	return found
}

func (b *builder) input(name string, v *value) towpath.Input {
	i := towpath.Input{Name: name, Kind: towpath.InputKind(v.get("type").string()), Required: !v.has("default")}
	if v.has("choices") {
		i.Choices = v.get("choices").texts()
	}
	switch isChoice := i.Kind == towpath.InputChoice; {
	case isChoice && len(i.Choices) == 0 && !v.misread("choices") && !v.get("choices").isBroken():
		b.wrong(v.key, name+" is a choice of nothing", "write choices: [small, large]")
	case !isChoice && v.has("choices"):
		b.wrong(v.get("choices").key, fmt.Sprintf("%s is a %s, which has no choices", name, i.Kind), "write type: choice")
	}
	if v.has("default") && len(i.Choices) == 0 == (i.Kind != towpath.InputChoice) {
		b.inputDefault(&i, v.get("default"))
	}
	return i
}

func (b *builder) inputDefault(i *towpath.Input, v *value) {
	accepted, err := i.Accept(v.raw)
	if err == nil {
		i.Default = accepted
		return
	}
	wrong, hint := err.Error(), ""
	if told, ok := errors.AsType[*towpath.Error](err); ok {
		wrong, hint = told.Message, told.Hint
	}
	b.wrong(v.at, "the default of "+wrong, hint)
}
