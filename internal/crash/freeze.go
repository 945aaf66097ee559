package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

const (
	// twin is another process of the same worker, which takes over what the frozen one keeps.
	twin Program = "twin"

	// pastLease is longer than a keeper's lease lasts without a renewal.
	pastLease = 13 * time.Second
	// hindsight is how long is looked at what a keeper does once it goes on.
	hindsight = 300 * time.Millisecond
)

// Freeze stops the worker in the midst of a deployment, with an order of a switch in its hand. A twin takes over, brings it to its end, and goes back again; then the
// frozen one goes on, under an epoch and with a goal that are past: at once, or, where isLong, after its lease is over. It
// answers what changed by that. The story has to rest.
func (w *World) Freeze(ctx context.Context, random *rand.Rand, isLong bool) (stale []string, err error) {
	e, err := w.Owner.Environment(ctx, shopEnvironment)
	if err != nil {
		return nil, err
	}
	if e.Live == nil || e.Previous == nil {
		return nil, errors.New("there are not two releases to go back and forth between")
	}
	began := time.Now()
	defer w.guards[Worker].signal(syscall.SIGCONT)
	if err := w.freezes(ctx, freezingAt()[random.IntN(len(freezingAt()))], e.Previous.Number); err != nil {
		return nil, err
	}
	if err := w.twinDeploys(ctx, e.Previous.Number, e.Live.Number); err != nil {
		return nil, err
	}
	if isLong {
		if err := pause(ctx, pastLease-time.Since(began)); err != nil {
			return nil, err
		}
	}
	before, err := w.effects(e.Live.Number)
	if err != nil {
		return nil, err
	}
	w.guards[Worker].signal(syscall.SIGCONT)
	return w.changes(ctx, before, e.Live.Number)
}

// freezingAt are the sides of places at which a keeper is stopped while it deploys: most before an order that moves traffic.
func freezingAt() []string {
	return []string{
		"perform Shift before", "perform Shift before", "perform Shift after", "perform BeginWatch before", "perform Conclude before",
	}
}

// freezes asks for a release, and returns when the worker has stopped on its way there.
func (w *World) freezes(ctx context.Context, side string, release int) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	path := filepath.Join(w.points(), failpoint.FileOf(side))
	err := os.WriteFile(path, []byte(failpoint.Freezing), 0o600)
	if err == nil {
		err = w.wishes(ctx, release)
	}
	if err != nil {
		return err
	}
	stopped := filepath.Join("/proc", strconv.Itoa(w.guards[Worker].pid()), "stat")
	err = until(ctx, func() bool {
		stat, err := os.ReadFile(stopped) // proc_pid_stat(5): the third field is T where a process is stopped
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	if err != nil {
		return fmt.Errorf("the keeper does not come to %q: %w", side, err)
	}
	return nil
}

// wishes asks for a release.
func (w *World) wishes(ctx context.Context, release int) error {
	_, err := w.Owner.Deploy(ctx, shopEnvironment, client.Deploy{Release: release, Reason: "the story freezes its keeper"})
	return err
}

// twinDeploys has a twin bring what is under way to its end, and then go back.
func (w *World) twinDeploys(ctx context.Context, goal, back int) error {
	if err := w.startTwin(ctx); err != nil {
		return err
	}
	defer func() { w.guards[twin].kill() }()
	if err := w.comesLive(ctx, goal); err != nil {
		return err
	}
	if err := w.wishes(ctx, back); err != nil {
		return err
	}
	return w.comesLive(ctx, back)
}

// startTwin starts another worker that shows the same key, on a folder of its own with the instances of the other.
func (w *World) startTwin(ctx context.Context) error {
	if err := os.MkdirAll(w.path("twin"), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"worker.id", "worker.key"} {
		content, err := os.ReadFile(w.path("worker", name))
		if err == nil {
			err = os.WriteFile(w.path("twin", name), content, 0o600)
		}
		if err != nil {
			return fmt.Errorf("make a twin of the worker: %w", err)
		}
	}
	err := os.Symlink(w.path("worker", "instances"), w.path("twin", "instances"))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make a twin of the worker: %w", err)
	}
	return w.start(ctx, twin, "connected to", func() []string {
		return []string{
			"worker", "--server", "http://" + w.Address, "--data", w.path("twin"), "--proxy-data", w.path("proxy"),
			"--name", "barge", "--slots", "4",
		}
	})
}

// comesLive waits until a release is live and nothing is under way.
func (w *World) comesLive(ctx context.Context, release int) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	var e client.Environment
	err := until(ctx, func() bool {
		var err error
		e, err = w.Owner.Environment(ctx, shopEnvironment)
		return err == nil && e.Live != nil && e.Live.Number == release && e.Deployment == nil
	})
	if err != nil {
		return fmt.Errorf("release %d does not come live by a twin: %w: %+v", release, err, e)
	}
	return nil
}

// effects are what runs of a release, without the epochs: those rise when the keeper that was frozen takes over again, as it
// may, and then it may take away what nothing needs.
func (w *World) effects(release int) (map[string]string, error) {
	entries, err := w.Instances()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, e := range entries {
		if e.Spec.Release == release && e.Spec.Env["TOWPATH_ENVIRONMENT"] == shopEnvironment {
			found[e.Spec.Instance] = fmt.Sprintf("process %d, %s, %d restarts", e.State.Child.PID, e.Want, e.State.Restarts)
		}
	}
	return found, nil
}

// changes looks for a while at what is served and what runs, and tells what is not as it was.
func (w *World) changes(ctx context.Context, before map[string]string, goal int) (stale []string, err error) {
	for deadline := time.Now().Add(hindsight); time.Now().Before(deadline); {
		release, err := w.served(ctx)
		if err != nil {
			return nil, err
		}
		if release != strconv.Itoa(goal) {
			stale = append(stale, fmt.Sprintf("release %s serves, and not %d", release, goal))
		}
	}
	after, err := w.effects(goal)
	if err != nil {
		return nil, err
	}
	if !maps.Equal(before, after) {
		stale = append(stale, fmt.Sprintf("%v became %v", before, after))
	}
	slices.Sort(stale)
	return slices.Compact(stale), nil
}

// served answers which release the proxy's answers name.
func (w *World) served(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.Traffic+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = shopHost
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	return answer.Header.Get("X-Release"), answer.Body.Close()
}
