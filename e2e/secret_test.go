//go:build linux

package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

const (
	secretValue = "hunter2-and-a-long-tail/of+signs="
	secretFile  = "first line of a file\nsecond line of a file\n"
)

func TestASecretReachesItsStepAndNothingElse(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.holds("hold")
	repository := s.withSecrets(client.Secret{Name: "API_KEY", Value: secretValue}, client.Secret{Name: "CONFIG", Value: secretFile})
	repository.push(tree{"towpath.yaml": `
pipeline: app
steps:
  - test: granted
    secrets: [API_KEY, {name: CONFIG, as: file}]
    run: |
      sha256sum <"$CONFIG"; cat "$CONFIG"
      echo "the key is $API_KEY."
      printf %s "$API_KEY" | base64 -w0; echo
      printf %s "$API_KEY" | sha256sum
      echo asked
      while test -e ` + s.root + `/hold; do sleep 0.05; done
`})
	s.reaches(1, "granted", "running")
	until(t, "the script said it all", func() bool { text, _ := s.readLog(1, "granted", 0); return strings.Contains(text, "asked\n") })
	for _, p := range processes() {
		if strings.Contains(p.commandLine, secretValue) {
			t.Errorf("the secret stands in the command line of %d", p.pid)
		}
	}
	s.standsNowhere(secretValue)
	s.standsNowhere("line of a file")
	s.letsGo("hold")
	s.ends(1, "passed")

	text := s.log(1, "granted", 0)
	for _, value := range []string{secretValue, secretFile} {
		if sum := sha256.Sum256([]byte(value)); !strings.Contains(text, hex.EncodeToString(sum[:])) {
			t.Errorf("the step did not get the value: %s", text)
		}
	}
	for _, form := range []string{secretValue, "line of a file", base64.StdEncoding.EncodeToString([]byte(secretValue))} {
		if strings.Contains(text, form) {
			t.Errorf("the log shows the secret as %s", form)
		}
	}
	s.standsNowhere(secretValue)

	known, err := s.api.Secrets(t.Context(), "app")
	s.must(err)
	if len(known) != 2 || known[0].Name != "API_KEY" || known[0].Value+known[1].Value != "" {
		t.Errorf("the API answers %+v", known)
	}
	run, err := s.api.Run(t.Context(), "app", 1)
	s.must(err)
	if answer, _ := json.Marshal(run); bytes.Contains(answer, []byte(secretValue)) {
		t.Error("the API answers the value with the run")
	}
}

func TestASecretThatWasNotGrantedIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.withSecrets(
		client.Secret{Name: "DEPLOY_KEY", Value: secretValue, Environments: []string{"production"}},
		client.Secret{Name: "RELEASE_KEY", Value: secretValue, Branches: []string{"release/*"}},
	)
	repository.push(tree{"towpath.yaml": `
pipeline: app
steps:
  - {test: environment, secrets: [DEPLOY_KEY], run: env, needs: []}
  - {test: branch, secrets: [RELEASE_KEY], run: env, needs: []}
  - {test: missing, secrets: [NO_SUCH_KEY], run: env, needs: []}
`})
	failed := s.ends(1, "failed")
	for step, want := range map[string]string{
		"environment": "DEPLOY_KEY is granted to", "branch": "RELEASE_KEY is for branches", "missing": "no secret NO_SUCH_KEY",
	} {
		if got := stepOf(failed, step); got.State != "failed" || !strings.Contains(got.Reason, want) {
			t.Errorf("%s is %s: %q", step, got.State, got.Reason)
		}
		if text, _ := s.readLog(1, step, 0); text != "" {
			t.Errorf("%s ran: %s", step, text)
		}
	}
}

func TestASecretOfAnEnvironmentReachesItsInstances(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.withSecrets(client.Secret{Name: "PASSWORD", Value: secretValue, Environments: []string{"live"}})
	repository.push(short.with(tree{"towpath.yaml": strings.Replace(short["towpath.yaml"],
		"    balancer:", "    secrets: [PASSWORD]\n    balancer:", 1)}))
	s.ends(1, "passed")
	if got := s.get("/secret"); got != secretValue {
		t.Errorf("the instance has %q", got)
	}
	s.standsNowhere(secretValue, "spec.json") // which only its owner can read
}

// withSecrets is a repository without a pipeline yet, whose project has the secrets.
func (s *site) withSecrets(secrets ...client.Secret) *repository {
	s.Helper()
	r := s.newRepository("app", tree{"README": "nothing yet"}).watch()
	for _, secret := range secrets {
		s.must(s.api.PutSecret(s.Context(), "app", secret))
	}
	return r
}

// standsNowhere looks for a text in every file of the site: the database and its WAL, leases, logs, journals.
func (s *site) standsNowhere(text string, except ...string) {
	s.Helper()
	s.must(filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // what has gone meanwhile holds nothing
		}
		for _, name := range except {
			if entry.Name() == name {
				return nil
			}
		}
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(text)) {
			s.Errorf("%s holds the secret", path)
		}
		return nil
	}))
}
