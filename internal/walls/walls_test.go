package walls

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheHouseKeepsItsWalls(t *testing.T) {
	files, err := Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f File) bool { return f.Path == "doc.go" }) {
		t.Fatal("doc.go of the root package was not found, so nothing was checked")
	}
	for _, breach := range Check(files) {
		t.Error(breach)
	}
}

// breaches are one import for every wall of the house, each of which must be refused.
var breaches = []struct{ wall, file, imported string }{
	{"the nouns know nothing of ours", "run.go", "internal/git"},
	{"the nouns use the standard library only", "run.go", "github.com/google/uuid"},
	{"tools know no nouns", "internal/git/mirror.go", ""},
	{"tools know no rooms", "internal/process/group.go", "internal/worker"},
	{"the client knows no rooms", "client/runs.go", "internal/store"},
	{"the client needs no tools", "client/runs.go", "internal/secret"},

	{"the pipeline never reaches the store", "internal/pipeline/parse.go", "internal/store"},
	{"the planner never reaches the store", "internal/deploy/plan.go", "internal/store"},
	{"artifacts never reach the store", "internal/artifact/pack.go", "internal/store"},
	{"executors never reach the store", "internal/executor/shell/shell.go", "internal/store"},
	{"targets never reach the store", "internal/target/hosts/hosts.go", "internal/store"},
	{"balancers never reach the store", "internal/balancer/haproxy/haproxy.go", "internal/store"},
	{"databases never reach the store", "internal/database/goose.go", "internal/store"},
	{"the proxy never reaches the store", "internal/proxy/table.go", "internal/store"},
	{"a supervisor never reaches the store", "internal/supervise/run.go", "internal/store"},
	{"the store knows no legs", "internal/store/runs.go", "internal/queue"},

	{"the worker has no store", "internal/worker/loop.go", "internal/store"},
	{"the worker does not conduct", "internal/worker/loop.go", "internal/flow"},
	{"the worker does not serve", "internal/worker/loop.go", "internal/web"},
	{"the worker takes leases by HTTP", "internal/worker/loop.go", "internal/queue"},
	{"the worker does not deploy", "internal/worker/loop.go", "internal/deploy"},
	{"the keeper has no store", "internal/keeper/loop.go", "internal/store"},
	{"the keeper does not conduct", "internal/keeper/loop.go", "internal/flow"},
	{"the keeper does not serve", "internal/keeper/loop.go", "internal/web"},
	{"the keeper is handed its targets", "internal/keeper/loop.go", "internal/target/process"},
	{"the keeper is handed its balancers", "internal/keeper/loop.go", "internal/balancer/proxy"},

	{"trigger, a leg, imports no other", "internal/trigger/poll.go", "internal/pipeline"},
	{"pipeline, a leg, imports no other", "internal/pipeline/check.go", "internal/deploy"},
	{"queue, a leg, imports no other", "internal/queue/lease.go", "internal/worker"},
	{"approval, a leg, imports no other", "internal/approval/ask.go", "internal/deploy"},
	{"artifact, a leg, imports no other", "internal/artifact/pack.go", "internal/queue"},
	{"deploy, a leg, imports no other", "internal/deploy/plan.go", "internal/artifact"},
	{"the server never runs steps", "internal/flow/flow.go", "internal/executor/shell"},
	{"the server never names a driver", "internal/flow/flow.go", "internal/target/process"},
	{"handlers never name a driver", "internal/web/plan.go", "internal/balancer/proxy"},
	{"the wire is converted in web, not in flow", "internal/flow/flow.go", "client"},
	{"the wire is converted in web, not in queue", "internal/queue/lease.go", "client"},

	{"a driver does not know its neighbours", "internal/executor/docker/docker.go", "internal/executor/shell"},
	{"a driver does not know those with a process", "internal/target/hosts/hosts.go", "internal/target/process"},
	{"a driver with a process does not know the rest", "internal/balancer/proxy/proxy.go", "internal/balancer/nginx"},
	{"targets move no traffic", "internal/target/process/process.go", "internal/balancer/proxy"},
	{"only its driver speaks to a supervisor", "internal/target/hosts/hosts.go", "internal/supervise"},
	{"only its driver speaks to the proxy", "internal/balancer/nginx/nginx.go", "internal/proxy"},

	{"nobody imports the wiring", "internal/web/server.go", "internal/app"},
	{"the demo uses the binary", "internal/demo/demo.go", "internal/app"},
	{"nobody imports the command line", "internal/app/server.go", "internal/cli"},
	{"the command line does not wire", "internal/cli/server.go", "internal/store"},
	{"main calls the command line only", "cmd/towpath/main.go", "internal/app"},
	{"figures come from outside", "bench/run.go", "internal/app"},
	{"the end to end is at the binary's", "e2e/demo.go", "internal/app"},

	{"what is for tests is not shipped", "internal/app/server.go", "internal/store/storetest"},
	{"every room has its place", "internal/queue/lease.go", "internal/misc"},
}

