package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor/docker/dockertest"
)

// inContainers builds in one container, and proves it in another beside which a third serves.
const inContainers = `pipeline: shop
steps:
  - build: shop
    run: mkdir dist; echo "built in $IMAGE" >dist/file; echo version=3 >>"$TOWPATH_OUTPUT"
    artifacts: dist/
    inside: {image: towpath-test/busybox:1, memory: 64MB, processes: 50}
  - test: unit
    run: |
      grep "built in busybox" dist/file
      test "$TOWPATH_OUT_SHOP_VERSION" = 3
      wget -qO- "http://web:$TOWPATH_SERVICE_WEB_PORT/ready" | grep "from beside"
      ! wget -qO- http://192.0.2.1/
    inside: towpath-test/busybox:1
    network: none
    services:
      web:
        image: towpath-test/busybox:1
        command: mkdir /tmp/www; echo from beside >/tmp/www/ready; exec httpd -f -p 8080 -h /tmp/www
        ready: {http: 8080/ready}
`

func TestAPipelineRunsInContainersAndLeavesNone(t *testing.T) {
	dockertest.Run(t, func(t *testing.T, d *dockertest.Daemon) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "towpath.yaml"), []byte(inContainers), 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.Command("bash", "-euc", `git init -q -b main; git add -A; git -c user.name=Ada -c user.email=ada@example.com commit -q -m begin
			exec "$0" run --local`, towpath())
		command.Dir, command.Env = dir, append(os.Environ(), "HOME="+t.TempDir())
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "passed in") {
			t.Errorf("%v\n%s", err, out)
		}
		of := client.Filters{}.Add("label", "io.towpath.mark")
		containers, err := d.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: of})
		if err != nil {
			t.Fatal(err)
		}
		networks, err := d.NetworkList(t.Context(), client.NetworkListOptions{Filters: of})
		if err != nil {
			t.Fatal(err)
		}
		if len(containers.Items)+len(networks.Items) > 0 {
			t.Errorf("left: %+v, %+v", containers.Items, networks.Items)
		}
	})
}
