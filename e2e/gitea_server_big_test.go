//go:build linux && big

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// nobody is who Gitea runs as where the tests run as root, for that it refuses.
const nobody = 65534

// giteaServer is a real Gitea with a folder and a port of its own.
type giteaServer struct {
	*testing.T
	folder string
	url    string
	user   *syscall.SysProcAttr
	log    *bytes.Buffer
}

// startGitea returns when it answers.
func startGitea(t *testing.T) *giteaServer {
	t.Helper()
	g := &giteaServer{T: t, url: "http://" + freeAddress(t), log: &bytes.Buffer{}}
	g.install(giteaKept(t))
	g.admin("migrate")
	command := g.command("web")
	command.Stdout, command.Stderr = g.log, g.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.stop(command) })
	until(t, "Gitea answers", func() bool {
		response, err := http.Get(g.url + "/api/v1/version")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return g
}

// giteaKept is the folder of the Gitea that tools/gitea pins.
func giteaKept(t *testing.T) string {
	t.Helper()
	pinned, err := os.ReadFile("../tools/gitea/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`code\.gitea\.io/gitea (v\S+)`).FindSubmatch(pinned)
	if version == nil {
		t.Fatal("tools/gitea/go.mod does not say which Gitea it is")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(cache, "towpath-test", "gitea-"+string(version[1]))
	if _, err := os.Stat(filepath.Join(kept, "gitea")); err != nil {
		t.Fatalf("there is no Gitea to try: %v\ntools/gitea/build makes one, which takes some minutes, once", err)
	}
	return kept
}

// install puts Gitea into a folder that its user may read, which the cache folder of root is not.
func (g *giteaServer) install(kept string) {
	g.Helper()
	var err error
	g.folder, err = os.MkdirTemp("", "e2e-gitea-")
	g.must(err)
	g.Cleanup(func() { os.RemoveAll(g.folder) })
	g.must(exec.Command("cp", "-r", kept+"/.", g.folder).Run())
	name := "nobody"
	if os.Getuid() == 0 {
		g.user = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	} else {
		self, err := user.Current()
		g.must(err)
		name = self.Username
	}
	g.must(os.WriteFile(g.settings(), []byte(g.ini(name)), 0o600))
	if g.user != nil {
		g.must(exec.Command("chown", "-R", fmt.Sprintf("%d:%d", nobody, nobody), g.folder).Run())
	}
}

func (g *giteaServer) settings() string { return filepath.Join(g.folder, "app.ini") }

// ini is the settings, as somebody has them who lets webhooks reach this machine.
func (g *giteaServer) ini(name string) string {
	return fmt.Sprintf(`
RUN_USER = %[1]s
RUN_MODE = prod
WORK_PATH = %[2]s
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]s
ROOT_URL = %[4]s/
STATIC_ROOT_PATH = %[2]s
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = %[2]s/gitea.db
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
MODE = console
LEVEL = Warn
[indexer]
ISSUE_INDEXER_TYPE = db
`, name, g.folder, g.url[strings.LastIndex(g.url, ":")+1:], g.url)
}

func (g *giteaServer) command(args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(g.folder, "gitea"), append([]string{"--config", g.settings()}, args...)...)
	command.Dir, command.SysProcAttr = g.folder, g.user
	command.Env = []string{"HOME=" + g.folder, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + g.folder, "GITEA_WORK_DIR=" + g.folder}
	return command
}

// admin runs one of Gitea's commands, and answers what it prints.
func (g *giteaServer) admin(args ...string) string {
	g.Helper()
	output, err := g.command(args...).CombinedOutput()
	if err != nil {
		g.Fatalf("gitea %v: %v\n%s", args, err, output)
	}
	return string(output)
}

func (g *giteaServer) stop(command *exec.Cmd) {
	_ = command.Process.Signal(syscall.SIGTERM)
	_ = command.Wait()
	if g.Failed() {
		g.Logf("Gitea says:\n%s", lastLines(g.log.String(), 40))
	}
	if left := leftIn(g.folder); len(left) > 0 {
		g.Errorf("Gitea leaves behind: %v", left)
		killAll(left)
	}
}

// account makes an account, and answers a token of it.
func (g *giteaServer) account(name string, flags ...string) (token string) {
	g.Helper()
	g.admin(append([]string{
		"admin", "user", "create", "--username", name, "--email", name + "@example.com", "--password", "pass-word-" + name,
		"--must-change-password=false",
	}, flags...)...)
	told := strings.Fields(g.admin("admin", "user", "generate-access-token", "--username", name, "--scopes", "all", "--raw"))
	return told[len(told)-1]
}

// call makes a call that our own client has no need of.
func (g *giteaServer) call(token, method, path string, body, into any) {
	g.Helper()
	encoded, err := json.Marshal(body)
	g.must(err)
	request, err := http.NewRequestWithContext(g.Context(), method, g.url+"/api/v1"+path, bytes.NewReader(encoded))
	g.must(err)
	request.Header.Set("Authorization", "token "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	g.must(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	g.must(err)
	if response.StatusCode/100 != 2 {
		g.Fatalf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if into != nil {
		g.must(json.Unmarshal(answer, into))
	}
}

func (g *giteaServer) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}
