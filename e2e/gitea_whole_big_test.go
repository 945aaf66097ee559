//go:build linux && big

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// wholeStory is a server that is told by a real Gitea of what is pushed there, and tells it how that fares.
type wholeStory struct {
	*giteaStory
	*site
	work string // ana's working tree
}

// apps is what ana commits. What eve makes of it in her fork does not count.
func apps(script string) string {
	return "pipeline: app\non: {push: true, pull_request: true, tag: true}\nsteps:\n  - test: unit\n    run: |\n      " + script + "\n"
}

func TestWhatIsPushedToARealGiteaRunsAndShowsThereHowItFares(t *testing.T) {
	gitea := &giteaStory{giteaServer: startGitea(t), folders: t.TempDir()}
	gitea.ana, gitea.eve = gitea.account("ana", "--admin"), gitea.account("eve")
	gitea.call(gitea.ana, "POST", "/user/repos", map[string]any{"name": "app", "default_branch": "main", "private": true}, nil)
	gitea.call(gitea.ana, "PUT", "/repos/ana/app/collaborators/eve", map[string]any{"permission": "read"}, nil)
	w := &wholeStory{giteaStory: gitea, site: openSite(t)}
	w.work = w.clone(w.ana, "ana/app")
	first := w.pushes("First", apps("echo tested by ana"))
	w.adds()
	w.ends(1, "passed")
	w.shows(first, "success")

	second := w.pushes("Second", apps("echo tested by ana again"))
	w.ends(2, "passed")
	w.shows(second, "success")
	w.shows(w.pushes("Third", apps("exit 3")), "failure")
	w.ends(3, "failed")
	w.pushes("Fourth", apps("echo tested by ana, ${SECRET-without secrets}, request $TOWPATH_PULL_REQUEST"))
	w.ends(4, "passed")

	w.git(w.work, "tag", "-a", "-m", "Version 1", "v1")
	w.git(w.work, "push", "--quiet", "origin", "v1")
	if run := w.ends(5, "passed"); run.Branch != "tags/v1" {
		t.Errorf("the tag ran as %s", run.Branch)
	}
	w.git(w.work, "push", "--quiet", "origin", "HEAD:refs/heads/old")
	w.git(w.work, "push", "--quiet", "origin", ":old")
	w.tells("branch old was deleted")
	w.asksFromAFork()
	w.seesNoToken()
}

// pushes commits a pipeline file, and answers the commit.
func (w *wholeStory) pushes(message, pipeline string) (revision string) {
	w.site.Helper()
	w.site.must(os.WriteFile(filepath.Join(w.work, "towpath.yaml"), []byte(pipeline), 0o600))
	w.git(w.work, "add", "-A")
	revision = w.commit(w.work, message)
	w.git(w.work, "push", "--quiet", "origin", "main")
	return revision
}

// adds has the repository watched, as a person does it who has a token. It is not polled while the story goes on.
func (w *wholeStory) adds() {
	w.site.Helper()
	token := filepath.Join(w.root, "token.txt")
	w.site.must(os.WriteFile(token, []byte(w.ana+"\n"), 0o600))
	code, said := w.towpath("project", "add", w.url+"/ana/app.git", "--token-file", token, "--webhook", "--poll", "24h")
	if code != 0 || !strings.Contains(said, "at gitea") || !strings.Contains(said, "the forge delivers to") || strings.Contains(said, w.ana) {
		w.site.Fatalf("to add the project ended with %d: %s", code, said)
	}
	if err := w.site.api.PutSecret(w.site.Context(), "app", client.Secret{Name: "SECRET", Value: "open sesame", Branches: []string{"**"}}); err != nil {
		w.site.Fatal(err)
	}
}

// shows waits until Gitea shows beside a commit how its run fares.
func (w *wholeStory) shows(revision, state string) {
	w.site.Helper()
	until(w.site, "Gitea shows "+state, func() bool {
		var told struct {
			Statuses []struct {
				Context, Status string
				Target          string `json:"target_url"`
			}
		}
		w.call(w.ana, "GET", "/repos/ana/app/commits/"+revision+"/status", nil, &told)
		return len(told.Statuses) == 1 && told.Statuses[0].Context == "towpath/app" && told.Statuses[0].Status == state &&
			strings.HasPrefix(told.Statuses[0].Target, "http://"+w.address+"/runs/app/")
	})
}

// tells waits for what became of a delivery.
func (w *wholeStory) tells(reason string) {
	w.site.Helper()
	until(w.site, "a delivery says "+reason, func() bool {
		deliveries, err := w.site.api.Deliveries(w.site.Context(), "app", client.Page{})
		w.site.must(err)
		for _, d := range deliveries {
			if strings.Contains(d.Reason, reason) {
				return true
			}
		}
		return false
	})
}

// asksFromAFork has eve ask for a merge of what would read ana's secrets. It waits for a maintainer's go, and then runs by
// the file of ana's branch.
func (w *wholeStory) asksFromAFork() {
	w.site.Helper()
	w.call(w.eve, "POST", "/repos/ana/app/forks", map[string]any{}, nil)
	fork := w.clone(w.eve, "eve/app")
	hostile := strings.Replace(apps("echo $SECRET by eve; exit 1"), "    run:", "    secrets: [SECRET]\n    run:", 1)
	w.site.must(os.WriteFile(filepath.Join(fork, "towpath.yaml"), []byte(hostile), 0o600))
	w.git(fork, "add", "-A")
	revision := w.commit(fork, "Tax")
	w.git(fork, "push", "--quiet", "origin", "main:refs/heads/tax")
	w.call(w.eve, "POST", "/repos/ana/app/pulls", map[string]any{"head": "eve:tax", "base": "main", "title": "Tax"}, nil)
	var held client.Change
	until(w.site, "the change is held", func() bool {
		changes, err := w.site.api.Changes(w.site.Context(), "app")
		w.site.must(err)
		held = changes[0]
		return held.Outcome == "held" && held.Revision == revision
	})
	if _, err := w.site.api.AllowChange(w.site.Context(), "app", held.ID); err != nil {
		w.site.Fatal(err)
	}
	run := w.ends(6, "passed")
	if text := w.site.log(6, "unit", 0); text != "tested by ana, without secrets, request 1\n" || run.Branch != "pull/1" {
		w.site.Errorf("%s printed %q", run.Branch, text)
	}
	w.shows(revision, "success")
}

// seesNoToken looks for ana's token in all that was written.
func (w *wholeStory) seesNoToken() {
	w.site.Helper()
	w.standsNowhere(w.ana, "token.txt")
}
