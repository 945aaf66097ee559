//go:build linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// How long a host may take, also on a machine that has much else to do.
const (
	bootLimit = 2 * time.Minute
	stopLimit = time.Minute
)

// rebooted is what nspawn ends with where the host wants to be started again (systemd-nspawn(1), "Exit Status").
const rebooted = 133

// Host is a machine of the fleet.
type Host struct {
	Name    string // "web1", which every host and the story can resolve
	Address string // without a port

	fleet *Fleet
	disk  disk
	group group

	lock  sync.Mutex
	isOn  bool
	boots int           // how often it began to boot
	down  chan struct{} // closed when it is off
}

func newHost(f *Fleet, p apart.Place, base string, i int) *Host {
	name := "web" + strconv.Itoa(i+1)
	return &Host{
		Name: name, Address: fmt.Sprintf("10.77.0.%d", firstIP+i),
		fleet: f, disk: newDisk(base, filepath.Join(p.Dir, name)), group: newGroup(p.Group, name),
	}
}

// furnish gives a host its disk, its network and what tells it from the others.
func (h *Host) furnish(ctx context.Context) error {
	if err := h.disk.make(ctx); err != nil {
		return err
	}
	if err := h.fleet.network.plug(ctx, h); err != nil {
		return err
	}
	return errors.Join(h.group.make(), h.write("/etc/hostname", h.Name+"\n", 0o644), h.write("/etc/hosts", h.fleet.names(), 0o644),
		h.giveKeys(), h.disk.sync())
}

// Boot starts a host that is off, and waits until it takes logins.
func (h *Host) Boot() {
	h.fleet.t.Helper()
	h.must("boot", h.boot(h.fleet.t.Context()))
}

func (h *Host) boot(ctx context.Context) error {
	h.lock.Lock()
	if h.isOn {
		h.lock.Unlock()
		return errors.New("it is on")
	}
	h.isOn, h.down = true, make(chan struct{})
	go h.run(h.down)
	boots := h.boots
	h.lock.Unlock()
	if err := h.link(ctx, "up"); err != nil {
		return err
	}
	return h.awaitBoot(ctx, boots)
}

// run is the host's power supply: it starts the host, and again whenever it reboots.
func (h *Host) run(down chan<- struct{}) {
	defer close(down)
	for {
		machine, err := h.start()
		if err != nil {
			h.fleet.t.Logf("%s does not start: %v", h.Name, err)
		}
		if err != nil || machine == nil {
			break
		}
		var ended *exec.ExitError
		if err := machine.Wait(); !errors.As(err, &ended) || ended.ExitCode() != rebooted {
			h.fleet.t.Logf("%s is off: %v", h.Name, err)
			break
		}
	}
	h.lock.Lock()
	h.isOn = false
	h.lock.Unlock()
}

