package deploy

import (
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestAVerdictIsJoinedWithWhatElseWasFound(t *testing.T) {
	none := Verdict{VerdictNoData, "3 requests answered, too few of 50 to judge"}
	pass := Verdict{VerdictPass, "0% of 900 requests failed (limit 1%)"}
	fail := Verdict{VerdictFail, "4.1% of 900 requests failed (limit 1%)"}
	good := towpath.Finding{Source: "the query", State: towpath.FindingGood, Text: "0.2"}
	silent := towpath.Finding{Source: "the command", State: towpath.FindingNone, Text: "it cannot say"}
	bad := towpath.Finding{Source: "the query", State: towpath.FindingBad, InRow: 1, Text: "7"}
	again := towpath.Finding{Source: "the query", State: towpath.FindingBad, InRow: 2, Text: "8"}
	for _, c := range []struct {
		what     string
		counted  Verdict
		findings []towpath.Finding
		isOver   bool
		state    VerdictState
		text     string
	}{
		{"nothing else", pass, nil, true, VerdictPass, pass.Text},
		{"one says something", none, []towpath.Finding{silent, good}, true, VerdictPass, none.Text + "; the command: it cannot say; the query: 0.2"},
		{"none says anything", none, []towpath.Finding{silent}, true, VerdictNoData, none.Text + "; the command: it cannot say"},
		{"bad once", pass, []towpath.Finding{bad}, false, VerdictPass, pass.Text + "; the query: 7"},
		{"bad once, and nothing else", none, []towpath.Finding{bad}, false, VerdictNoData, none.Text + "; the query: 7"},
		{"bad at the end", pass, []towpath.Finding{good, bad}, true, VerdictFail, "the query: 7"},
		{"bad twice", pass, []towpath.Finding{again}, false, VerdictFail, "the query: 8"},
		{"requests fail", fail, []towpath.Finding{good, again}, false, VerdictFail, fail.Text},
	} {
		if v := c.counted.with(c.findings, c.isOver); v.State != c.state || v.Text != c.text {
			t.Errorf("%s: %s, %q", c.what, v.State, v.Text)
		}
	}
}
