//go:build unix

package worker_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsAreMaskedAlsoAcrossWrites(t *testing.T) {
	s := newSite(t)
	s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	l := s.step("echo begin; printf 'key is hunter'; while ! test -e " + gate +
		`; do sleep 0.01; done; printf '2-forever!\n'; printf %s "$TOKEN" | base64; printf hunter; exit 1`)
	l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
	ref := s.offer(l)
	s.awaitLog(ref, "key is")
	release(t, gate)
	report := s.awaitReport(ref)
	if want, log := "begin\nkey is ***!\n***\nhunter\ntowpath: exited with status 1\n", s.logOf(ref); log != want {
		t.Errorf("log %q, want %q (%+v)", log, want, report)
	}
}

func TestASecretIsNotWrittenToTheWorkersDisk(t *testing.T) {
	s := working(t)
	l := s.step(`echo "$TOKEN" >>"$TOWPATH_WORKSPACE/kept"; grep -rl "$TOKEN" ` + s.data)
	l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
	if report, log := s.result(l); log != s.data+"/work/1/shop/kept\n" {
		t.Errorf("found in %q (%+v)", log, report)
	}
}

func TestOutputsAreReported(t *testing.T) {
	s := working(t)
	report, _ := s.result(s.step(`echo version=1.2=3 >>"$TOWPATH_OUTPUT"; printf '\nurl=\r\nversion=2' >>"$TOWPATH_OUTPUT"`))
	if report.State != "passed" || len(report.Outputs) != 2 || report.Outputs["version"] != "2" || report.Outputs["url"] != "" {
		t.Errorf("%+v", report)
	}
}

func TestOutputsThatCannotBeReadFailTheStep(t *testing.T) {
	s := working(t)
	tests := []struct{ script, reason string }{
		{`printf 'good=1\nno equals sign\n' >"$TOWPATH_OUTPUT"`, `TOWPATH_OUTPUT: line 2 is not name=value: "no equals sign"`},
		{`echo "a b=1" >"$TOWPATH_OUTPUT"`, `TOWPATH_OUTPUT: line 1 is not name=value: "a b=1"`},
		{
			`head -c 300000 /dev/zero | tr '\0' x >"$TOWPATH_OUTPUT"`,
			"TOWPATH_OUTPUT: more than 262144 bytes; keep large things as artifacts",
		},
		{
			`echo "token=$TOKEN" >"$TOWPATH_OUTPUT"`,
			"TOWPATH_OUTPUT: token holds a secret, and outputs are shown to everyone",
		},
	}
	for _, tt := range tests {
		l := s.step(tt.script)
		l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
		if report, _ := s.result(l); report.State != "failed" || report.Reason != tt.reason || report.Outputs != nil {
			t.Errorf("%s gave %+v", tt.script, report)
		}
	}
}

func TestAScriptSeesWhatItIsToldAndNothingElse(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("OPERATORS_OWN", "private")
	s := working(t)
	l := s.step(`env | grep -v -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= -e ^TOWPATH_PROCESS_ | sort`)
	l.Message, l.Environment, l.URL = "$(touch /tmp/x)", "staging", "http://127.0.0.1:8000"
	l.Env, l.Secrets = map[string]string{"MODE": "fast"}, map[string]string{"TOKEN": "hunter2-forever"}
	l.Outputs = map[string]string{"TOWPATH_OUT_BUILD_VERSION": "2"}
	l.Trigger, l.Tag, l.PullRequest, l.BaseBranch, l.HeadBranch = "pull_request", "v1", 7, "main", "$(touch /tmp/x)"
	l.Inputs = map[string]string{"size": "`touch /tmp/x`", "Copies": "3"}
	_, log := s.result(l)
	work := filepath.Join(s.data, "work", "1")
	home, err := filepath.Glob(filepath.Join(s.data, "homes", "shop-*", "others"))
	if err != nil || len(home) != 1 {
		t.Fatal(home, err)
	}
	want := strings.Join([]string{
		"CI=true", "HOME=" + home[0], "LANG=C.UTF-8", "MODE=fast", "TMPDIR=" + work + "/.towpath/tmp", "TOKEN=***",
		"TOWPATH=true", "TOWPATH_ATTEMPT=1", "TOWPATH_AUTHOR=Ada", "TOWPATH_AUTHOR_EMAIL=ada@example.com",
		"TOWPATH_BASE_BRANCH=main", "TOWPATH_BRANCH=main", "TOWPATH_ENVIRONMENT=staging", "TOWPATH_HEAD_BRANCH=$(touch /tmp/x)",
		"TOWPATH_INPUT_COPIES=3", "TOWPATH_INPUT_SIZE=`touch /tmp/x`", "TOWPATH_MESSAGE=$(touch /tmp/x)",
		"TOWPATH_OUTPUT=" + work + "/.towpath/outputs", "TOWPATH_OUT_BUILD_VERSION=2", "TOWPATH_PIPELINE=shop",
		"TOWPATH_PROJECT=shop", "TOWPATH_PULL_REQUEST=7", "TOWPATH_REVISION=" + s.revision, "TOWPATH_RUN=7", "TOWPATH_RUN_ID=run-1",
		"TOWPATH_STEP=step 1", "TOWPATH_TAG=v1", "TOWPATH_TRIGGER=pull_request", "TOWPATH_URL=http://127.0.0.1:8000", "TOWPATH_WORKSPACE=" + work + "/shop",
	}, "\n") + "\n"
	if log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
}

func TestHomeIsKeptForThePipelineButNotAcrossTrust(t *testing.T) {
	s := working(t)
	run := func(trusted, clean bool) string {
		l := s.step(`ls ~; touch ~/"$TOWPATH_STEP"`)
		l.Trusted, l.Clean = trusted, clean
		_, log := s.result(l)
		return log
	}
	for i, got := range []string{run(true, false), run(true, false), run(false, false), run(true, true), run(true, true)} {
		want := ""
		if i == 1 {
			want = "step 1\n"
		}
		if got != want {
			t.Errorf("step %d found %q, want %q", i+1, got, want)
		}
	}
}

// TestAForkFindsNothingAndLeavesNothing has two pull requests from forks, and a branch, in turn on one slot.
func TestAForkFindsNothingAndLeavesNothing(t *testing.T) {
	s := newSite(t)
	options := s.options()
	options.Slots = 1
	s.start(options)
	run := func(branch string, fork bool) string {
		l := s.step(`echo $HOME | sed 's|.*/||'; ls -A ~; git tag; echo kept >~/kept; git tag "mine-$TOWPATH_BRANCH"`)
		l.Branch, l.Fork, l.Trusted = branch, fork, fork // what it must not be believed
		_, log := s.result(l)
		return log
	}
	run("idea", false)
	for _, branch := range []string{"one", "one", "two"} {
		if got := run(branch, true); got != "home\n" {
			t.Errorf("%s found %q", branch, got)
		}
	}
	if got := run("idea", false); got != "others\nkept\n" {
		t.Errorf("the branch found %q", got)
	}
	kept, err := filepath.Glob(filepath.Join(s.data, "homes", "*", "*"))
	if err != nil || len(kept) != 1 || filepath.Base(kept[0]) != "others" {
		t.Errorf("homes are kept in %v, %v", kept, err)
	}
}

func TestARevisionThatDoesNotExistFailsTheStep(t *testing.T) {
	s := working(t)
	l := s.step("true")
	l.Revision = strings.Repeat("1", 40)
	if report, log := s.result(l); report.State != "failed" || !strings.Contains(log, "not found") {
		t.Errorf("%+v\n%s", report, log)
	}
}
