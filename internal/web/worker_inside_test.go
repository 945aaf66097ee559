package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
)

func TestWhatFetchesAnImageIsNotForTheScript(t *testing.T) {
	step := towpath.Step{StepDefinition: towpath.StepDefinition{Name: "unit", Kind: towpath.KindTest, Script: &towpath.ScriptDefinition{
		Secrets: []string{"TOKEN", "KEY"}, SecretFiles: []string{"KEY"}, Network: towpath.NetworkNone,
		Inside: &towpath.ContainerDefinition{Image: "go", Pull: towpath.PullAlways, Credentials: "REGISTRY", Memory: 1e9, CPUs: 1.5, Processes: 7},
		Services: []towpath.ServiceDefinition{
			{Name: "db", Container: &towpath.ContainerDefinition{Image: "db", Credentials: "OTHER"}, Ready: towpath.ReadyDefinition{TCP: 5432}, Within: time.Minute},
			{Name: "web", Command: "./web", Ports: []int{1}, Env: map[string]string{"A": "b"}},
		},
	}}}
	if diff := cmp.Diff([]string{"TOKEN", "KEY", "REGISTRY", "OTHER"}, step.Script.Grants()); diff != "" {
		t.Error(diff)
	}
	lease := leaseOf(&flow.Work{Step: step, Secrets: map[string]string{"TOKEN": "t", "KEY": "k", "REGISTRY": "r", "OTHER": "o"}})
	if diff := cmp.Diff(map[string]string{"TOKEN": "t"}, lease.Secrets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"KEY": "k"}, lease.SecretFiles); diff != "" {
		t.Error(diff)
	}
	inside := &client.Container{Image: "go", Pull: "always", Credentials: "r", Memory: 1e9, CPUs: 1.5, Processes: 7}
	if diff := cmp.Diff(inside, lease.Inside); diff != "" || lease.Network != "none" {
		t.Error(diff, lease.Network)
	}
	services := []client.Service{
		{Name: "db", Container: &client.Container{Image: "db", Credentials: "o"}, Ready: client.Ready{TCP: 5432}, Within: 60},
		{Name: "web", Command: "./web", Ports: []int{1}, Env: map[string]string{"A": "b"}},
	}
	if diff := cmp.Diff(services, lease.Services); diff != "" {
		t.Error(diff)
	}
}
