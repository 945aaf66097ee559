//go:build linux

package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// testedFile has tests that come to what the file "results" says.
const testedFile = `
pipeline: app
steps:
  - test: unit
    run: |
      { echo '<testsuite name="cart">'; cat results; echo '</testsuite>'; } > out.xml
      test ! -e failing
    reports: out.xml
`

func TestWhatTestsCameToStandsOnThePageInTheAlertAndInTheTerminal(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	const passed = `<testcase name="sums" time="0.5"/>`
	r := s.newRepository("app", tree{"towpath.yaml": testedFile, "results": passed + `<testcase name="pays"/>`}).watch()
	s.ends(1, "passed")
	if step := stepOf(s.ends(1, "passed"), "unit"); step.Tests == nil || step.Tests.Passed != 2 {
		t.Errorf("the step says %+v", step.Tests)
	}

	r.push(tree{"failing": "yes", "results": passed + `<testcase name="pays"><failure message="got 13">cart.go:12: got 13 &lt; 14</failure></testcase>`})
	s.ends(2, "failed")
	told := s.alerted("broke", 1)[0]
	if !strings.Contains(told.Text, "unit: 1 of 2 tests failed (1 new)\n  ✗ cart pays (new): got 13") {
		t.Errorf("the alert says %q", told.Text)
	}
	for _, path := range []string{"/runs/app/2", "/runs/app/2/steps/unit/log"} {
		page := s.page(path)
		for _, want := range []string{"1 of 2 tests failed (1 new)", "new since #1", "cart pays", "got 13 &lt; 14", "500 ms"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	if code, said := s.towpath("tests", "app#2"); code != 0 || !strings.Contains(said, "✗ cart pays (new): got 13") {
		t.Errorf("towpath tests ends with %d and says\n%s", code, said)
	}

	r.push(tree{"results": "<testcase name="})
	s.ends(3, "failed")
	if page := s.page("/runs/app/3"); !strings.Contains(page, "out.xml: read a JUnit report: ") {
		t.Error("the page does not say that a report is broken")
	}
	if !strings.Contains(s.log(3, "unit", 0), "towpath: tests: out.xml: read a JUnit report: ") {
		t.Error("the log does not say that a report is broken")
	}
}

// page answers a page as the owner sees it.
func (s *site) page(path string) string {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.address+path, nil)
	s.must(err)
	request.Header.Set("Authorization", "Bearer "+s.token())
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	if response.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s\n%s", path, response.Status, body)
	}
	return string(body)
}
