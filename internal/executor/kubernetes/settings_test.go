package kubernetes

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/towpath-cd/towpath/internal/executor"
)

func kubeconfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const twoContexts = `{"apiVersion": "v1", "kind": "Config", "current-context": "one",
"clusters": [{"name": "one", "cluster": {"server": "https://one.example:6443"}}, {"name": "two", "cluster": {"server": "https://two.example/below"}}],
"contexts": [{"name": "one", "context": {"cluster": "one", "namespace": "builds"}}, {"name": "two", "context": {"cluster": "two"}}]}`

func TestTheClusterIsTheOneThatIsNamed(t *testing.T) {
	file := kubeconfig(t, twoContexts)
	for _, tt := range []struct {
		settings  Settings
		secrets   string
		namespace string
	}{
		{Settings{Kubeconfig: file}, "https://one.example:6443/api/v1/namespaces/builds/secrets", "builds"},
		{Settings{Kubeconfig: file, Namespace: "ci"}, "https://one.example:6443/api/v1/namespaces/ci/secrets", "ci"},
		{Settings{Kubeconfig: file, Context: "two"}, "https://two.example/below/api/v1/namespaces/default/secrets", "default"},
	} {
		c, err := Open(tt.settings)
		if err != nil {
			t.Errorf("%+v: %v", tt.settings, err)
			continue
		}
		if got := c.url(secrets, nil).String(); got != tt.secrets || c.Namespace() != tt.namespace {
			t.Errorf("%+v: %s in %s", tt.settings, got, c.Namespace())
		}
	}
}

func TestAClusterThatIsNotClearIsSaid(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, tt := range []struct {
		settings Settings
		says     string
	}{
		{Settings{}, "name its file by --kubeconfig or KUBECONFIG, or run the worker in a pod"},
		{Settings{Kubeconfig: "/no/such/file"}, "/no/such/file: no such file"},
		{Settings{Kubeconfig: kubeconfig(t, "{")}, "error loading config file"},
		{Settings{Kubeconfig: kubeconfig(t, twoContexts), Context: "three"}, `context "three" does not exist`},
	} {
		if _, err := Open(tt.settings); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v", tt.settings, err)
		}
	}
}

func TestWhatAClusterRefusesSaysWhatToDo(t *testing.T) {
	answers := map[string]string{
		"rules":  `{"kind": "Status", "code": 403, "reason": "Forbidden", "message": "jobs.batch is forbidden: User \"u\" cannot create resource \"jobs\"", "details": {"kind": "jobs"}}`,
		"policy": `{"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods \"x\" is forbidden: violates PodSecurity \"restricted\"", "details": {"kind": "pods"}}`,
		"key":    `{"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}`,
		"proxy":  `<html>no such site</html>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[filepath.Base(r.URL.Path)]
		var status struct{ Code int }
		if json.Unmarshal([]byte(answer), &status) != nil {
			status.Code = http.StatusBadGateway
		}
		w.WriteHeader(status.Code)
		_, _ = w.Write([]byte(answer))
	}))
	c, err := Open(Settings{Kubeconfig: kubeconfig(t, strings.ReplaceAll(twoContexts, "https://one.example:6443", server.URL))})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) error { return c.get(t.Context(), pods, name, nil) }
	for name, want := range map[string]struct {
		says        string
		isNoCluster bool
	}{
		"rules":  {`cannot create resource "jobs"; docs/executors.md has the rules that its account needs`, true},
		"policy": {`violates PodSecurity "restricted"`, false},
		"key":    {"does not know this worker", true},
		"proxy":  {"Bad Gateway: <html>no such site</html>", false},
	} {
		err := ask(name)
		if err == nil || !strings.HasSuffix(err.Error(), want.says) && name != "key" || !strings.Contains(err.Error(), want.says) || errors.Is(err, ErrNoCluster) != want.isNoCluster {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Close()
	if err := ask("away"); !errors.Is(err, ErrNoCluster) || apierrors.IsNotFound(err) {
		t.Error(err)
	}
}

func TestCredentialsAreWhatKubeletsRead(t *testing.T) {
	config, err := dockerConfig([]executor.Image{
		{Name: "golang:1.26"},
		{Name: "team/tools", Credentials: "ada:let: me in"},
		{Name: "registry.example:5000/a/b@sha256:" + strings.Repeat("0", 64), Credentials: `{"auths": {"https://registry.example:5000/v2/": {"auth": "YTpi"}, "other": {}}}`},
		{Name: "registry.example:5000/a/c:1", Credentials: ` {"username": "a", "password": "b"}`},
	})
	want := `{"auths":{"index.docker.io/team/tools":{"username":"ada","password":"let: me in","auth":"YWRhOmxldDogbWUgaW4="},` +
		`"registry.example:5000/a/b":{"auth":"YTpi"},"registry.example:5000/a/c":{"username":"a","password":"b","auth":"YTpi"}}}`
	if err != nil || string(config) != want {
		t.Errorf("%s, %v", config, err)
	}
	for credentials, says := range map[string]string{
		"nonsense": "neither user:password nor JSON", "{": "no JSON as docker writes it", `{"auths": {"other": {}}}`: "they name no docker.io",
	} {
		_, err := dockerConfig([]executor.Image{{Name: "tools", Credentials: credentials}})
		if !errors.Is(err, executor.ErrImage) || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("%s: %v", credentials, err)
		}
	}
}
