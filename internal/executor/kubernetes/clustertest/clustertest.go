//go:build linux

// Package clustertest gives a test a Kubernetes cluster of its own, of which nothing stays: etcd, the API, the controllers,
// the scheduler, and one node, whose kubelet runs pods by containerd. Only kube-proxy and a cluster's DNS are missing.
package clustertest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// Image is one that the node has: a busybox, whose environment has a PATH and IMAGE=busybox, with a user and an entry point
// that no step should notice.
const Image = "towpath-test/busybox:1"

// version is that of tools/kubernetes/go.mod.
const version = "v1.34.2"

// storyLimit bounds a story.
const storyLimit = 10 * time.Minute

// programs have to be there, from these packages of Debian.
var programs = map[string]string{
	"etcd": "etcd-server", "containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2",
	"iptables": "iptables", "busybox": "busybox-static", "docker-registry": "docker-registry", "/usr/lib/cni/bridge": "containernetworking-plugins",
}

// Cluster is a cluster.
type Cluster struct {
	Kubeconfig string // of somebody who may do anything
	dir        string
	group      string // parent of the pods' control groups
	programs   string // folder of the programs of tools/kubernetes
	running    []*exec.Cmd
}

// Run tells a test's story with a cluster, in namespaces of its own; see apart.Run.
func Run(t *testing.T, story func(t *testing.T, c *Cluster)) {
	t.Helper()
	apart.Run(t, programs, storyLimit, func(t *testing.T, p apart.Place) { story(t, start(t, p)) })
}

func start(t *testing.T, p apart.Place) *Cluster {
	t.Helper()
	c := &Cluster{dir: p.Dir, group: p.Group, Kubeconfig: filepath.Join(p.Dir, "kubeconfig"), programs: built(t)}
	t.Cleanup(func() {
		if t.Failed() {
			c.tell(t)
		}
		c.stop()
	})
	apart.Command(t, "ip", "link", "add", "node0", "type", "bridge")
	apart.Command(t, "ip", "address", "add", nodeAddress+"/24", "dev", "node0")
	apart.Command(t, "ip", "link", "set", "node0", "up")
	apart.Command(t, "ip", "route", "add", "default", "via", nodeAddress)
	c.write(t)
	c.run(t, "containerd", "--config", c.path("containerd.toml"))
	c.run(t, "etcd", "--data-dir", c.path("etcd"), "--unsafe-no-fsync")
	c.serve(t)
	c.run(t, "kube-controller-manager", "--kubeconfig", c.Kubeconfig, "--leader-elect=false",
		"--service-account-private-key-file", c.path("accounts.key"))
	c.run(t, "kube-scheduler", "--kubeconfig", c.Kubeconfig, "--leader-elect=false")
	c.importImages(t)
	c.run(t, "kubelet", "--config", c.path("kubelet.yaml"), "--kubeconfig", c.Kubeconfig, "--root-dir", c.path("kubelet"),
		"--hostname-override", nodeName, "--node-ip", nodeAddress, "--cert-dir", c.path("kubelet-certificates"))
	apart.Eventually(t, "the node is ready", func() bool {
		return strings.Contains(c.get(t, "/api/v1/nodes/"+nodeName), "KubeletReady") && c.answers(t, "/api/v1/namespaces/default/serviceaccounts/default")
	})
	return c
}

// built is where make kubernetes puts its programs.
func built(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "towpath-test", "kubernetes-"+version)
	if _, err := os.Stat(filepath.Join(dir, "kubelet")); err != nil {
		t.Fatalf("there is no Kubernetes %s in %s: make kubernetes builds it", version, dir)
	}
	return dir
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// run starts a program, which ends with the test.
func (c *Cluster) run(t *testing.T, program string, args ...string) {
	t.Helper()
	path, err := apart.LookFor(program)
	if strings.HasPrefix(program, "kube") {
		path, err = filepath.Join(c.programs, program), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(c.path(program + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(path, args...)
	command.Stdout, command.Stderr, command.Dir = log, log, c.dir
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c.running = append(c.running, command)
}

// KillAPI ends the API at once, and with it every stream that goes through it. Pods run on.
func (c *Cluster) KillAPI(t *testing.T) {
	t.Helper()
	for _, command := range c.running {
		if strings.HasSuffix(command.Path, "/kube-apiserver") && command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	}
}

// stop ends everything at once; the namespaces take the pods along.
func (c *Cluster) stop() {
	for _, command := range c.running {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
}

// tell shows how the logs of the cluster's programs end.
func (c *Cluster) tell(t *testing.T) {
	for _, command := range c.running {
		name := filepath.Base(command.Path) + ".log"
		log, _ := os.ReadFile(c.path(name))
		t.Logf("%s ends:\n%s", name, log[max(0, len(log)-3000):])
	}
}

// serve starts the API and waits until it answers.
func (c *Cluster) serve(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, "accounts.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	c.StartAPI(t)
}

// StartAPI starts the API, or starts it again, and waits until it answers.
func (c *Cluster) StartAPI(t *testing.T) {
	t.Helper()
	c.run(t, "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--service-account-key-file", c.path("accounts.key"),
		"--service-account-signing-key-file", c.path("accounts.key"), "--service-account-issuer=https://kubernetes.test",
		"--token-auth-file", c.path("tokens"), "--authorization-mode=RBAC", "--cert-dir", c.path("certificates"),
		"--service-cluster-ip-range=10.99.0.0/24", "--bind-address=127.0.0.1", "--advertise-address="+nodeAddress,
		"--kubelet-preferred-address-types=InternalIP")
	apart.Eventually(t, "the API is ready", func() bool { return c.answers(t, "/readyz") })
}

func (c *Cluster) put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kubeconfig is a file that names the cluster, and somebody by a token.
func (c *Cluster) kubeconfig(name, token string) string {
	return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "test",
"clusters": [{"name": "test", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
"users": [{"name": %q, "user": {"token": %q}}],
"contexts": [{"name": "test", "context": {"cluster": "test", "user": %q}}]}`, apiAddress, name, token, name)
}
