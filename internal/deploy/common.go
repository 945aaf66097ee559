package deploy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
)

// exchangedAssets says whose pages find their scripts in whose release, once one is placed; empty where none do.
func (s *story) exchangedAssets(o Place) string {
	folder := s.facts.Environment.Definition.Assets
	numbers := []int{o.Release}
	for _, i := range s.facts.Observed.Instances {
		if i.State != towpath.InstanceGone && i.Release > 0 {
			numbers = append(numbers, i.Release)
		}
	}
	numbers = distinct(numbers)
	if folder == "" || len(numbers) < 2 {
		return ""
	}
	return fmt.Sprintf("%s have each other's %s", releasesInWords(numbers), folder)
}

// commonInWords says what releases have in common on a host, so that what one writes there the other reads; empty where
// there is nothing, or one release only.
func commonInWords(e towpath.Environment) string {
	hosts := e.Definition.Target.Hosts
	if hosts == nil || len(hosts.Shared) == 0 || e.Live.Number == 0 || e.Goal.Number == 0 || e.Live.Number == e.Goal.Number {
		return ""
	}
	return fmt.Sprintf("%s share %s on each host", releasesInWords(distinct([]int{e.Live.Number, e.Goal.Number})), strings.Join(hosts.Shared, ", "))
}

func distinct(numbers []int) []int {
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// releasesInWords answers "releases 40, 41 and 42".
func releasesInWords(numbers []int) string {
	words := make([]string, 0, len(numbers))
	for _, n := range numbers {
		words = append(words, strconv.Itoa(n))
	}
	last := len(words) - 1
	return "releases " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// those names instances: by their release where they are all of it that run, else where they run, or themselves.
func (s *story) those(names []string) string {
	var parts []string
	where := make(map[string][]string)
	for _, i := range slices.SortedFunc(slices.Values(s.facts.Observed.Instances), byAge) {
		if !slices.Contains(names, i.ID) {
			continue
		}
		part := release(i)
		switch isAll := !slices.ContainsFunc(s.facts.Observed.Instances, func(o towpath.Instance) bool {
			return o.Release == i.Release && isStarted(o) && !slices.Contains(names, o.ID)
		}); {
		case isAll:
		case i.Slot == "":
			part = i.ID
		default:
			where[part] = append(where[part], i.Slot)
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	for n, part := range parts {
		if slots := where[part]; len(slots) > 0 {
			parts[n] = part + " on " + list(slots)
		}
	}
	return list(parts)
}
