package process

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/probe"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// Options are what a driver is opened with. All but Secrets are needed, and Leash where people run commands.
type Options struct {
	Environment string // key: "pipeline/name"
	Definition  towpath.EnvironmentDefinition
	Secrets     map[string]string // become part of the environment of what is started
	DataDir     string            // the worker's
	Supervise   []string          // command line that runs supervise.Run on a folder, its last word
	Leash       []string          // command line that calls process.Leash with its last two words
	Files       deploy.Files
	Logger      *slog.Logger
}

// Driver is the target of one environment.
type Driver struct {
	options    Options
	definition towpath.ProcessTarget
	home       home
	fence      fence
	assets     assets
	supervisor supervise.Client
	probers    *probe.Probers
	mends      mends
	closing    context.Context
	close      context.CancelFunc
	running    *sync.WaitGroup
	ordering   sync.Mutex // held while instances are started or ended, by an order or to mend
}

// New opens the target, and makes its folders.
func New(options Options) (*Driver, error) {
	target := options.Definition.Target.Process
	if target == nil {
		return nil, fmt.Errorf("open the target of %s: its definition has no process target", options.Environment)
	}
	dataDir, err := filepath.Abs(options.DataDir)
	if err != nil {
		return nil, fmt.Errorf("open the target of %s: %w", options.Environment, err)
	}
	h := homeOf(dataDir, options.Environment)
	for _, folder := range append(h.folders(), h.files) {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("open the target of %s: %w", options.Environment, err)
		}
	}
	d := &Driver{
		options: options, definition: *target, home: h, fence: fence{home: h}, assets: assets{home: h, folder: options.Definition.Assets},
		supervisor: supervise.Client{Command: options.Supervise}, running: new(sync.WaitGroup),
	}
	d.closing, d.close = context.WithCancel(context.Background())
	d.probers = probe.New(probe.Options{Definition: options.Definition})
	d.mends = mends{driver: d, underWay: make(map[string]bool)}
	return d, nil
}

// Close ends probes and waits for them. The instances run on.
func (d *Driver) Close() error {
	d.close()
	d.running.Wait()
	d.probers.Close()
	return nil
}

// Can answers what the target is able to do: a fixed port leaves one slot.
func (d *Driver) Can() deploy.Capabilities {
	can := deploy.Capabilities{Fencing: true}
	if d.definition.Port != 0 {
		can.Slots = 1
	}
	return can
}

// Do performs an operation of a target.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	if err := d.admit(ctx, o.Epoch); err != nil {
		return deploy.Receipt{}, err
	}
	switch operation := o.Operation.(type) {
	case deploy.Check:
		return d.check(o.Release, operation)
	case deploy.Place:
		return d.place(ctx, o, operation)
	case deploy.Start:
		return d.start(ctx, o, operation)
	case deploy.Probe:
		return d.probe(ctx, operation)
	case deploy.Stop:
		return d.stop(ctx, o.Epoch, operation)
	case deploy.Remove:
		return d.remove(ctx, o.Epoch, operation)
	case deploy.Inspect:
		return d.inspect(operation), nil
	case deploy.StartSingle:
		return d.startSingle(ctx, o, operation)
	case deploy.StopSingle:
		return d.stopSingle(ctx, o.Epoch, operation)
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a target cannot %s", o.Operation)}
}

// inspect reads the ends of the instances' logs, and of those of what runs beside them.
func (d *Driver) inspect(o deploy.Inspect) (receipt deploy.Receipt) {
	tell := func(name, folder string) {
		lines, err := supervise.Tail(folder, tailLines)
		if err != nil {
			lines = []string{"its log cannot be read: " + err.Error()}
		}
		receipt.Log = append(append(receipt.Log, name+":"), lines...)
	}
	for _, id := range o.Instances {
		tell(id, d.home.runOf(id))
		entries, _ := d.entriesBeside(id) // what cannot be listed has no log either
		for _, e := range entries {
			tell(e.Spec.Process+" of "+id, e.Dir)
		}
	}
	return receipt
}

// home is the environment's folder.
type home struct{ root, files, run, beside, single, assets string }

// homeOf keeps the parts of a key apart, whatever they are made of.
func homeOf(dataDir, environment string) home {
	root := filepath.Join(dataDir, "instances")
	for part := range strings.SplitSeq(environment, "/") {
		root = filepath.Join(root, folderName(part))
	}
	return home{
		root: root, files: filepath.Join(root, "files"), run: filepath.Join(root, "run"), beside: filepath.Join(root, "beside"),
		single: filepath.Join(root, "single"), assets: filepath.Join(root, "assets"),
	}
}

// folderName leaves no way out of the folder above.
func folderName(part string) string {
	part = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, part)
	if strings.Trim(part, ".") == "" {
		return "_" + part
	}
	return part
}

func (h home) filesOf(id string) string { return filepath.Join(h.files, folderName(id)) }
func (h home) tmpOf(id string) string   { return filepath.Join(h.root, "tmp", folderName(id)) }
func (h home) runOf(id string) string   { return filepath.Join(h.run, folderName(id)) }
