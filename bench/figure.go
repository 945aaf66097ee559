package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Figure is one thing that was measured, with what it is measured by.
type Figure struct {
	Name      string
	Ours      float64
	Unit      string
	Reference string  // what did the same work; empty where nothing did
	Limit     float64 // what the reference took, in the same unit
	Goal      Goal
}

// Goal is what Ours has to be. The zero Goal holds nothing: the figure stands beside others.
type Goal struct {
	Sense sense
	Bound float64
}

type sense int

const (
	open sense = iota
	most
	least
)

// AtMost holds a figure to a bound in its own unit.
func AtMost(bound float64) Goal { return Goal{most, bound} }

// AtLeast holds a figure to a bound in its own unit.
func AtLeast(bound float64) Goal { return Goal{least, bound} }

// AtMostAs holds a time to what it should be on a machine on which the reference takes known: on one that is busier or
// slower both grow, so it is their ratio that is held, and the bound is told as what it comes to here.
func AtMostAs(bound, known, reference float64) Goal { return AtMost(bound / known * reference) }

// IsMet says whether the goal is met. What could not be measured is not.
func (f Figure) IsMet() bool {
	if math.IsNaN(f.Ours) || math.IsNaN(f.Goal.Bound) {
		return false
	}
	switch f.Goal.Sense {
	case most:
		return f.Ours <= f.Goal.Bound
	case least:
		return f.Ours >= f.Goal.Bound
	case open:
	}
	return true
}

// Fields are the figure as it is told: name, ours, unit, reference, what the reference took, the ratio of both, the
// goal, and met or short. "-" stands where there is nothing to tell.
func (f Figure) Fields() []string {
	reference, limit, ratio, goal, verdict := "-", "-", "-", "-", "short"
	if f.Reference != "" {
		reference, limit, ratio = f.Reference, number(f.Limit), number(f.Ours/f.Limit)
	}
	if f.Goal.Sense != open {
		goal = number(f.Goal.Bound)
	}
	if f.IsMet() {
		verdict = "met"
	}
	return []string{f.Name, number(f.Ours), f.Unit, reference, limit, ratio, goal, verdict}
}

// String is the figure's line.
func (f Figure) String() string { return strings.Join(f.Fields(), "\t") }

// number writes four significant digits, and all of those before the point.
func number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "-"
	}
	decimals := 0
	if size := math.Abs(x); size < 1000 && x != math.Trunc(x) {
		decimals = min(6, 3-int(math.Floor(math.Log10(size))))
	}
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// median of what was sampled; not a number where nothing was.
func median(samples []float64) float64 { return quantile(samples, 0.5) }

// quantile answers the sample below which the q-th part lies, between two samples in proportion.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := q * float64(len(sorted)-1)
	below, above := sorted[int(math.Floor(at))], sorted[int(math.Ceil(at))]
	return below + (above-below)*(at-math.Floor(at))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
