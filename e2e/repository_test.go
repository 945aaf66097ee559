//go:build linux

package e2e_test

import (
	"maps"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// developer writes the changes.
const developer = "dev@example.com"

// tree is files by their paths.
type tree map[string]string

// with answers the tree with other files over it.
func (f tree) with(over tree) tree {
	made := maps.Clone(f)
	maps.Copy(made, over)
	return made
}

// repository is a bare one that the server watches, with the working tree that a developer pushes from.
type repository struct {
	*site
	bare, work string
	forge      *httptest.Server // where it is fetched from; nil is from its folder
}

// newRepository has one commit on main, of the files.
func (s *site) newRepository(name string, files tree) *repository {
	s.Helper()
	r := &repository{site: s, bare: filepath.Join(s.root, name+".git"), work: filepath.Join(s.root, name+".work")}
	r.git(s.root, "init", "--quiet", "--bare", "--initial-branch=main", r.bare)
	r.git(s.root, "clone", "--quiet", r.bare, r.work)
	r.git(r.work, "checkout", "--quiet", "-B", "main")
	r.push(files)
	return r
}

// watch has the server poll the repository several times a second. Its first commit becomes the first run.
func (r *repository) watch() *repository {
	r.Helper()
	project := client.NewProject{URL: r.bare, Poll: 0.2}
	if r.forge != nil {
		project.URL, project.Forge = r.forge.URL+"/"+filepath.Base(r.bare), "none"
	}
	_, err := r.api.AddProject(r.Context(), project)
	r.must(err)
	return r
}

// offered is fetched by HTTP, from git's own server side.
func (r *repository) offered() *repository {
	r.Helper()
	core := strings.TrimSpace(r.git(r.root, "--exec-path"))
	r.forge = httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(core, "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + r.root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	r.Cleanup(r.forge.Close)
	return r
}

// disappears leaves nothing of it to be fetched.
func (r *repository) disappears() {
	r.Helper()
	if r.forge != nil {
		r.forge.Close()
	}
	r.must(os.Rename(r.bare, r.bare+".gone"))
}

// push commits files over what is there and pushes, and answers the revision. APP in a file is where the application's
// binary is.
func (r *repository) push(files tree) (revision string) {
	r.Helper()
	for name, content := range files {
		path := filepath.Join(r.work, name)
		r.must(os.MkdirAll(filepath.Dir(path), 0o755))
		r.must(os.WriteFile(path, []byte(strings.ReplaceAll(content, "APP", application())), 0o644))
	}
	r.git(r.work, "add", "--all")
	r.git(r.work, "commit", "--quiet", "--allow-empty", "-m", "Version "+files["version"])
	r.git(r.work, "push", "--quiet", "origin", "main")
	return strings.TrimSpace(r.git(r.work, "rev-parse", "HEAD"))
}

func (r *repository) git(folder string, args ...string) string {
	r.Helper()
	command := exec.Command("git", append([]string{
		"-c", "user.name=Dev", "-c", "user.email=" + developer, "-c", "commit.gpgsign=false",
	}, args...)...)
	command.Dir, command.SysProcAttr = folder, r.user
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+r.root)
	output, err := command.Output()
	if err != nil {
		r.Fatalf("git %v: %v", args, err)
	}
	return string(output)
}
