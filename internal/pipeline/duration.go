package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// durationPattern is how the file writes durations: whole numbers, each with its unit, the largest first by custom.
const durationPattern = `^([0-9]{1,9}(ms|s|m|h|d))+$`

const day = 24 * time.Hour

// maxDuration is the longest that may be written: about ten years.
const maxDuration = 3650 * day

var errDuration = errors.New("not a duration")

// units, the largest first.
var units = []struct {
	name   string
	length time.Duration
}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

var (
	durationForm = regexp.MustCompile(durationPattern)
	durationPart = regexp.MustCompile(`([0-9]+)([a-z]+)`)
)

// parseDuration reads "30s", "5m", "7d", "1h30m".
func parseDuration(text string) (time.Duration, error) {
	if len(text) > 60 || !durationForm.MatchString(text) {
		return 0, errDuration
	}
	var sum time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errDuration, err)
		}
		unit := unitLength(part[2])
		if n > int64(maxDuration/unit) || sum > maxDuration-time.Duration(n)*unit {
			return 0, errDuration
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}

func unitLength(name string) time.Duration {
	for _, u := range units {
		if u.name == name {
			return u.length
		}
	}
	return time.Second
}

// formatDuration writes what parseDuration reads.
func formatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range units {
		if n := d / u.length; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.length
		}
	}
	return b.String()
}
