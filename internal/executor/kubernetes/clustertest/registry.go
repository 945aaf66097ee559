//go:build linux

package clustertest

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// Registry is a registry of images that asks for a password.
type Registry struct {
	Address, User, Password string
	cluster                 *Cluster
}

// Registry starts one.
func (c *Cluster) Registry(t *testing.T) Registry {
	t.Helper()
	r := Registry{Address: "127.0.0.1:5000", User: "ada", Password: "let: me in", cluster: c}
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.path("registry"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.put(t, "registry/htpasswd", fmt.Sprintf("%s:%s\n", r.User, hash))
	c.put(t, "registry/config", fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n"+
		"auth: {htpasswd: {realm: test, path: %s}}\n", c.path("registry/images"), r.Address, c.path("registry/htpasswd")))
	c.run(t, "docker-registry", "serve", c.path("registry/config"))
	apart.Eventually(t, "the registry answers", func() bool {
		response, err := http.Get("http://" + r.Address + "/v2/")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
	return r
}

// Move puts an image that the node has into the registry, under a name there, and takes it from the node.
func (r Registry) Move(t *testing.T, image, name string) {
	t.Helper()
	ctr := func(args ...string) {
		apart.Command(t, "ctr", append([]string{"--address", r.cluster.socket(), "--namespace", "k8s.io", "images"}, args...)...)
	}
	ctr("tag", image, name)
	ctr("push", "--plain-http", "--user", r.User+":"+r.Password, name, image)
	ctr("remove", "--sync", name, image)
}
