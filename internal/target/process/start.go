package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// start launches a supervisor above each process of the instances. It returns when those answer, which is before the
// instances serve.
func (d *Driver) start(ctx context.Context, o deploy.Order, operation deploy.Start) (deploy.Receipt, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	err := d.under(ctx, o.Epoch, func() error {
		specs, err := d.specs(o, operation.Instances)
		if err != nil {
			return &deploy.Retryable{Err: err}
		}
		launches, ctx := errgroup.WithContext(ctx)
		for _, spec := range specs {
			launches.Go(func() error {
				if err := d.startBeside(ctx, o, spec.Instance); err != nil {
					return err
				}
				return d.launch(ctx, o.Epoch, d.home.runOf(spec.Instance), spec)
			})
		}
		return launches.Wait()
	})
	return deploy.Receipt{}, err
}

func (d *Driver) launch(ctx context.Context, epoch towpath.Epoch, folder string, spec supervise.Spec) error {
	if _, err := os.Stat(spec.Dir); err != nil {
		return &deploy.Permanent{Err: fmt.Errorf("start %s: its files are not there: %w", spec.Instance, err)}
	}
	if err := os.MkdirAll(d.home.tmpOf(spec.Instance), 0o700); err != nil {
		return &deploy.Retryable{Err: err}
	}
	_, err := d.supervisor.Launch(ctx, folder, supervise.Epoch(epoch), spec)
	return explain(err)
}

// specs answers what to run. An instance that was started before keeps what it was started with; where that is lost, its
// address, which its balancer still knows.
func (d *Driver) specs(o deploy.Order, instances []string) ([]supervise.Spec, error) {
	entries, err := supervise.List(d.home.run)
	if err != nil {
		return nil, err
	}
	addresses, err := d.addresses(len(instances))
	if err != nil {
		return nil, err
	}
	var specs []supervise.Spec
	for n, id := range instances {
		known := slices.IndexFunc(entries, func(e supervise.Entry) bool { return e.Spec.Instance == id })
		if known >= 0 {
			specs = append(specs, entries[known].Spec)
			continue
		}
		specs = append(specs, d.spec(o.Release, id, cmp.Or(addressOf(o.Instances, id), addresses[n])))
	}
	return specs, nil
}

// addressOf answers where an instance was seen; empty where it was not.
func addressOf(seen []towpath.Instance, id string) string {
	for _, i := range seen {
		if i.ID == id {
			return i.Address
		}
	}
	return ""
}

func (d *Driver) addresses(count int) ([]string, error) {
	if d.definition.Port == 0 {
		return freeAddresses(count)
	}
	return slices.Repeat([]string{d.fixedAddress()}, count), nil
}

func (d *Driver) spec(r towpath.Release, id, address string) supervise.Spec {
	return supervise.Spec{
		Instance: id, Release: r.Number, Shell: d.definition.Command, Dir: d.home.filesOf(id), Address: address,
		Env:  d.environment(r, id),
		Stop: supervise.Stop{Signal: d.definition.Stop.Signal, Within: d.definition.Stop.Within},
	}
}

// environment is what an instance finds beside PORT and the rest that its supervisor gives it. Secrets win over
// settings, and these over the temporary folder that is the instance's own.
func (d *Driver) environment(r towpath.Release, id string) map[string]string {
	env := map[string]string{"TMPDIR": d.home.tmpOf(id)}
	maps.Copy(env, r.EnvIn(d.options.Definition))
	maps.Copy(env, d.options.Secrets)
	env["TOWPATH_ENVIRONMENT"] = d.options.Environment
	env["TOWPATH_REVISION"] = r.Revision
	return env
}

// stop ends the instances, all at once, as their specs say.
func (d *Driver) stop(ctx context.Context, epoch towpath.Epoch, o deploy.Stop) (deploy.Receipt, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	stops, told := new(errgroup.Group), make([]string, len(o.Instances))
	for n, id := range o.Instances {
		stops.Go(func() (err error) {
			told[n], err = d.stopOne(ctx, epoch, id)
			return err
		})
	}
	err := stops.Wait()
	told = slices.DeleteFunc(told, func(s string) bool { return s == "" })
	return deploy.Receipt{Detail: strings.Join(told, "; ")}, err
}

// stopOne ends all processes of an instance, and tells which of them had to be killed.
func (d *Driver) stopOne(ctx context.Context, epoch towpath.Epoch, id string) (told string, err error) {
	others, err := d.dismissBeside(ctx, epoch, id)
	if err != nil {
		return "", err
	}
	folders := []string{d.home.runOf(id)}
	for _, e := range others {
		folders = append(folders, e.Dir)
	}
	stops, words := new(errgroup.Group), make([]string, len(folders))
	for n, folder := range folders {
		stops.Go(func() (err error) {
			words[n], err = d.stopIn(ctx, epoch, folder)
			return err
		})
	}
	err = stops.Wait()
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "; "), err
}

// stopIn ends what is supervised in a folder, and tells whether it had to be killed.
func (d *Driver) stopIn(ctx context.Context, epoch towpath.Epoch, folder string) (told string, err error) {
	state, err := d.supervisor.Stop(ctx, folder, supervise.Epoch(epoch))
	if err != nil {
		return "", explain(err)
	}
	d.seeStopped(ctx, folder)
	if e, err := d.entryIn(folder); err == nil {
		told = killed(e.Spec, state)
	}
	return told, nil
}

// seeStopped waits until what was answered can be read as well, so that the next observation does not find it running.
func (d *Driver) seeStopped(ctx context.Context, folder string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		e, err := d.entryIn(folder)
		if err != nil || stateOf(e) == towpath.InstanceStopped || !pause(ctx, lockPace) {
			return
		}
	}
}

// remove deletes first what ran and then the files, so that what is left by a crash is seen as placed.
func (d *Driver) remove(ctx context.Context, epoch towpath.Epoch, o deploy.Remove) (deploy.Receipt, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	for _, id := range o.Instances {
		if err := d.removeBeside(ctx, epoch, id); err != nil {
			return deploy.Receipt{}, err
		}
		if err := d.removeSingles(ctx, epoch, func(s supervise.Spec) bool { return s.Instance == id }); err != nil {
			return deploy.Receipt{}, err
		}
		if err := explain(d.supervisor.Remove(ctx, d.home.runOf(id), supervise.Epoch(epoch))); err != nil {
			return deploy.Receipt{}, err
		}
		if err := d.removeFiles(ctx, epoch, id); err != nil {
			return deploy.Receipt{}, err
		}
	}
	return deploy.Receipt{}, nil
}

func (d *Driver) removeFiles(ctx context.Context, epoch towpath.Epoch, id string) error {
	if err := os.RemoveAll(d.home.tmpOf(id)); err != nil {
		return &deploy.Retryable{Err: fmt.Errorf("remove the temporary files of %s: %w", id, err)}
	}
	grave := filepath.Join(d.home.files, ".removed-"+folderName(id))
	err := d.under(ctx, epoch, func() error {
		place := failpoint.At("remove files")
		place.Before()
		if err := errors.Join(os.RemoveAll(grave), rename(d.home.filesOf(id), grave)); err != nil {
			return &deploy.Retryable{Err: err}
		}
		place.After()
		if err := d.assets.mingle("", ""); err != nil {
			return &deploy.Retryable{Err: fmt.Errorf("link the files of %s: %w", d.assets.folder, err)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(grave); err != nil {
		return &deploy.Retryable{Err: fmt.Errorf("remove the files of %s: %w", id, err)}
	}
	return nil
}

// rename takes what is not there as renamed.
func rename(from, to string) error {
	if err := os.Rename(from, to); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
