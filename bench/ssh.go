package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
	"github.com/towpath-cd/towpath/internal/target/hosts"
)

// The release of the page: 2,000 files, 10 MB, of which fifty change. The goals are ratios to tar, and what the flip took
// where changing a link by ssh took so long.
const (
	sshFiles, sshBytes, sshChanged = 2000, 5000, 50
	sshChangedGoal, sshNewGoal     = 0.5, 0.8
	sshSpreadGoal                  = 20 // ms
)

// sshBench is some hosts, with a folder for us and one for each of the others.
type sshBench struct {
	*stage
	lab     *sshtest.Lab
	hosts   []*sshtest.Host
	login   string
	release forest
	target  *hosts.Driver
	order   deploy.Order
	serial  int
	took    map[string][]float64 // s, by what was done; the spread is in ms
}

// measureSSH deploys to one host and to five, in turn with the plain tools.
func measureSSH(ctx context.Context, s *stage) (figures []Figure, err error) {
	for _, count := range []int{1, 5} {
		found, err := measureHosts(ctx, s, count)
		if err != nil {
			return figures, err
		}
		figures = append(figures, found...)
	}
	return figures, nil
}

func measureHosts(ctx context.Context, s *stage, count int) (_ []Figure, err error) {
	t := new(sshStage)
	defer t.end(&err)
	b, err := newSSHBench(s, t, count)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.target.Close()) }()
	for round := range s.rounds(12, 4) {
		if isNew(round) {
			if err := b.release.grow(round); err != nil {
				return nil, err
			}
		}
		if err := b.round(ctx, round); err != nil {
			return nil, err
		}
	}
	return b.figures(count), nil
}

func newSSHBench(s *stage, t *sshStage, count int) (*sshBench, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	b := &sshBench{
		stage: s, lab: sshtest.New(t), login: me.Username, took: make(map[string][]float64),
		release: forest{stage: s, name: fmt.Sprintf("release-%d", count), files: sshFiles, each: sshBytes},
	}
	target := &towpath.HostsTarget{Path: filepath.Join(b.lab.Root, "ours"), Port: 8000, Reload: "true"}
	for range count {
		h := b.lab.Host(sshtest.Setting{})
		b.hosts = append(b.hosts, h)
		port, err := strconv.Atoi(h.Port)
		if err != nil {
			return nil, err
		}
		target.Hosts = append(target.Hosts, towpath.Host{Name: h.IP, SSHPort: port})
	}
	b.order = deploy.Order{Epoch: towpath.Epoch{Number: 1, Holder: "bench"}}
	b.target, err = hosts.New(hosts.Options{
		Environment: "shop/bench", Definition: towpath.EnvironmentDefinition{Name: "bench", Target: towpath.TargetDefinition{Hosts: target}},
		DataDir: s.path(fmt.Sprintf("keeper-%d", count)), SSH: ssh.Options{Home: b.lab.Home, Login: me.Username},
		Files: b.layOut, Logger: slog.New(slog.DiscardHandler),
	})
	return b, err
}

// layOut has a release's files at hand as the plain tools have them.
func (b *sshBench) layOut(_ context.Context, _ towpath.Release, folder string) error {
	return filepath.WalkDir(b.release.dir(), func(path string, e fs.DirEntry, err error) error {
		below, relErr := filepath.Rel(b.release.dir(), path)
		if err = errors.Join(err, relErr); err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(folder, below), 0o700)
		}
		return os.Link(path, filepath.Join(folder, below))
	})
}

// change writes so many files anew, under another inode: what was laid out before stays as it is.
func (b *sshBench) change(round, count int) error {
	words, block := rand.NewChaCha8([32]byte{byte(round), 1}), make([]byte, sshBytes)
	for n := range count {
		i := n * (sshFiles / count)
		path := filepath.Join(b.release.dir(), fmt.Sprintf("d%d", i/100), fmt.Sprintf("f%d.txt", i))
		if err := os.Remove(path); err != nil {
			return err
		}
		if err := b.release.write(path, words, block); err != nil {
			return err
		}
	}
	return nil
}

// isNew says that a round's release has no file of the one before.
func isNew(round int) bool { return round%4 == 0 }

