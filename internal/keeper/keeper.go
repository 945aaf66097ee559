package keeper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/secret"
)

const (
	// leaveLimit is how long the server may take to note that environments are given back.
	leaveLimit = 5 * time.Second
	// stepAside is how long the server is not called again after it gave an order: on a small machine that call, which
	// waits anyway, would be made while the order is carried out, and takes as long as a look does.
	stepAside = 15 * time.Millisecond
	// unknownSerial has the server tell an order that it told before.
	unknownSerial = -1
	// firstRetry and lastRetry bound the wait before a server that did not answer is called again.
	firstRetry, lastRetry = 50 * time.Millisecond, 2 * time.Second
)

// Options are what a keeper is run with. Script may be nil where no strategy has a test and no environment a hook; Run
// needs all others, GoBack no Client.
type Options struct {
	Client  *client.Client
	DataDir string // the worker's
	Open    func(Site) (Drivers, error)
	Script  func(context.Context, Script) error
	Alone   time.Duration // after which a command ends whose person is gone; 0 is a minute
	Logger  *slog.Logger
}

// Site is what drivers are opened for. They are opened anew when any of it changes.
type Site struct {
	Environment string // key
	Definition  towpath.EnvironmentDefinition
	Secrets     map[string]string // of instances and scripts
	Credentials map[string]string // by which the drivers show who they are; for nobody else
	Files       deploy.Files
}

// Drivers are those of one environment. Balancer is nil where the definition has none.
type Drivers struct{ Target, Balancer deploy.Driver }

// Script is a strategy's test, a hook or the command of a watch, to be run in a folder with the release's files. An error says
// why it did not pass, and is a ScriptFailure where it ran to its end.
type Script struct {
	Text string
	Dir  string
	Env  map[string]string
}

// ScriptFailure is the end of a script that did not pass.
type ScriptFailure struct {
	ExitCode int    // -1 where a signal ended it
	Reason   string // for people
	Log      []string
}

// Error is the reason.
func (f *ScriptFailure) Error() string { return f.Reason }

// Unwrap says what becomes of an operation that needed the script: it is not tried again.
func (f *ScriptFailure) Unwrap() error {
	return &deploy.Permanent{Err: errors.New(f.Reason), Log: f.Log}
}

// lastLine is what the script said last.
func (f *ScriptFailure) lastLine() string {
	for _, line := range slices.Backward(f.Log) {
		if line != "" {
			return firstLineOf(line)
		}
	}
	return "it did not say why"
}

// Keeper is one worker's. One goroutine, that of Run, owns it; people who go back without the server find their
// environment in it.
type Keeper struct {
	options    Options
	folder     string
	holder     string
	keys       secret.Keys
	link       *link
	trees      *trees
	mutex      sync.Mutex // of performers, where others than the owner read
	performers map[string]*performer
	remembered map[string]*performer // kept before the start; the server has not spoken of them yet
	kicked     chan struct{}         // one slot: ask the server again at once
}

// Run keeps what the server gives this worker, until ctx ends. Then operations in hand are finished or cut, and the
// environments are given back; what runs in them runs on. The error is of the keeper's own folder.
func Run(ctx context.Context, options Options) error {
	k, err := open(options)
	if err != nil {
		return fmt.Errorf("keep environments: %w", err)
	}
	unlock, err := k.lock(ctx)
	if err != nil {
		return fmt.Errorf("keep environments: %w", err)
	}
	defer func() { _ = unlock() }() // a file that cannot be closed is not locked either
	k.remember()
	k.resume(ctx)
	deafen := k.listen()
	defer deafen()
	began := time.Now()
	for wait := firstRetry; ctx.Err() == nil; {
		err := k.runOnce(ctx)
		switch {
		case err == nil:
			wait = firstRetry
		case ctx.Err() == nil:
			options.Logger.Warn("server not reached", "error", err, "again_in", wait)
			if time.Since(began) >= dormancy {
				k.awaken(ctx)
			}
			pause(ctx, wait)
			wait = min(2*wait, lastRetry)
		}
	}
	k.leave(context.WithoutCancel(ctx))
	return nil
}

// lock sees to it that one process at a time gives orders from a data folder. It waits for a rollback by hand that is
// under way.
func (k *Keeper) lock(ctx context.Context) (unlock func() error, err error) {
	path := filepath.Join(k.folder, "lock")
	unlock, err = durable.LockSoon(path)
	if errors.Is(err, durable.ErrHeld) {
		k.options.Logger.Warn("another process gives orders from this folder; waiting for it", "folder", k.folder)
		return durable.AwaitLock(ctx, path)
	}
	return unlock, err
}

func open(options Options) (*Keeper, error) {
	folder := filepath.Join(options.DataDir, "keeper")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	keys, err := secret.LoadOrCreate(filepath.Join(folder, "key"))
	if err != nil {
		return nil, err
	}
	trees, err := openTrees(filepath.Join(folder, "trees"))
	if err != nil {
		return nil, err
	}
	return &Keeper{
		options: options, folder: folder, holder: rand.Text(), keys: keys, link: new(link), trees: trees,
		performers: make(map[string]*performer), remembered: make(map[string]*performer), kicked: make(chan struct{}, 1),
	}, nil
}

