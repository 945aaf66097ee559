//go:build linux

// Package dockertest gives a test a docker daemon of its own, which nothing else on the machine notices and of which nothing
// stays.
package dockertest

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// programs have to be there, from these packages of Debian.
var programs = map[string]string{
	"dockerd": "docker.io", "containerd": "containerd", "runc": "runc", "iptables": "iptables", "ip": "iproute2",
	"busybox": "busybox-static", "docker-registry": "docker-registry", "docker-proxy": "docker.io",
}

// storyLimit bounds a story.
const storyLimit = 5 * time.Minute

// Run tells a test's story with a daemon, in namespaces of its own; see apart.Run.
func Run(t *testing.T, story func(t *testing.T, d *Daemon)) {
	t.Helper()
	apart.Run(t, programs, storyLimit, func(t *testing.T, p apart.Place) { story(t, start(t, p)) })
}