// start begins to boot, unless somebody has switched the host off.
func (h *Host) start() (*exec.Cmd, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if !h.isOn {
		return nil, nil
	}
	console, err := os.OpenFile(h.console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	folder, err := os.Open(h.group.dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	machine := command(context.Background(), "unshare", append(h.alone(), "systemd-nspawn", "--quiet", "--boot",
		"--directory="+h.disk.root, "--machine="+h.Name, "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off",
		"--timezone=off", "--console=read-only", "--network-namespace-path=/run/netns/"+h.Name)...)
	machine.Stdout, machine.Stderr = console, console
	machine.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(folder.Fd())} // or all would share one
	h.boots++
	return machine, machine.Start()
}

// alone are the arguments of unshare(1) with which a host does not hold the disks of the others: nspawn keeps all mounts
// that it was started with, out of sight.
func (h *Host) alone() []string {
	args := []string{
		"--mount", "--propagation=private", "sh", "-c",
		`while [ "$1" != -- ]; do umount --lazy "$1"; shift; done 2>/dev/null; shift; exec "$@"`, "sh",
	}
	for _, other := range h.fleet.Hosts {
		if other != h {
			args = append(args, other.disk.root, other.disk.at)
		}
	}
	return append(args, "--")
}

// awaitBoot waits until the host has begun to boot more often than that, and takes logins.
func (h *Host) awaitBoot(ctx context.Context, boots int) error {
	var began, isOn bool
	err := until(ctx, bootLimit, "it takes logins", func() bool {
		h.lock.Lock()
		began, isOn = h.boots > boots, h.isOn
		h.lock.Unlock()
		return !isOn || began && h.takesLogins()
	})
	if err == nil && !isOn {
		return errors.New("it went off while it booted")
	}
	return err
}

// takesLogins says that sshd listens, and that systemd lets users in.
func (h *Host) takesLogins() bool {
	first, err := h.group.first()
	if err != nil {
		return false
	}
	_, err = os.Lstat(filepath.Join(first, "root/run/nologin"))
	return errors.Is(err, os.ErrNotExist) && isListening(first, 22)
}

// Reboot restarts the host as a person would, and waits until it takes logins.
func (h *Host) Reboot() {
	h.fleet.t.Helper()
	h.lock.Lock()
	boots := h.boots
	h.lock.Unlock()
	h.Run("systemctl --no-block reboot")
	h.must("reboot", h.awaitBoot(h.fleet.t.Context(), boots))
}

// PowerCut ends everything on the host at once. What was not synced to its disk is lost, and nobody hears of it: its
// connections are left open on the other side.
func (h *Host) PowerCut() {
	h.fleet.t.Helper()
	h.must("cut the power", errors.Join(h.link(h.fleet.t.Context(), "down"), h.kill(h.fleet.t.Context()), h.disk.cut()))
	h.must("put the disk back", errors.Join(h.disk.awaitGone(h.fleet.t.Context()), h.disk.mount(h.fleet.t.Context())))
}

// kill ends all processes, and keeps the host from starting again.
func (h *Host) kill(ctx context.Context) error {
	h.lock.Lock()
	down := h.down
	h.isOn = false
	h.lock.Unlock()
	if down == nil {
		return nil
	}
	if err := h.group.set("cgroup.kill"); err != nil {
		return err
	}
	return errors.Join(h.awaitDown(ctx, down), h.group.renew())
}

// Shutdown ends the host in good order.
func (h *Host) Shutdown() {
	h.fleet.t.Helper()
	h.lock.Lock()
	down := h.down
	h.lock.Unlock()
	h.Run("systemctl --no-block poweroff")
	h.must("shut down", h.awaitDown(h.fleet.t.Context(), down))
}

func (h *Host) awaitDown(ctx context.Context, down <-chan struct{}) error {
	return until(ctx, stopLimit, "nothing runs there any more", func() bool {
		select {
		case <-down:
			return !h.group.says("populated 1")
		default:
			return false
		}
	})
}

// Freeze stops everything on the host where it is: it answers nothing, and its connections stay open.
func (h *Host) Freeze() {
	h.fleet.t.Helper()
	h.must("freeze", h.group.set("cgroup.freeze"))
	h.must("freeze", until(h.fleet.t.Context(), stopLimit, "it stands still", func() bool { return h.group.says("frozen 1") }))
}

// Thaw lets a frozen host go on.
func (h *Host) Thaw() {
	h.fleet.t.Helper()
	h.must("thaw", h.group.clear("cgroup.freeze"))
}

// remove ends the host for good.
func (h *Host) remove(ctx context.Context) error {
	if isThere(throttle) { // what waits for a slow disk cannot be killed
		if err := h.disk.slow(0); err != nil {
			return err
		}
	}
	if err := h.kill(ctx); err != nil {
		return err
	}
	return h.disk.unmount()
}

func (h *Host) console() string { return h.disk.image + ".console" }

func (h *Host) must(what string, err error) {
	h.fleet.t.Helper()
	h.fleet.must(what+": "+h.Name, err)
}