// source is where an environment's artifacts are fetched.
func (k *Keeper) source(environment string) source {
	if k.options.Client == nil {
		return noSource{}
	}
	return k.options.Client.ArtifactsOfEnvironment(environment)
}

// change changes which performers there are.
func (k *Keeper) change(alter func()) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	alter()
}

// adopt has an environment be kept.
func (k *Keeper) adopt(p *performer) {
	k.change(func() {
		delete(k.remembered, p.key)
		k.performers[p.key] = p
	})
}

// errKicked ends a poll because there is something to tell the server.
var errKicked = errors.New("there is something to tell")

// runOnce renews the leases, and hands out what the server answers.
func (k *Keeper) runOnce(ctx context.Context) error {
	polling, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := k.afterKick(polling, func() { cancel(errKicked) })
	answer, err := k.options.Client.Keep(polling, client.KeepRequest{Holder: k.holder, Kept: k.kept()})
	stop()
	if err != nil {
		if context.Cause(polling) == errKicked { //nolint:errorlint // it is never wrapped
			return nil
		}
		k.link.lost()
		return err
	}
	mayMore := k.link.renewed(answer)
	k.hand(ctx, answer)
	if mayMore {
		k.wakeAll()
	}
	if len(answer.Orders) > 0 {
		k.standAside(ctx)
	}
	return nil
}

// standAside waits a moment, unless there is something to tell.
func (k *Keeper) standAside(ctx context.Context) {
	timer := time.NewTimer(stepAside)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-k.kicked:
	case <-timer.C:
	}
}

// afterKick calls do at the first kick, until ctx ends or it is stopped.
func (k *Keeper) afterKick(ctx context.Context, do func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-k.kicked:
			do()
		case <-ctx.Done():
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// kick has the server asked again at once.
func (k *Keeper) kick() {
	select {
	case k.kicked <- struct{}{}:
	default:
	}
}

// kept is what the server need not tell again. After a silence it tells all, so that it answers at once.
func (k *Keeper) kept() []client.Keeping {
	isSilent := !k.link.isHeard()
	var kept []client.Keeping
	for _, p := range k.performers {
		keeping := p.keeping()
		if isSilent {
			keeping.Serial = unknownSerial
		}
		kept = append(kept, keeping)
	}
	for _, p := range k.remembered {
		keeping := p.keeping()
		keeping.Serial = unknownSerial
		kept = append(kept, keeping)
	}
	return kept
}

// hand gives each order to its performer, and ends those whose environment is another's now.
func (k *Keeper) hand(ctx context.Context, answer client.KeepAnswer) {
	for _, key := range answer.Lost {
		if p, is := k.performers[key]; is {
			k.options.Logger.Info("environment is kept by this worker no longer", "environment", key)
			p.end()
			k.change(func() { delete(k.performers, key) })
			k.forget(p)
		}
		if p, is := k.remembered[key]; is {
			k.forget(p)
		}
	}
	for _, order := range answer.Orders {
		p, is := k.performers[order.Environment.Key]
		if !is {
			p = newPerformer(k, order)
			k.adopt(p)
			k.options.Logger.Info("environment taken", "environment", p.key, "epoch", order.Environment.Epoch.String())
			p.begin(ctx)
			continue
		}
		if p.accept(order, false) {
			p.wakeUp()
		}
	}
	for _, call := range answer.Errands {
		if p, is := k.performers[call.Environment]; is {
			p.takeErrand(call)
		}
	}
	k.change(func() { clear(k.remembered) }) // what is neither lost nor ordered is told of later
	if len(answer.Orders)+len(answer.Lost) > 0 {
		k.trees.keep(k.digests())
	}
}

// forget removes the order of an environment that is another's now, so that nobody looks after it from here.
func (k *Keeper) forget(p *performer) {
	if err := p.store.forget(); err != nil {
		k.options.Logger.Warn("order not removed", "environment", p.key, "error", err)
	}
}

// digests are those of all artifacts that may have to be placed.
func (k *Keeper) digests() map[string]bool {
	named := make(map[string]bool)
	for _, p := range k.performers {
		for _, r := range p.current().Releases {
			for _, a := range r.Artifacts {
				named[a.Digest] = true
			}
		}
	}
	return named
}

func (k *Keeper) wakeAll() {
	for _, p := range k.performers {
		p.wakeUp()
	}
}

// leave waits for the performers, whose context has ended, and gives their environments back.
func (k *Keeper) leave(ctx context.Context) {
	var leaving []string
	for key, p := range k.performers {
		p.end()
		leaving = append(leaving, key)
	}
	if len(leaving) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()
	_, err := k.options.Client.Keep(ctx, client.KeepRequest{Holder: k.holder, Leaving: leaving})
	if err != nil {
		k.options.Logger.Warn("environments not given back; their leases run out", "error", err)
	}
}

// pause says whether ctx was still going on at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
