package docker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/docker"
	"github.com/towpath-cd/towpath/internal/executor/docker/dockertest"
)

// runLimit bounds what a test waits for.
const runLimit = time.Minute

func box(id string) docker.Box {
	return docker.Box{Image: executor.Image{Name: dockertest.Image}, User: "0:0", Mark: docker.Mark{ID: id, Step: "unit", Number: 1}}
}

// ran runs a script in a box, and answers what it printed.
func ran(t *testing.T, b docker.Box, text string) (executor.Result, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	var out bytes.Buffer
	result, err := open(t).In(b).Run(ctx, executor.Script{
		Text: text, Dir: t.TempDir(), Scratch: t.TempDir(), Output: &out, Grace: time.Second,
	})
	if err != nil {
		t.Errorf("%+v, %v", result, err)
	}
	return result, out.String()
}

// left counts what the daemon holds of an attempt.
func left(t *testing.T, d *dockertest.Daemon, id string) (containers, networks int) {
	t.Helper()
	of := client.Filters{}.Add("label", "io.towpath.mark="+id)
	c, err := d.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.NetworkList(t.Context(), client.NetworkListOptions{Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	return len(c.Items), len(n.Items)
}

func TestABoxIsWhatItWasToldToBe(t *testing.T) {
	dockertest.Run(t, func(t *testing.T, d *dockertest.Daemon) {
		stories := map[string]func(*testing.T, *dockertest.Daemon){
			"only what is named is mounted": onlyWhatIsNamed, "what is left is cleared by its mark": cleared,
		}
		if !testing.Short() {
			maps.Copy(stories, map[string]func(*testing.T, *dockertest.Daemon){
				"limits hold": limitsHold, "the user is ours": userIsOurs, "no network is none": noNetwork,
				"networks are apart": networksAreApart, "any program is a shell": anyProgram, "images come from a registry": fetched,
			})
		}
		for name, story := range stories {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				story(t, d)
			})
		}
	})
}

func onlyWhatIsNamed(t *testing.T, _ *dockertest.Daemon) {
	shared, fixed, other := t.TempDir(), t.TempDir(), t.TempDir()
	b := box("folders")
	b.Folders, b.ReadOnly = []string{shared}, []string{fixed}
	result, out := ran(t, b, "touch "+shared+"/file; ! touch "+fixed+"/file 2>/dev/null; ! test -e "+other)
	if _, err := os.Stat(filepath.Join(shared, "file")); err != nil || !result.Passed() {
		t.Errorf("%+v, %v, %q", result, err, out)
	}
}

func limitsHold(t *testing.T, _ *dockertest.Daemon) {
	b := box("limits")
	b.Limits = docker.Limits{Memory: 64e6, CPUs: 0.5, Processes: 20}
	if result, _ := ran(t, b, `x=$(head -c 200000000 /dev/zero | tr '\0' x)`); !strings.HasSuffix(result.Reason, "; a process was killed: memory limit 64 MB reached") {
		t.Errorf("%+v", result)
	}
	result, out := ran(t, b, `i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i+1)); done`)
	if result.Passed() || !strings.Contains(out, "fork") {
		t.Errorf("%+v, %q", result, out)
	}
}

