//go:build linux

package hosts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/target/hosts"
)

// errand is what a keeper in a process of its own is to do.
type errand struct {
	Definition towpath.EnvironmentDefinition
	Data, Home string
	Files      map[string]string
	Within     time.Duration
	Epoch      towpath.Epoch
	Release    towpath.Release
	Instances  []towpath.Instance

	Place  *deploy.Place
	Start  *deploy.Start
	Stop   *deploy.Stop
	Remove *deploy.Remove

	StartSingle *deploy.StartSingle
	StopSingle  *deploy.StopSingle
}

func (e errand) operation() deploy.Operation {
	switch {
	case e.Place != nil:
		return *e.Place
	case e.Start != nil:
		return *e.Start
	case e.Stop != nil:
		return *e.Stop
	case e.StartSingle != nil:
		return *e.StartSingle
	case e.StopSingle != nil:
		return *e.StopSingle
	}
	return *e.Remove
}

// keep does the errand on standard input.
func keep() int {
	var e errand
	me, err := user.Current()
	if err := errors.Join(err, json.NewDecoder(os.Stdin).Decode(&e)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	d, err := hosts.New(hosts.Options{
		Environment: "shop/production", Definition: e.Definition, DataDir: e.Data, SSH: ssh.Options{Home: e.Home, Login: me.Username},
		Files: layOut(e.Files), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.Within)
	defer cancel()
	if _, err := d.Do(ctx, deploy.Order{Epoch: e.Epoch, Operation: e.operation(), Release: e.Release, Instances: e.Instances}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// keeper has another process give an order, and die or freeze at a side of a place. It answers once that has happened.
func (f *fleet) keeper(o deploy.Operation, within time.Duration, side, how string) *exec.Cmd {
	f.Helper()
	points := f.TempDir()
	armed := filepath.Join(points, failpoint.FileOf(side))
	if err := errors.Join(os.Mkdir(filepath.Join(points, failpoint.Died), 0o700), os.WriteFile(armed, []byte(how), 0o600)); err != nil {
		f.Fatal(err)
	}
	e := errand{
		Definition: f.definition, Data: f.TempDir(), Home: f.lab.Home, Files: f.files, Within: within,
		Epoch: f.epoch, Release: f.release, Instances: f.observes().Instances,
	}
	switch o := o.(type) {
	case deploy.Place:
		e.Place = &o
	case deploy.Start:
		e.Start = &o
	case deploy.Stop:
		e.Stop = &o
	case deploy.Remove:
		e.Remove = &o
	case deploy.StartSingle:
		e.StartSingle = &o
	case deploy.StopSingle:
		e.StopSingle = &o
	}
	text, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	command := exec.Command(os.Args[0], "keeper")
	command.Env = append(os.Environ(), failpoint.Variable+"="+points)
	command.Stdin, command.Stderr = bytes.NewReader(text), f.Output()
	if err := command.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = command.Process.Kill() })
	f.until("it came to "+side, func() bool {
		content, err := os.ReadFile(filepath.Join(points, failpoint.Died, failpoint.FileOf(side)))
		return err == nil && len(content) > 0 && string(content) != how
	})
	return command
}

func TestAKeeperThatIsKilledLeavesWhatTheNextOneMends(t *testing.T) {
	sides := []string{"place on hosts after", "flip hosts after", "remove from hosts after"}
	if !testing.Short() {
		sides = append(sides, "place on hosts before", "flip hosts before", "start on hosts before", "start on hosts after",
			"stop on hosts before", "stop on hosts after", "remove from hosts before")
	}
	f := newFleet(t, 2)
	f.deploys(42, 1)
	for n, side := range sides {
		release, serial := 43+n, 3+2*n
		f.of(release)
		ids, slots := f.ids(serial)
		place := deploy.Place{Release: release, Instances: ids, Slots: slots}
		operations := []deploy.Operation{place, deploy.Start{Instances: ids}, deploy.Stop{Instances: ids}, deploy.Remove{Instances: ids}}
		for _, o := range operations {
			if !isOf(o, side) {
				f.does(o)
				continue
			}
			_ = f.keeper(o, patience, side, "").Wait() // it died, as was ordered
			break
		}
		f.epoch = towpath.Epoch{Number: f.epoch.Number + 1, Holder: side}
		f.deploys(release, serial)
		f.serveOnly(release)
	}
}

// isOf says that a place belongs to an operation.
func isOf(o deploy.Operation, side string) bool {
	first := map[string]string{"place": "deploy.Place", "flip": "deploy.Start", "start": "deploy.Start", "stop": "deploy.Stop", "remove": "deploy.Remove"}
	var word string
	if _, err := fmt.Sscan(side, &word); err != nil {
		return false
	}
	return fmt.Sprintf("%T", o) == first[word]
}
