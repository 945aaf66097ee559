package pipeline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// maxWindows is how many windows an environment has at most.
const maxWindows = 50

const (
	dayPattern  = `^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$`
	timePattern = `^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$`
)

// days are the words for days, the first day of the week at last: it is 0.
var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var dayForm = regexp.MustCompile(dayPattern)

func windowShape() *shape {
	hour := matching("a time of the day", timePattern, "write hours and minutes, for example 09:00; 24:00 is the end of a day")
	day := matching("a day of the week, or some in a row", dayPattern, "write mon, tue, wed, thu, fri, sat or sun, or mon-fri")
	return mapping(
		field{key: "days", doc: "on which it begins, such as mon-fri or [tue, thu]; by default every day", shape: several(day)},
		field{key: "from", doc: "when it begins", fallback: "00:00", shape: text(hour)},
		field{key: "to", doc: "when it ends; before from is on the day after", fallback: "24:00", shape: text(hour)},
		field{key: "zone", doc: "time zone of the IANA database", fallback: utc, shape: text(nil)},
	)
}

func (b *builder) windows(e towpath.EnvironmentDefinition, v *value) []towpath.Window {
	if !v.has("windows") {
		return nil
	}
	var found []towpath.Window
	for _, w := range v.get("windows").each() {
		found = append(found, b.window(w))
	}
	if len(found) > maxWindows {
		b.wrong(v.get("windows").at, fmt.Sprintf("%s has %d windows, and an environment at most %d", e.Name, len(found), maxWindows), "")
	}
	return found
}

func (b *builder) window(v *value) towpath.Window {
	w := towpath.Window{
		Days: daysOf(v.get("days").texts()), From: minuteOf(v.get("from").string()), To: minuteOf(v.get("to").string()), Zone: v.get("zone").string(),
	}
	if w.Zone == utc {
		w.Zone = ""
	}
	b.isZone(v.get("zone"), w.Zone)
	isRead := !v.misread("from") && !v.misread("to")
	if isRead && (w.From == w.To || w.From == 24*60) {
		b.wrong(v.at, "this window ends when it begins", "leave from and to out for the whole day")
	}
	return w
}

// minuteOf reads a time of the day, whose form was checked.
func minuteOf(text string) int {
	var hours, minutes int
	if _, err := fmt.Sscanf(text, "%d:%d", &hours, &minutes); err != nil {
		return 0
	}
	return 60*hours + minutes
}

// daysOf reads days, whose form was checked; "sat-mon" goes over the end of the week.
func daysOf(texts []string) []time.Weekday {
	var found []time.Weekday
	for _, text := range texts {
		if !dayForm.MatchString(text) {
			continue
		}
		first, last, _ := strings.Cut(text, "-")
		day, end := slices.Index(days, first), slices.Index(days, cmp.Or(last, first))
		for ; ; day = (day + 1) % len(days) {
			found = append(found, time.Weekday(day))
			if day == end {
				break
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (w *writer) windows(windows []towpath.Window) {
	if len(windows) == 0 {
		return
	}
	w.open(2, "windows")
	for _, window := range windows {
		at := func(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
		fmt.Fprintf(w, "      - from: %s\n", scalarText(at(window.From)))
		w.put(4, "to", at(window.To))
		w.put(4, "zone", cmp.Or(window.Zone, utc))
		if len(window.Days) > 0 {
			w.put(4, "days", dayWords(window.Days))
		}
	}
}

func dayWords(on []time.Weekday) []string {
	var found []string
	for _, day := range on {
		found = append(found, days[day])
	}
	return found
}
