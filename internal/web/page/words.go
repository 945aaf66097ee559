package page

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// size is a number of bytes, for people.
func size(bytes int64) string {
	const unit = 1000
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	value, prefix := float64(bytes)/unit, 0
	for value >= unit && prefix < 3 {
		value, prefix = value/unit, prefix+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGT"[prefix])
}

// thousands is a number with its digits in groups of three.
func thousands(n int64) string {
	digits := fmt.Sprintf("%d", n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// shareOf is which share of new requests an instance gets; empty where nobody gets any.
func shareOf(of client.Instance, all []client.Instance) string {
	sum := 0
	for _, i := range all {
		sum += i.Weight
	}
	if sum == 0 {
		return ""
	}
	return strconv.FormatFloat(math.Round(1000*float64(of.Weight)/float64(sum))/10, 'f', -1, 64) + "%"
}

// isPlain are words that a shell takes as they are.
var isPlain = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// commandLine is a command as it would be typed.
func commandLine(words []string) string {
	typed := make([]string, len(words))
	for n, word := range words {
		if typed[n] = word; !isPlain.MatchString(word) {
			typed[n] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(typed, " ")
}

// list names things in a sentence.
func list(names []string) string { return strings.Join(names, ", ") }
