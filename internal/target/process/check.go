package process

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// spareBytes is what has to stay free on the disk beside the release.
const spareBytes = 64 << 20

// host is where instances listen: only this machine's balancer has to reach them.
const host = "127.0.0.1"

// check sees that the release can run here, and that there is room for it.
func (d *Driver) check(r towpath.Release, o deploy.Check) (deploy.Receipt, error) {
	if err := d.checkPlatform(r); err != nil {
		return deploy.Receipt{}, &deploy.Permanent{Err: err}
	}
	if err := d.checkDisk(r, o.Instances); err != nil {
		return deploy.Receipt{}, &deploy.Retryable{Err: err}
	}
	if err := d.checkPort(); err != nil {
		return deploy.Receipt{}, &deploy.Retryable{Err: err}
	}
	return deploy.Receipt{}, nil
}

func (d *Driver) checkPlatform(r towpath.Release) error {
	here := d.options.Definition.Platform
	if here == "" {
		here = runtime.GOOS + "/" + runtime.GOARCH
	}
	for _, a := range r.Artifacts {
		if a.Platform != "" && a.Platform != "any" && a.Platform != here {
			return fmt.Errorf("the artifact of step %q was built on %s and cannot run on %s "+
				"(say `platform: any` on the step if it can)", a.Step, a.Platform, here)
		}
	}
	return nil
}

func (d *Driver) checkDisk(r towpath.Release, instances int) error {
	var size int64
	for _, a := range r.Artifacts {
		size += a.Size
	}
	free, err := freeBytes(d.home.files)
	if err != nil {
		return fmt.Errorf("see what is free in %s: %w", d.home.files, err)
	}
	if needed := uint64(size)*uint64(instances) + spareBytes; free < needed {
		return fmt.Errorf("%d MiB are needed in %s, and %d MiB are free", needed>>20, d.home.files, free>>20)
	}
	return nil
}

// checkPort sees that a fixed port is free, or held by an instance of ours, which will be stopped before.
func (d *Driver) checkPort() error {
	if d.definition.Port == 0 {
		return nil
	}
	entries, err := supervise.List(d.home.run)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Alive && e.Spec.Address == d.fixedAddress() {
			return nil
		}
	}
	holder, err := proc.PortHolder(d.fixedAddress())
	switch {
	case errors.Is(err, proc.ErrPortFree):
		return nil
	case err != nil:
		return d.tryPort(err)
	}
	return fmt.Errorf("port %d is held by %s", d.definition.Port, holder)
}

// tryPort asks the kernel, where the holder cannot be seen.
func (d *Driver) tryPort(unseen error) error {
	listener, err := net.Listen("tcp", d.fixedAddress())
	if err != nil {
		return fmt.Errorf("port %d is not free: %w (%w)", d.definition.Port, err, unseen)
	}
	return listener.Close()
}

func (d *Driver) fixedAddress() string {
	return net.JoinHostPort(host, strconv.Itoa(d.definition.Port))
}

// freeAddresses answers so many addresses whose ports nobody uses now. A supervisor waits for its port, and tells who
// holds it, should another program be quicker.
func freeAddresses(count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all are held until each is another
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
