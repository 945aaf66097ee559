//go:build linux

package ssh_test

import (
	"testing"

	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

func BenchmarkAScriptOnAnOpenConnection(b *testing.B) {
	lab := sshtest.New(b)
	h := host(network(b, lab), lab.Host(sshtest.Setting{}))
	for b.Loop() {
		says(b, h, ssh.Command{Script: "true"})
	}
}