// round deploys a release, and goes back.
func (b *sshBench) round(ctx context.Context, round int) error {
	what := "changed"
	if isNew(round) {
		what = "new"
	} else if err := b.change(round, sshChanged); err != nil {
		return err
	}
	b.say("%d hosts, round %d", len(b.hosts), round)
	before := b.order.Operation
	for name, do := range map[string]func(context.Context, int) error{"ours": b.ours, "tar": b.byTar, "tar, flushed": b.byTarFlushed, "rsync": b.byRsync} {
		if _, err := exec.LookPath("rsync"); name == "rsync" && err != nil {
			continue
		}
		syscall.Sync() // nobody waits for what the one before has left to be written: the hosts share a disk, and we flush it
		began := time.Now()
		if err := do(ctx, round); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.took[name+" "+what] = append(b.took[name+" "+what], time.Since(began).Seconds())
	}
	if before == nil {
		return nil
	}
	return b.back(ctx, round, before)
}

// ours places a release, and starts it: the application takes no time.
func (b *sshBench) ours(ctx context.Context, round int) error {
	b.order.Release = towpath.Release{Number: round + 1}
	place := deploy.Place{Release: round + 1, Slots: make(map[string]string)}
	for _, h := range b.hosts {
		b.serial++
		id := towpath.InstanceID(round+1, b.serial)
		place.Instances, place.Slots[id] = append(place.Instances, id), h.IP
		b.order.Instances = append(b.order.Instances, towpath.Instance{ID: id, Slot: h.IP})
	}
	b.order.Operation = place
	if _, err := b.target.Do(ctx, b.order); err != nil {
		return err
	}
	b.order.Operation = deploy.Start{Instances: place.Instances}
	_, err := b.target.Do(ctx, b.order)
	return err
}

// back flips to the release before, and to the new one again; the plain tools do the same.
func (b *sshBench) back(ctx context.Context, round int, before deploy.Operation) error {
	now := b.order.Operation
	began := time.Now()
	b.order.Operation = before
	if _, err := b.target.Do(ctx, b.order); err != nil {
		return err
	}
	b.took["ours back"] = append(b.took["ours back"], time.Since(began).Seconds())
	spread, err := b.spread()
	if err != nil {
		return err
	}
	b.took["spread"] = append(b.took["spread"], spread)
	b.order.Operation = now
	if _, err := b.target.Do(ctx, b.order); err != nil {
		return err
	}
	began = time.Now()
	if err := b.plainly(ctx, nil, fmt.Sprintf("cd %s/tar && ln -s releases/%d next && mv -T next current", b.lab.Root, round-1)); err != nil {
		return err
	}
	b.took["tar back"] = append(b.took["tar back"], time.Since(began).Seconds())
	return nil
}

// spread is the time between the first link that was changed and the last one, by the hosts' one clock.
func (b *sshBench) spread() (float64, error) {
	var first, last time.Time
	for _, h := range b.hosts {
		info, err := os.Lstat(filepath.Join(h.Disk(), "ours", "current"))
		if err != nil {
			return 0, err
		}
		changed := time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
		if first.IsZero() || changed.Before(first) {
			first = changed
		}
		if changed.After(last) {
			last = changed
		}
	}
	return milliseconds(last.Sub(first)), nil
}

// byTar sends all files by tar, and renames a link.
func (b *sshBench) byTar(ctx context.Context, round int) error {
	return b.sendByTar(ctx, b.lab.Root+"/tar", round, "")
}

// byTarFlushed does so once the files are on the disk, as ours are: what a link leads to is whole after a power cut.
func (b *sshBench) byTarFlushed(ctx context.Context, round int) error {
	return b.sendByTar(ctx, b.lab.Root+"/flushed", round, " && sync -f .")
}

func (b *sshBench) sendByTar(ctx context.Context, folder string, round int, flush string) error {
	return b.plainly(ctx, []string{"tar", "-C", b.release.dir(), "-cf", "-", "."}, fmt.Sprintf(
		"mkdir -p %[1]s/releases/%[2]d && cd %[1]s && tar -C releases/%[2]d -xf -%[3]s && ln -s releases/%[2]d next && mv -T next current", folder, round, flush))
}

// plainly runs a command on all hosts at once by ssh, each with what another one prints.
func (b *sshBench) plainly(ctx context.Context, source []string, command string) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, h := range b.hosts {
		all.Go(func() error {
			remote := exec.CommandContext(ctx, "ssh", append(b.options(h), h.IP, command)...)
			if source == nil {
				return spoken(remote)
			}
			local := exec.CommandContext(ctx, source[0], source[1:]...)
			pipe, err := local.StdoutPipe()
			if err != nil {
				return err
			}
			remote.Stdin = pipe
			if err := local.Start(); err != nil {
				return err
			}
			return errors.Join(spoken(remote), local.Wait())
		})
	}
	return all.Wait()
}

