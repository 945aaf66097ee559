//go:build unix

package worker_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

const writeReports = `mkdir -p out/more
cat > out/a.xml <<'END'
<testsuite name="cart"><testcase name="sums" time="0.5"/><testcase name="pays"><failure message="the key is sesame">cart.go:1: sesame</failure></testcase></testsuite>
END
echo '<testsuites><testsuite name="mail"><testcase name="sends"/></testsuite></testsuites>' > out/more/b.xml
`

// reported runs a step, and answers what it sent of its tests.
func (s *site) reported(l *client.StepLease, r client.Reports) (client.StepReport, string, client.TestReport) {
	s.t.Helper()
	l.Reports = &r
	report, log := s.result(l)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return report, log, s.attempts[l.LeaseRef].tests
}

func TestWhatTestsCameToIsSentAlsoOfAStepThatFailed(t *testing.T) {
	for _, c := range []struct{ end, state string }{{"exit 0", "passed"}, {"exit 3", "failed"}} {
		s := working(t)
		l := s.step(writeReports + c.end)
		l.Secrets = map[string]string{"WORD": "sesame"}
		report, log, tests := s.reported(l, client.Reports{JUnit: []string{"./out/**/*.xml"}})
		if report.State != c.state || len(tests.Results) != 3 || len(tests.Problems) > 0 {
			t.Fatalf("%+v, %+v\n%s", report, tests, log)
		}
		if pays := tests.Results[1]; pays.Name != "pays" || pays.Outcome != "failed" || strings.Contains(pays.Message+pays.Output, "sesame") {
			t.Errorf("%+v", pays)
		}
		if !strings.Contains(log, "towpath: tests: 1 of 3 tests failed\n") {
			t.Error(log)
		}
	}
}

func TestAReportThatIsMissingOrBrokenIsToldAndFailsAStepOnlyWhereItIsRequired(t *testing.T) {
	for name, c := range map[string]struct {
		script, glob string
		want         string
	}{
		"missing":                  {"true", "out/*.xml", "no file is called out/*.xml"},
		"cut":                      {"echo '<testsuite><testcase' > a.xml", "a.xml", "a.xml: read a JUnit report"},
		"a link out of the place":  {"ln -s /etc/passwd a.xml", "a.xml", "no file is called a.xml"},
		"a folder that leads away": {"ln -s /etc out", "out/passwd", "no file is called out/passwd"},
		"a pipe":                   {"mkfifo a.xml", "a.xml", "a.xml: it is no file of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			s := working(t)
			report, log, tests := s.reported(s.step(c.script), client.Reports{JUnit: []string{c.glob}})
			if report.State != "passed" || len(tests.Problems) != 1 || !strings.Contains(tests.Problems[0], c.want) || !strings.Contains(log, "towpath: tests: "+c.want) {
				t.Errorf("%+v, %+v\n%s", report, tests, log)
			}
			report, log, _ = s.reported(s.step(c.script), client.Reports{JUnit: []string{c.glob}, Required: true})
			if report.State != "failed" || !strings.Contains(report.Reason, "test report: ") {
				t.Errorf("%+v\n%s", report, log)
			}
		})
	}
}

func TestReportsThatAreTooLargeAreCutAndSaySo(t *testing.T) {
	s := working(t)
	script := `i=0; { echo '<testsuite>'; long=$(printf %04000d 0); while [ $i -lt 1200 ]; do i=$((i+1)); echo "<testcase name='t$i'><failure>$long</failure></testcase>"; done; echo '</testsuite>'; } > a.xml`
	_, log, tests := s.reported(s.step(script), client.Reports{JUnit: []string{"a.xml"}})
	if len(tests.Results) != 1200 || tests.Results[0].Output == "" || tests.Results[1199].Output != "" {
		t.Errorf("%d results, %d left out\n%s", len(tests.Results), tests.LeftOut, log)
	}
}
