package deploy

import (
	"strings"

	"github.com/towpath-cd/towpath"
)

// falls is how often in a row a finding has to be bad before it counts while the watch goes on: a query between two
// scrapes, or a command that came to a busy moment, says little. At the watch's end once is enough.
const falls = 2

// with joins the verdict on what was counted with what else was found. One that fails is enough to fail; one that says
// something is enough for a verdict.
func (v Verdict) with(findings []towpath.Finding, isOver bool) Verdict {
	said := []string{v.Text}
	for _, f := range findings {
		text := f.Source + ": " + f.Text
		isBad := f.State == towpath.FindingBad && (isOver || f.InRow >= falls)
		switch {
		case isBad && v.State != VerdictFail:
			return Verdict{VerdictFail, text}
		case f.State == towpath.FindingGood && v.State == VerdictNoData:
			v.State = VerdictPass
		}
		said = append(said, text)
	}
	if v.State != VerdictFail {
		v.Text = strings.Join(said, "; ")
	}
	return v
}
