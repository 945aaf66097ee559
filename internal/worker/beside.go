package worker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath/internal/executor/docker"
	"github.com/towpath-cd/towpath/internal/process"
)

// beside is what stands beside a step outside of its process group: containers, a network, the groups of its services, the
// folder of its secrets. It is on the disk before the first of it is made, so that the next worker on the same data folder ends
// what a killed one left. It holds no secret itself.
type beside struct {
	file       string
	Mark       docker.Mark
	Groups     []string // of services that are commands
	Secrets    string   `json:",omitempty"` // folder of the secrets that the script sees as files
	Containers bool     // docker may hold something of the mark's
	Namespace  string   // of the cluster that may; empty: none does
}

// stand writes down what is about to be made for an attempt, with a group for each command beside it. What it answers is
// to be taken down also when it failed.
func (a *attempt) stand(b *beside, commands int) (*beside, error) {
	b.Mark = docker.Mark{
		ID: strings.ToLower(rand.Text()), Worker: a.Name, Run: a.lease.Run, Step: a.lease.Step, Number: a.lease.Attempt,
	}
	b.file, b.Secrets = filepath.Join(a.dirs.beside, b.Mark.ID), a.secretsFolder(b.Mark.ID)
	for range commands {
		group, err := process.ReserveGroup()
		if err != nil {
			return b, fmt.Errorf("reserve a process group: %w", err)
		}
		b.Groups = append(b.Groups, group)
	}
	a.standing.Store(b.Mark.ID, true) // before another step finds the file
	encoded, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(b.file, encoded, 0o600)
	}
	if err != nil {
		return b, fmt.Errorf("write down what stands beside a step: %w", err)
	}
	return b, nil
}

// takeDown ends all that stands there. What cannot be ended now is tried again before the next step in a container, and by
// the next worker.
func (w *worker) takeDown(b *beside) {
	defer w.standing.Delete(b.Mark.ID)
	if err := w.clear(b); err != nil {
		w.log.Error("cannot end what stands beside a step; trying again later", "step", b.Mark.Step, "mark", b.Mark.ID, "error", err)
	}
}

func (w *worker) clear(b *beside) error {
	if err := errors.Join(b.endGroups(), b.forgetSecrets()); err != nil {
		return err
	}
	if b.Containers {
		engine, err := w.engine()
		if err == nil {
			err = engine.Clear(context.Background(), b.Mark) // which bounds itself
		}
		if err != nil {
			return err
		}
	}
	if b.Namespace != "" {
		if err := w.clearCluster(b); err != nil {
			return err
		}
	}
	if err := os.Remove(b.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget what stood beside a step: %w", err)
	}
	return nil
}

func (b *beside) endGroups() error {
	var failed error
	for _, group := range b.Groups {
		failed = errors.Join(failed, process.KillGroup(group))
	}
	return failed
}

// clearStanding ends what a former worker, or a former step, left beside a step. What a step of now has is left alone.
func (w *worker) clearStanding(file string) {
	if _, isOurs := w.standing.Load(filepath.Base(file)); isOurs {
		return
	}
	b := &beside{file: file}
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, b)
	}
	if errors.Is(err, os.ErrNotExist) {
		return // another step did the same
	}
	if err != nil { // it was killed while it wrote, thus before it made anything
		w.log.Warn("what stood beside a former step is not known", "file", file, "error", err)
		_ = os.Remove(file)
		return
	}
	if err := w.clear(b); err != nil {
		w.log.Error("cannot end what stood beside a former step", "step", b.Mark.Step, "mark", b.Mark.ID, "error", err)
	}
}

// newEngine finds docker when the first step needs it.
func newEngine() func() (*docker.Engine, error) { return sync.OnceValues(docker.Open) }
