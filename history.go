package towpath

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Chronicle is what is told of a deployment afterwards, beside what became of it.
type Chronicle struct {
	Deployment string    // ID
	Plan       string    // what was forecast as it began
	Operations int       // of that forecast
	Settings   []Setting `json:",omitempty"` // what is another than before it
	Commits    *Commits  `json:",omitempty"` // nil as long as nobody has looked
}

// Setting is a part of an environment's definition, or of a release's configuration, that a deployment changed.
type Setting struct {
	Name   string // "Strategy.Kind", or "env MODE"
	Before string `json:",omitempty"` // empty where it was not there; of variables never said
	After  string `json:",omitempty"` // empty where it is not there any more; of variables never said
	How    string // added, removed or changed
}

// Commits are those by which two releases differ.
type Commits struct {
	Added   []Commit `json:",omitempty"` // newest first, at most MostCommits
	Removed []Commit `json:",omitempty"` // that the release before had and this one has not
	More    bool     `json:",omitempty"` // there are more than are told
	Problem string   `json:",omitempty"` // why they are not known
}

// MostCommits is how many commits of each side are told.
const MostCommits = 100

// Commit is a revision as people tell it from others.
type Commit struct {
	Revision string
	Title    string
	Author   string
	At       time.Time
}

// JournalEntry is one operation of a deployment as its keeper performed it.
type JournalEntry struct {
	Deployment string // ID
	Operation  string // with its reason, in words
	Began      time.Time
	Ended      time.Time
	Problem    string `json:",omitempty"` // why it failed; empty where it did what it should
}

// mostSetting is how much of a setting is told, in characters.
const mostSetting = 200

// Differences answers what one definition says otherwise than another. Variables are told by Variables.
func (d EnvironmentDefinition) Differences(before EnvironmentDefinition) []Setting {
	before.Env, before.Line, d.Env, d.Line = nil, 0, nil, 0
	was, is := flat(before), flat(d)
	var found []Setting
	for _, name := range names(was, is) {
		if was[name] != is[name] {
			found = append(found, setting(name, was, is, false))
		}
	}
	return found
}

// VariablesChanged answers which variables differ, without their values: those may be secret however they came there.
func VariablesChanged(before, after map[string]string) []Setting {
	var found []Setting
	for _, name := range names(before, after) {
		was, wasThere := before[name]
		is, isThere := after[name]
		if wasThere != isThere || was != is {
			s := setting(name, before, after, true)
			s.Name = "env " + name
			found = append(found, s)
		}
	}
	return found
}

func names(a, b map[string]string) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func setting(name string, before, after map[string]string, isHidden bool) Setting {
	was, wasThere := before[name]
	is, isThere := after[name]
	s := Setting{Name: name, Before: clipSetting(was), After: clipSetting(is), How: "changed"}
	switch {
	case !wasThere:
		s.How = "added"
	case !isThere:
		s.How = "removed"
	}
	if isHidden {
		s.Before, s.After = "", ""
	}
	return s
}

func clipSetting(text string) string {
	if letters := []rune(text); len(letters) > mostSetting {
		return string(letters[:mostSetting-1]) + "…"
	}
	return text
}

// flat answers the fields of a definition by their paths, those that are not empty.
func flat(d EnvironmentDefinition) map[string]string {
	encoded, err := json.Marshal(d)
	var value any
	if err == nil {
		err = json.Unmarshal(encoded, &value)
	}
	found := map[string]string{}
	if err == nil {
		flatten(found, "", value)
	}
	return found
}

func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for key, of := range v {
			flatten(into, joinedBy(".", path, key), of)
		}
	case []any:
		for n, of := range v {
			flatten(into, fmt.Sprintf("%s[%d]", path, n), of)
		}
	case string:
		if v != "" {
			into[path] = v
		}
	case float64:
		if v != 0 {
			into[path] = number(path, v)
		}
	case bool:
		if v {
			into[path] = "true"
		}
	}
}

// lengths are the last parts of the paths of durations, which JSON has in nanoseconds.
var lengths = []string{"Standby", "Within", "Interval", "Timeout", "Requests", "Streams", "For", "P99"}

func number(path string, v float64) string {
	if slices.ContainsFunc(lengths, func(l string) bool { return path == l || len(path) > len(l) && path[len(path)-len(l)-1:] == "."+l }) {
		return time.Duration(v).String()
	}
	return fmt.Sprintf("%g", v)
}
