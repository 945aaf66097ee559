//go:build linux

package clustertest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

const (
	nodeName     = "node"
	nodeAddress  = "10.77.0.1"
	apiAddress   = "https://127.0.0.1:6443"
	adminToken   = "of-the-admin"
	sandboxImage = "towpath-test/pause:1"
)

// write writes the settings of all programs. This machine may have control groups of version 1, and no right to lower the
// score by which the kernel chooses whom to kill: hence some of them.
func (c *Cluster) write(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"network", "sockets"} {
		if err := os.Mkdir(c.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.put(t, "tokens", adminToken+`,admin,1,"system:masters"`+"\n")
	c.put(t, "kubeconfig", c.kubeconfig("admin", adminToken))
	c.put(t, "network/10-pods.conflist", fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0",
"isGateway": true, "ipam": {"type": "host-local", "subnet": "10.88.0.0/16", "dataDir": %q}}]}`, c.path("addresses")))
	c.put(t, "containerd.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = %q
`, c.path("containerd"), c.path("containerd-state"), c.socket(), sandboxImage, c.path("network")))
	c.put(t, "resolv.conf", "nameserver 127.0.0.1\n")
	c.put(t, "kubelet.yaml", fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: "unix://%s"
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
cgroupRoot: /%s
enforceNodeAllocatable: []
oomScoreAdj: 0
featureGates: {KubeletInUserNamespace: true}
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {nodefs.available: 100Mi, memory.available: 50Mi}
resolvConf: %q
podLogsDir: %q
`, c.socket(), c.group, c.path("resolv.conf"), c.path("pod-logs")))
}

func (c *Cluster) socket() string { return c.path("sockets/containerd") }

// importImages gives the node its images, as nothing fetches them.
func (c *Cluster) importImages(t *testing.T) {
	t.Helper()
	apart.Eventually(t, "containerd answers", func() bool {
		_, err := os.Stat(c.socket())
		return err == nil
	})
	c.Import(t, Image, nil)
	c.importAs(t, sandboxImage, nil, map[string]any{"Entrypoint": []string{"/bin/sleep", "1000000"}})
}

// Import makes an image of busybox with more files, which are by their path.
func (c *Cluster) Import(t *testing.T, name string, files map[string]string) {
	t.Helper()
	c.importAs(t, name, files, map[string]any{
		"Env": []string{"PATH=/usr/local/bin:/bin", "IMAGE=busybox"}, "User": "nobody", "Entrypoint": []string{"/bin/false"}, "WorkingDir": "/var",
	})
}

// importAs writes an archive as "docker save" does.
func (c *Cluster) importAs(t *testing.T, name string, files map[string]string, settings map[string]any) {
	t.Helper()
	layer := apart.Layer(t, files).Bytes()
	digest := sha256.Sum256(layer)
	config := encoded(t, map[string]any{
		"architecture": "amd64", "os": "linux", "config": settings,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	named := sha256.Sum256(config)
	configName := hex.EncodeToString(named[:]) + ".json"
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{configName, config},
		{"layer.tar", layer},
		{"manifest.json", encoded(t, []map[string]any{{"Config": configName, "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})},
	} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := c.path("image.tar")
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	apart.Command(t, "ctr", "--address", c.socket(), "--namespace", "k8s.io", "images", "import", path)
}

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask calls the API as the administrator.
func (c *Cluster) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, apiAddress+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/yaml")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true} // its certificate is its own
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func (c *Cluster) get(t *testing.T, path string) string {
	t.Helper()
	_, text := c.ask(t, http.MethodGet, path, "")
	return text
}

func (c *Cluster) answers(t *testing.T, path string) bool {
	t.Helper()
	code, _ := c.ask(t, http.MethodGet, path, "")
	return code == http.StatusOK
}
