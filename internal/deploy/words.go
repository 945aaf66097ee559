package deploy

import (
	"fmt"
	"strings"
	"time"
)

// count answers "1 instance", "2 instances".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// brief answers a duration as people say it: "60s", "5m", "1h30m".
func brief(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%.3gs", d.Seconds())
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// age answers how long something has been: "2 days"; empty where that is not known.
func age(now, since time.Time) string {
	d := now.Sub(since)
	switch {
	case since.IsZero() || d < 0:
		return ""
	case d >= 48*time.Hour:
		return count(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return count(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return count(int(d/time.Minute), "minute")
	default:
		return count(int(d/time.Second), "second")
	}
}
