// Package crontab reads times as crontab(5) writes them, and says when the next one comes in a time zone. What it
// promises where the clocks are changed is said at [Schedule.Next].
package crontab

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // for machines that have no time zones of their own
	"unicode/utf8"

	"github.com/netresearch/go-cron"
)

// searchYears is how far ahead a time is looked for: the 29th of February that is a certain weekday of the month's first
// days comes in 28 years at most, but for the years around 2100.
const searchYears = 40

// Schedule is a set of minutes.
type Schedule struct {
	minutes, hours, days, months, weekdays uint64 // a bit for each number
	everyDay, everyWeekday                 bool   // the field begins with a star
	real                                   bool   // the minutes or hours do: see Next
	zone                                   *time.Location
}

// Error says what is wrong with a text.
type Error struct {
	Offset, Width int // of the part that is wrong, in characters
	Message, Hint string
}

func (e *Error) Error() string { return e.Message }

// ErrZone is the cause of an error that is about a time zone.
var ErrZone = errors.New("no such time zone")

// field is one of the five.
type field struct {
	name, hint string
}

var fields = [5]field{
	{"a minute", "minutes go from 0 to 59: 30, 0,30, 10-20, */15"},
	{"an hour", "hours go from 0 to 23: 6, 6,18, 9-17, */2"},
	{"a day of the month", "days go from 1 to 31: 1, 1,15, 1-7"},
	{"a month", "months go from 1 to 12, or jan to dec"},
	{"a day of the week", "weekdays go from 0 (Sunday) to 7 (Sunday), or sun to sat: mon-fri"},
}

// Parse reads the five fields of crontab(5) for a time zone of the IANA database; empty is UTC. What is wrong with the
// text is an [*Error].
func Parse(text, zone string) (Schedule, error) {
	location, err := Zone(zone)
	if err != nil {
		return Schedule{}, err
	}
	words, err := split(text)
	if err != nil {
		return Schedule{}, err
	}
	parsed, err := parser().Parse(strings.Join(strings.Fields(text), " "))
	if err != nil {
		return Schedule{}, &Error{Width: utf8.RuneCountInString(text), Message: err.Error()}
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, fmt.Errorf("read the schedule %q: it is a %T", text, parsed)
	}
	star := func(n int) bool { return strings.HasPrefix(words[n].text, "*") }
	s := Schedule{
		minutes: spec.Minute, hours: spec.Hour, days: spec.Dom, months: spec.Month, weekdays: cron.NormalizeDOW(spec.Dow),
		everyDay: star(2), everyWeekday: star(4), real: star(0) || star(1), zone: location,
	}
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, &Error{
			Width: utf8.RuneCountInString(text), Message: fmt.Sprintf("%q never comes: no such month has such a day", text),
		}
	}
	return s, nil
}

// Zone answers a time zone by its name in the IANA database; empty is UTC.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	location, err := time.LoadLocation(name)
	if err != nil || location == time.Local {
		return nil, fmt.Errorf("%w: %q", ErrZone, name)
	}
	return location, nil
}

// word is a field as it stands in the text.
type word struct {
	text   string
	offset int // in characters
}

// split answers the five fields, each of which can be read.
func split(text string) (words []word, err error) {
	offset := 0
	for part := range strings.SplitSeq(text, " ") {
		if part != "" {
			words = append(words, word{part, offset})
		}
		offset += utf8.RuneCountInString(part) + 1
	}
	if len(words) != len(fields) {
		return nil, miscounted(text, words)
	}
	for i, w := range words {
		if !isField(i, w.text) {
			return nil, &Error{
				Offset: w.offset, Width: utf8.RuneCountInString(w.text),
				Message: fmt.Sprintf("%q is not %s", w.text, fields[i].name), Hint: fields[i].hint,
			}
		}
	}
	return words, nil
}

func miscounted(text string, words []word) error {
	e := &Error{
		Width: utf8.RuneCountInString(text), Message: fmt.Sprintf("%q has %d fields, and a time has five", text, len(words)),
		Hint: `minute, hour, day of the month, month, day of the week: "30 2 * * 1-5"`,
	}
	switch {
	case strings.HasPrefix(text, "@"):
		e.Message = fmt.Sprintf("%q is not a time", text)
	case strings.Contains(text, "TZ="):
		e.Message, e.Hint = fmt.Sprintf("%q names a time zone", text), "write {cron: …, zone: …}"
	}
	return e
}

// isField tries a field alone, between four that are right.
func isField(n int, text string) bool {
	if strings.ContainsAny(text, "?=") || strings.HasPrefix(text, ",") || strings.HasSuffix(text, ",") || strings.Contains(text, ",,") {
		return false
	}
	all := []string{"*", "*", "*", "*", "*"}
	all[n] = text
	_, err := parser().Parse(strings.Join(all, " "))
	return err == nil
}

// parser reads the five fields of crontab(5) and nothing beyond.
func parser() cron.Parser {
	return cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
}
