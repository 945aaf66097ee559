package deploy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aclements/go-moremath/stats"

	"github.com/towpath-cd/towpath"
)

// VerdictState is what a watch says.
type VerdictState string

// The verdicts.
const (
	VerdictPass   VerdictState = "pass"
	VerdictFail   VerdictState = "fail"
	VerdictNoData VerdictState = "no data" // too few requests to say anything
)

// Verdict is what a watch says, and its figures.
type Verdict struct {
	State VerdictState
	Text  string // "4.1% of 8,312 requests failed (limit 1%; release 41: 0.02% of 120,004)"
}

// How unlikely a figure has to be for a release that keeps its limits before it counts as bad. A watch looks every second
// or two, so that chance gets many tries before its end: until then only what hardly ever happens by chance counts.
const (
	chanceMeanwhile = 0.0001
	chanceAtTheEnd  = 0.01
)

// Judge compares what a release has answered with the limits of its watch. A share above its limit counts where it is too
// large to have come by chance, by the exact binomial test; and, where the old release is above the limit as well, where
// the new one is worse than the old, by Fisher's exact test. So neither one unlucky request nor a broken neighbour of
// both moves the traffic back.
func Judge(limits towpath.WatchDefinition, fresh, old towpath.Served, isOver bool) Verdict {
	chance := chanceMeanwhile
	if isOver {
		chance = chanceAtTheEnd
	}
	if fresh.Requests < uint64(max(1, limits.Minimum)) {
		return Verdict{VerdictNoData, fmt.Sprintf("%s answered, too few of %s to judge",
			requests(fresh.Requests), grouped(uint64(limits.Minimum)))}
	}
	failed := comparison{
		bad: fresh.Errors, all: fresh.Requests, oldBad: old.Errors, oldAll: old.Requests, limit: limits.Errors,
	}
	if failed.isBad(chance) {
		return Verdict{VerdictFail, failed.inWords("failed", old.Release)}
	}
	const slowest = 0.01 // one of a hundred may be slower than the p99
	slow := comparison{
		bad: fresh.Slower(limits.P99), all: fresh.Requests, oldBad: old.Slower(limits.P99), oldAll: old.Requests, limit: slowest,
	}
	if limits.P99 > 0 && slow.isBad(chance) {
		return Verdict{VerdictFail, slow.inWords("took longer than "+limits.P99.String(), old.Release)}
	}
	return Verdict{VerdictPass, failed.inWords("failed", old.Release)}
}

// comparison is a share of bad requests beside its limit and beside the old release's.
type comparison struct {
	bad, all, oldBad, oldAll uint64
	limit                    float64
}

func (c comparison) isBad(chance float64) bool {
	if share(c.bad, c.all) <= c.limit || c.byChance() >= chance {
		return false
	}
	return share(c.oldBad, c.oldAll) <= c.limit || c.asBadAsOld() < chance
}

// byChance is how likely so many bad ones are, or more, where the limit's share is bad on average.
func (c comparison) byChance() float64 {
	return 1 - stats.BinomialDist{N: int(c.all), P: c.limit}.CDF(float64(c.bad)-1)
}

// asBadAsOld is how likely so many of all the bad ones fall to the new release where both are alike.
func (c comparison) asBadAsOld() float64 {
	d := stats.HypergeometicDist{N: int(c.all + c.oldAll), K: int(c.bad + c.oldBad), Draws: int(c.all)}
	return 1 - d.CDF(float64(c.bad)-1)
}

func (c comparison) inWords(what string, old int) string {
	beside := "limit " + percent(c.limit)
	if c.oldAll > 0 {
		beside += fmt.Sprintf("; release %d: %s of %s", old, percent(share(c.oldBad, c.oldAll)), grouped(c.oldAll))
	}
	return fmt.Sprintf("%s of %s %s (%s)", percent(share(c.bad, c.all)), requests(c.all), what, beside)
}

func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// percent answers a share as people say it: "4.1%", "0.02%", "0%".
func percent(share float64) string {
	switch hundredths := 100 * share; {
	case hundredths >= 10:
		return strconv.FormatFloat(hundredths, 'f', 0, 64) + "%"
	case hundredths > 0 && hundredths < 0.01:
		return "under 0.01%"
	default:
		return strconv.FormatFloat(hundredths, 'g', 2, 64) + "%"
	}
}

func requests(n uint64) string {
	if n == 1 {
		return "1 request"
	}
	return grouped(n) + " requests"
}

// grouped writes a number in groups of three digits: "8,312".
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
