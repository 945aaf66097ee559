package client

import "context"

// Reports says where a step's script leaves what its tests came to.
type Reports struct {
	JUnit    []string `json:"junit"` // globs of files in the workspace
	Required bool     `json:"required,omitempty"`
}

// Test is what one test came to.
type Test struct {
	Suite      string  `json:"suite,omitempty"`
	Name       string  `json:"name"`
	Outcome    string  `json:"outcome"` // passed, failed or skipped
	Seconds    float64 `json:"seconds,omitempty"`
	Message    string  `json:"message,omitempty"`    // of a failed or skipped one
	Output     string  `json:"output,omitempty"`     // of a failed one: the end of what it said
	New        bool    `json:"new,omitempty"`        // it failed, and did not in the run that is compared with
	Flickering string  `json:"flickering,omitempty"` // why its outcome tells little
}

// TestReport is what the tests of an attempt came to, as its worker sends it.
type TestReport struct {
	Results  []Test   `json:"results"`
	LeftOut  int      `json:"left_out,omitempty"` // results beyond what is kept of one report
	Problems []string `json:"problems,omitempty"` // files that are missing or cannot be read
}

// TestTotals are the numbers of a report.
type TestTotals struct {
	Passed     int     `json:"passed"`
	Failed     int     `json:"failed"`
	Skipped    int     `json:"skipped"`
	New        int     `json:"new"`        // of those that failed
	Flickering int     `json:"flickering"` // tests whose outcome tells little
	Seconds    float64 `json:"seconds"`    // of all tests together
	Problems   int     `json:"problems"`   // files that are missing or cannot be read
	Said       string  `json:"said"`       // all that, for people
}

// StepTests is what the tests of a step's latest attempt came to.
type StepTests struct {
	Step       string     `json:"step"`
	Attempt    int        `json:"attempt"`
	Totals     TestTotals `json:"totals"`
	LeftOut    int        `json:"left_out,omitempty"`
	Compared   int        `json:"compared,omitempty"` // number of the run whose failures are not new
	Failed     []Test     `json:"failed"`             // what is new first, at most 200
	Flickering []Test     `json:"flickering"`         // at most 50
	Slowest    []Test     `json:"slowest"`            // ten
	Problems   []string   `json:"problems,omitempty"`
}

// KeepTests sends what the tests of an attempt came to. It may be called again with the same report.
func (c *Client) KeepTests(ctx context.Context, l LeaseRef, r TestReport) error {
	_, err := post[struct{}](ctx, c, l.path("tests"), r)
	return err
}

// Tests answers what the tests of a run came to, a step each.
func (c *Client) Tests(ctx context.Context, pipeline string, number int) ([]StepTests, error) {
	return get[[]StepTests](ctx, c, runPath(pipeline, number)+"/tests", nil)
}