// userIsOurs plays a worker that is not root: all that it hands over is its own.
func userIsOurs(t *testing.T, _ *dockertest.Daemon) {
	const uid, gid = 12345, 54321
	b, out := box("user"), new(bytes.Buffer)
	b.User = "12345:54321"
	script := executor.Script{Text: "id -u; id -g; touch file", Dir: t.TempDir(), Scratch: t.TempDir(), Output: out}
	own := filepath.Join(script.Scratch, "script")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{script.Dir, script.Scratch, own} {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	result, err := open(t).In(b).Run(t.Context(), script)
	if err != nil || !result.Passed() || out.String() != "12345\n54321\n" {
		t.Errorf("%+v, %v, %q", result, err, out)
	}
	info, err := os.Stat(filepath.Join(script.Dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != uid || owner.Gid != gid {
		t.Errorf("%+v", info.Sys())
	}
}

func noNetwork(t *testing.T, _ *dockertest.Daemon) {
	b := box("alone")
	b.Network = docker.NoNetwork
	if result, out := ran(t, b, "ip -o link | cut -d: -f2"); !result.Passed() || out != " lo\n" {
		t.Errorf("%+v, %q", result, out)
	}
}

func networksAreApart(t *testing.T, d *dockertest.Daemon) {
	engine, address := open(t), regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+`)
	one, other := box("one"), box("other")
	for _, b := range []*docker.Box{&one, &other} {
		network, err := engine.Connect(t.Context(), b.Mark, false)
		if err != nil {
			t.Fatal(err)
		}
		b.Network = network
	}
	result, out := ran(t, one, "ip -4 -o addr show eth0")
	found := address.FindString(out)
	if !result.Passed() || found == "" {
		t.Fatalf("%+v, %q", result, out)
	}
	if result, out := ran(t, other, "ip -4 -o addr show eth0"); !result.Passed() || address.FindString(out) == found {
		t.Errorf("%+v, %q and %q", result, out, found)
	}
	for _, b := range []docker.Box{one, other} {
		if err := engine.Clear(t.Context(), b.Mark); err != nil {
			t.Error(err)
		}
		if containers, networks := left(t, d, b.Mark.ID); containers+networks > 0 {
			t.Errorf("%d containers and %d networks are left", containers, networks)
		}
	}
}

func anyProgram(t *testing.T, _ *dockertest.Daemon) {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	for shell, text := range map[string]string{"awk -f": `BEGIN { print "done" }`, "/bin/sh -e": "echo done", "./own": "text"} {
		var out bytes.Buffer
		script := executor.Script{Text: text, Shell: shell, Dir: t.TempDir(), Scratch: t.TempDir(), Output: &out}
		if err := os.WriteFile(filepath.Join(script.Dir, "own"), []byte("#!/bin/sh\necho done\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		result, err := open(t).In(box("shell")).Run(ctx, script)
		if err != nil || !result.Passed() || out.String() != "done\n" {
			t.Errorf("%s: %+v, %v, %q", shell, result, err, out.String())
		}
	}
}

// cleared has a daemon hold what a worker left that was killed, beside what belongs to somebody else.
func cleared(t *testing.T, d *dockertest.Daemon) {
	engine := open(t)
	mine, others := docker.Mark{ID: "mine"}, docker.Mark{ID: "others"}
	for _, m := range []docker.Mark{mine, others} {
		network, err := engine.Connect(t.Context(), m, false)
		if err != nil {
			t.Fatal(err)
		}
		leave(t, d, m, network)
	}
	for range 2 { // what is gone is no error
		if err := engine.Clear(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
	}
	if containers, networks := left(t, d, "mine"); containers+networks != 0 {
		t.Errorf("%d containers and %d networks are left", containers, networks)
	}
	if containers, networks := left(t, d, "others"); containers != 1 || networks != 1 {
		t.Errorf("of the other's, %d containers and %d networks are left", containers, networks)
	}
	if err := engine.Clear(t.Context(), others); err != nil {
		t.Error(err)
	}
}

func fetched(t *testing.T, d *dockertest.Daemon) {
	r := d.Registry(t)
	name := r.Address + "/team/tools:2"
	r.Push(t, dockertest.Image, name)
	encoded := base64.StdEncoding.EncodeToString([]byte(r.User + ":" + r.Password))
	b := box("registry")
	for _, tt := range []struct {
		name, pull, credentials string
		says                    string // of why it did not begin; empty: it passes
	}{
		{name, "never", "", "the image cannot be had: " + name + " is not on this worker, and pull: never forbids to fetch it"},
		{name, "", "", "(inside: {credentials: SECRET} names the secret by which this worker may fetch it)"},
		{name, "", "ada:wrong", "the registry refuses its credentials"},
		{name, "", "nonsense", "its credentials: neither user:password nor JSON"},
		{name, "", `{"auths": {"example.com": {"auth": "` + encoded + `"}}}`, "they name no " + r.Address},
		{r.Address + "/team/none:1", "", r.User + ":" + r.Password, "manifest unknown"},
		{name, "missing", r.User + ":" + r.Password, ""},
		{name, "always", `{"username": "ada", "password": "` + r.Password + `"}`, ""},
		{name, "always", `{"auths": {"http://` + r.Address + `/v2/": {"auth": "` + encoded + `"}}}`, ""},
		{name, "always", "", "names the secret"},
		{name, "missing", "", ""},
		{"Not A Name", "", "", "Not A Name"},
	} {
		b.Image = executor.Image{Name: tt.name, Pull: executor.Pull(tt.pull), Credentials: tt.credentials}
		result, out := ran(t, b, "echo from the image")
		switch {
		case tt.says == "" && (!result.Passed() || !strings.HasSuffix(out, "from the image\n")):
			t.Errorf("%+v: %+v, %q", tt, result, out)
		case tt.says != "" && (result.Outcome != executor.NotStarted || !strings.Contains(result.Reason, tt.says)):
			t.Errorf("%+v: %+v, %q", tt, result, out)
		}
		if told := strings.Contains(out, "towpath: fetching the image "+name); told != (tt.says == "" && tt.credentials != "") && tt.says == "" {
			t.Errorf("%+v: %q", tt, out)
		}
		if strings.Contains(result.Reason+out, r.Password) {
			t.Errorf("%+v tells the password: %+v, %q", tt, result, out)
		}
	}
}