func (b *sshBench) options(h *sshtest.Host) []string {
	return []string{
		"-F", "none", "-p", h.Port, "-l", b.login, "-i", b.lab.File("id_ed25519"), "-o", "UserKnownHostsFile=" + b.lab.File("known_hosts"),
		"-o", "BatchMode=yes",
	}
}

func spoken(command *exec.Cmd) error {
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// byRsync sends what changed, links the rest, and renames a link.
func (b *sshBench) byRsync(ctx context.Context, round int) error {
	root := b.lab.Root + "/rsync"
	if err := b.plainly(ctx, nil, "mkdir -p "+root+"/releases"); err != nil {
		return err
	}
	all, sending := errgroup.WithContext(ctx)
	for _, h := range b.hosts {
		all.Go(func() error {
			shell := strings.Join(append([]string{"ssh"}, b.options(h)...), " ")
			return spoken(exec.CommandContext(sending, "rsync", "-a", "-e", shell, fmt.Sprintf("--link-dest=%s/releases/%d", root, round-1),
				b.release.dir()+"/", fmt.Sprintf("%s:%s/releases/%d", h.IP, root, round)))
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return b.plainly(ctx, nil, fmt.Sprintf("cd %s && ln -s releases/%d next && mv -T next current", root, round))
}

func (b *sshBench) figures(count int) []Figure {
	on := fmt.Sprintf(", %d hosts", count)
	if count == 1 {
		on = ", 1 host"
	}
	of := func(what string) float64 { return median(b.took[what]) }
	limit, known := 0.05, 0.42 // s: the flip alone, where tar's took so long
	if count > 1 {
		limit, known = 0.1, 1.18
	}
	figures := []Figure{
		{Name: "deploy, 50 of 2,000 files changed" + on, Ours: of("ours changed"), Unit: "s", Reference: "tar over ssh", Limit: of("tar changed"), Goal: AtMost(sshChangedGoal * of("tar changed"))},
		{Name: "deploy, all files new" + on, Ours: of("ours new"), Unit: "s", Reference: "tar over ssh", Limit: of("tar new"), Goal: AtMost(sshNewGoal * of("tar new"))},
		{Name: "flip" + on, Ours: of("ours back"), Unit: "s", Reference: "a link by ssh", Limit: of("tar back"), Goal: AtMostAs(limit, known, of("tar back"))},
		{Name: "between the first and the last link" + on, Ours: of("spread"), Unit: "ms", Goal: AtMost(sshSpreadGoal)},
	}
	for _, what := range []string{"changed", "new"} {
		name := map[string]string{"changed": "deploy, 50 of 2,000 files changed", "new": "deploy, all files new"}[what]
		figures = append(figures, Figure{Name: name + ", beside one that waits for the disk, too" + on, Ours: of("ours " + what), Unit: "s", Reference: "tar over ssh, sync", Limit: of("tar, flushed " + what)})
	}
	if len(b.took["rsync changed"]) > 0 {
		figures = append(figures, Figure{Name: "deploy, 50 of 2,000 files changed, beside rsync" + on, Ours: of("ours changed"), Unit: "s", Reference: "rsync", Limit: of("rsync changed")})
	}
	return figures
}

// sshStage stands where hosts expect a test.
type sshStage struct{ cleanups []func() }

// sshFailure is a host that could not be had.
type sshFailure struct{ error }

func (*sshStage) Helper()                        {}
func (t *sshStage) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (*sshStage) Fatal(values ...any)            { panic(sshFailure{errors.New(fmt.Sprint(values...))}) }
func (*sshStage) Fatalf(f string, values ...any) { panic(sshFailure{fmt.Errorf(f, values...)}) }

// end takes hosts down, and turns a failure into an error.
func (t *sshStage) end(err *error) {
	if failed := recover(); failed != nil {
		failure, is := failed.(sshFailure)
		if !is {
			panic(failed)
		}
		*err = errors.Join(*err, failure.error)
	}
	for _, clean := range slices.Backward(t.cleanups) {
		clean()
	}
}
