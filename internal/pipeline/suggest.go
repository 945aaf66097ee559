package pipeline

import (
	"fmt"
	"strings"
)

// nearest answers the candidate that a mistyped word most likely means; empty where none is near.
func nearest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	best, limit := "", max(1, len(word)/2)
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d <= limit {
			best, limit = c, d-1
		}
	}
	return best
}

// suggest is the hint for a word that is not known: the nearest one, or all that are.
func suggest(word string, candidates []string, otherwise string) string {
	if best := nearest(word, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return otherwise
}

// distance is how many characters have to be put in, taken out, replaced or swapped with their neighbour to make b of a
// (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before, previous []int
	current := make([]int, len(y)+1)
	for j := range current {
		current[j] = j
	}
	for i := range x {
		before, previous, current = previous, current, make([]int, len(y)+1)
		current[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
	}
	return current[len(y)]
}

// joinOr writes a list as people say it.
func joinOr(words []string) string { return join(words, " or ") }

func joinAnd(words []string) string { return join(words, " and ") }

func join(words []string, last string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + last + words[n-1]
	}
}