func TestEveryWallSeesRed(t *testing.T) {
	for _, c := range breaches {
		t.Run(c.wall, func(t *testing.T) {
			file := File{Path: c.file, Imports: []string{"context", absolute(c.imported)}}
			if got := Check([]File{file}); len(got) != 1 || got[0].File != c.file {
				t.Errorf("%s imports %s: got %v, want one breach", c.file, c.imported, got)
			}
		})
	}
}

// absolute is the import path of a folder of ours, or a foreign path as it is.
func absolute(imported string) string {
	if imported == "" {
		return module
	}
	if strings.HasPrefix(imported, "github.com/") {
		return imported
	}
	return module + "/" + imported
}

func TestDoorsStandOpen(t *testing.T) {
	for _, c := range []struct{ file, imported string }{
		{"run.go", "time"},
		{"internal/git/mirror.go", "internal/process"},
		{"internal/queue/lease.go", "internal/store"},
		{"internal/flow/flow.go", "internal/approval"},
		{"internal/web/leases.go", "client"},
		{"internal/worker/loop.go", "internal/executor/shell"},
		{"internal/keeper/loop.go", "internal/deploy"},
		{"internal/target/process/process.go", "internal/supervise"},
		{"internal/target/process/process.go", "internal/target"},
		{"internal/balancer/proxy/proxy.go", "internal/proxy/control"},
		{"internal/executor/docker/docker.go", "internal/executor"},
		{"internal/web/pages/runs.go", "internal/web/live"},
		{"internal/app/worker.go", "internal/target/process"},
		{"internal/cli/server.go", "internal/app"},
		{"internal/store/storetest/postgres.go", "internal/queue"},
		{"cmd/towpath/main.go", "internal/cli"},
	} {
		file := File{Path: c.file, Imports: []string{absolute(c.imported)}}
		if c.imported == "time" {
			file.Imports = []string{"time"}
		}
		if got := Check([]File{file}); len(got) != 0 {
			t.Errorf("got %v, want none", got)
		}
	}
}

func TestAPackageHasAPlaceAndAName(t *testing.T) {
	for _, path := range []string{"internal/util/strings.go", "internal/store/models/run.go", "internal/attic/box.go"} {
		if got := Check([]File{{Path: path}}); len(got) != 1 {
			t.Errorf("%s: got %v, want one breach", path, got)
		}
	}
}

func TestReadFindsShippedFilesOfAllPlatformsOnly(t *testing.T) {
	folder := t.TempDir()
	for path, content := range map[string]string{
		"git/git_windows.go":    "package git\nimport \"syscall\"\n",
		"git/git_test.go":       "package git\nimport \"testing\"\n",
		"git/testdata/x.go":     "package x\n",
		"tools/go.mod":          "module tools\n",
		"tools/tools.go":        "package tools\n",
		".cache/x.go":           "package x\n",
		"queue/lease_templ.go":  "package queue\nimport l \"example.com/left\"\n",
		"queue/README.md":       "not Go",
		"queue/deeper/a/b/c.go": "package b\n",
	} {
		write(t, filepath.Join(folder, path), content)
	}
	files, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"git/git_windows.go [syscall]", "queue/deeper/a/b/c.go []", "queue/lease_templ.go [example.com/left]"}
	var got []string
	for _, file := range files {
		got = append(got, file.Path+" ["+strings.Join(file.Imports, " ")+"]")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadRefusesAFileThatIsNotGo(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "broken.go"), "package\n")
	if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), "broken.go") {
		t.Errorf("got %v, want an error that names broken.go", err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
