//go:build linux

package dockertest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"golang.org/x/crypto/bcrypt"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// Registry is a registry of images that asks for a password.
type Registry struct {
	Address        string // host:port, the beginning of its images' names
	User, Password string
	daemon         *Daemon
}

// Registry starts one, until the test ends.
func (d *Daemon) Registry(t *testing.T) Registry {
	t.Helper()
	r := Registry{Address: "127.0.0.1:5000", User: "ada", Password: "let: me in", daemon: d}
	dir := filepath.Join(d.dir, "registry")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"htpasswd": fmt.Sprintf("%s:%s\n", r.User, hash),
		"config": fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s/images}}\nhttp: {addr: %q}\n"+
			"auth: {htpasswd: {realm: tests, path: %s/htpasswd}}\n", dir, r.Address, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := apart.LookFor("docker-registry")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "serve", filepath.Join(dir, "config"))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() }) // it ends with the test's context
	apart.Eventually(t, "the registry answers", func() bool {
		response, err := http.Get("http://" + r.Address + "/v2/")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusUnauthorized
	})
	return r
}

// Push puts an image of the daemon there, under a name below the registry's address, and takes that name from the daemon.
func (r Registry) Push(t *testing.T, image, name string) {
	t.Helper()
	auth, err := authconfig.Encode(registry.AuthConfig{Username: r.User, Password: r.Password})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.daemon.ImageTag(t.Context(), client.ImageTagOptions{Source: image, Target: name}); err != nil {
		t.Fatal(err)
	}
	pushed, err := r.daemon.ImagePush(t.Context(), name, client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		t.Fatal(err)
	}
	if err := pushed.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Forget(t, name)
}

// Forget takes a name from the daemon.
func (r Registry) Forget(t *testing.T, name string) {
	t.Helper()
	if _, err := r.daemon.ImageRemove(t.Context(), name, client.ImageRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
}
