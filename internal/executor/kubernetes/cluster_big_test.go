//go:build big && linux

package kubernetes_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes/clustertest"
)

// runLimit bounds what a test waits for.
const runLimit = 3 * time.Minute

// printed is what a script printed so far.
type printed struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.Write(text)
}

func (p *printed) String() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.String()
}

func (p *printed) await(t *testing.T, word string) {
	t.Helper()
	apart.Eventually(t, "the script prints "+word, func() bool { return strings.Contains(p.String(), word) })
}

// begun is a script under way.
type begun struct {
	script executor.Script
	out    *printed
	mark   kubernetes.Mark
	ended  chan executor.Result
}

func begin(t *testing.T, c *clustertest.Cluster, b kubernetes.Box, text string) *begun {
	t.Helper()
	s, mark := site(t, c)
	out := &printed{}
	under := &begun{mark: mark, out: out, ended: make(chan executor.Result, 1), script: executor.Script{
		Text: text, Dir: t.TempDir(), Scratch: t.TempDir(), Output: out, Grace: 10 * time.Second,
	}}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), runLimit)
		defer cancel()
		result, err := s.In(b).Run(ctx, under.script)
		if err != nil {
			result.Reason += "; beside: " + err.Error()
		}
		under.ended <- result
	}()
	return under
}

func (b *begun) mustEnd(t *testing.T, want executor.Result) {
	t.Helper()
	if got := <-b.ended; got != want {
		t.Errorf("%+v, want %+v; %.2000q", got, want, b.out)
	}
}

func TestPodsOfSteps(t *testing.T) {
	clustertest.Run(t, func(t *testing.T, c *clustertest.Cluster) {
		t.Run("lose nothing while the API is away", func(t *testing.T) { apiGoesAway(t, c) })
		t.Run("are told to be gone when somebody deletes them", func(t *testing.T) { podIsDeleted(t, c) })
		t.Run("are ended while their files are brought", func(t *testing.T) { bringingIsCut(t, c) })
		t.Run("are of images that ask for a password", func(t *testing.T) { fetched(t, c) })
		t.Run("are told not to be there when a quota forbids them", func(t *testing.T) { quotaIsTold(t, c) })
		t.Run("of a worker that is not root are as restricted as can be", func(t *testing.T) { restricted(t, c) })
	})
}

func apiGoesAway(t *testing.T, c *clustertest.Cluster) {
	const lines = 2000
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	b := begin(t, c, box(), fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); [ $i != 500 ] || sleep 5; done; echo made >made", lines))
	b.out.await(t, "line 100\n")
	c.KillAPI(t)
	c.StartAPI(t)
	b.mustEnd(t, executor.Ended(0, 0))
	if b.out.String() != want.String() {
		t.Errorf("%d bytes, want %d", len(b.out.String()), want.Len())
	}
	if made, err := os.ReadFile(filepath.Join(b.script.Dir, "made")); err != nil || string(made) != "made\n" {
		t.Errorf("%q, %v", made, err)
	}
}

func podIsDeleted(t *testing.T, c *clustertest.Cluster) {
	b := begin(t, c, box(), "echo ready; sleep 1000")
	b.out.await(t, "ready")
	c.RemovePods(t, "io.towpath.mark="+b.mark.ID)
	result := <-b.ended
	if result.Outcome != executor.BrokenOff || !strings.HasPrefix(result.Reason, "the step's pod was deleted while it ran") {
		t.Errorf("%+v", result)
	}
}

// bringingIsCut has a helper that takes for ever what it is to take.
func bringingIsCut(t *testing.T, c *clustertest.Cluster) {
	c.Import(t, "towpath-test/slow:1", map[string]string{
		"usr/local/bin/sh": "#!/bin/sh\ncase \"$*\" in *'tar xpf'*) exec sleep 1000;; esac\nexec /bin/sh \"$@\"\n",
	})
	slow := box()
	slow.Image.Name = "towpath-test/slow:1"
	s, mark := site(t, c)
	out := &printed{}
	result, err := s.In(slow).Run(t.Context(), executor.Script{
		Text: "echo never", Dir: t.TempDir(), Scratch: t.TempDir(), Output: out, Timeout: 5 * time.Second,
	})
	if want := executor.Expired(5 * time.Second); err != nil || result != want || out.String() != "" {
		t.Errorf("%+v, %v, %q", result, err, out)
	}
	if pods := c.Running(t, mark.ID); pods != 0 {
		t.Errorf("%d pods run on", pods)
	}
}

// fetched has a node fetch an image that its registry gives to nobody without a password.
func fetched(t *testing.T, c *clustertest.Cluster) {
	r := c.Registry(t)
	name := r.Address + "/team/tools:2"
	c.Import(t, "docker.io/towpath-test/tools:2", map[string]string{"etc/tools": "ours"})
	r.Move(t, "docker.io/towpath-test/tools:2", name)
	for _, tt := range []struct{ credentials, says string }{
		{"", "the image cannot be had: "}, {"ada:wrong", "the image cannot be had: "}, {r.User + ":" + r.Password, ""},
	} {
		image := executor.Image{Name: name, Credentials: tt.credentials}
		s, _ := site(t, c, image)
		b, out := box(), &printed{}
		b.Image = image
		result, err := s.In(b).Run(t.Context(), executor.Script{Text: "cat /etc/tools", Dir: t.TempDir(), Scratch: t.TempDir(), Output: out})
		if err != nil || !strings.HasPrefix(result.Reason, tt.says) || result.Passed() != (tt.says == "") || result.Passed() != (out.String() == "ours") {
			t.Errorf("%q: %+v, %v, %q", tt.credentials, result, err, out)
		}
		if tt.says != "" && !strings.Contains(result.Reason, name) {
			t.Errorf("%+v", result)
		}
	}
}

func quotaIsTold(t *testing.T, c *clustertest.Cluster) {
	c.Apply(t, `apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {limits.memory: 300Mi}}`)
	defer c.Remove(t, "resourcequotas/none")
	limited := box()
	limited.Limits.Memory = 512 << 20
	apart.Eventually(t, "the quota holds", func() bool { return c.Holds(t, "resourcequotas/none", `"limits.memory":"300Mi"`) })
	result := <-begin(t, c, limited, "true").ended
	if result.Outcome != executor.NotStarted || !strings.Contains(result.Reason, "the cluster did not make the step's pod: ") || !strings.Contains(result.Reason, "exceeded quota: none") {
		t.Errorf("%+v", result)
	}
}

func restricted(t *testing.T, c *clustertest.Cluster) {
	c.Restrict(t, "restricted")
	defer c.Restrict(t, "privileged")
	refused := <-begin(t, c, box(), "true").ended
	if refused.Outcome != executor.NotStarted || !strings.Contains(refused.Reason, `violates PodSecurity "restricted`) {
		t.Errorf("%+v", refused)
	}
	own := box()
	own.UID, own.GID = 12345, 54321
	b := begin(t, c, own, "id -u; id -g; touch file; stat -c %u . file")
	b.mustEnd(t, executor.Ended(0, 0))
	if b.out.String() != "12345\n54321\n12345\n12345\n" {
		t.Errorf("%q", b.out)
	}
	if _, err := os.Stat(filepath.Join(b.script.Dir, "file")); err != nil {
		t.Error(err)
	}
}
