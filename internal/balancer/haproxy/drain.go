package haproxy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

const (
	// firstGlance and lastGlance bound the pause between two looks at what is in flight, which grows.
	firstGlance, lastGlance = 2 * time.Millisecond, 50 * time.Millisecond
	// removals is how often a server that was added is tried to be removed while its last sessions end.
	removals = 20
)

// named are the servers of instances.
func (d *Driver) named(t table, ids []string, instances []towpath.Instance) (found []server) {
	for _, s := range t.members() {
		is := slices.ContainsFunc(ids, func(id string) bool {
			w := wish{id: id, address: d.names.numeric(id)}
			if at := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id }); at >= 0 {
				w.address = d.names.numeric(instances[at].Address)
			}
			return w.isOf(s)
		})
		if is {
			found = append(found, s)
		}
	}
	return found
}

// drain waits until nothing is in flight, at most so long. Streams count, because HAProxy does not tell them apart.
func (d *Driver) drain(ctx context.Context, o deploy.Drain, instances []towpath.Instance) (deploy.Receipt, error) {
	began := time.Now()
	left, err := d.await(ctx, o.Instances, instances, o.Within)
	if err != nil {
		return deploy.Receipt{}, err
	}
	return deploy.Receipt{Detail: fmt.Sprintf("%d in flight after %s", left, time.Since(began).Round(time.Millisecond))}, nil
}

// await answers how much is left in flight when nothing is, or the time is over. Nothing in flight has to be seen twice:
// a request that was just given to a server may not be counted yet.
func (d *Driver) await(ctx context.Context, ids []string, instances []towpath.Instance, within time.Duration) (left int, err error) {
	deadline := time.Now().Add(within)
	for pause, idle := firstGlance, 0; ; pause = min(pause*3/2, lastGlance) {
		left, err = d.inFlight(ctx, ids, instances)
		if err != nil {
			return left, err
		}
		isOver := !time.Now().Before(deadline)
		switch {
		case left > 0 || d.mayHide():
			idle = 0
		case idle > 0 || isOver:
			return left, nil
		default:
			idle, pause = idle+1, firstGlance
		}
		if isOver {
			return left, nil
		}
		if err := sleep(ctx, min(pause, time.Until(deadline))); err != nil {
			return left, err
		}
	}
}

// mayHide says that requests may be in flight in a process from before a reload.
func (d *Driver) mayHide() bool {
	return slices.ContainsFunc(d.sides, func(s *side) bool { return s.hidesSessions(d.clocks.Requests) })
}

// inFlight counts the sessions of instances, none of which may have a share.
func (d *Driver) inFlight(ctx context.Context, ids []string, instances []towpath.Instance) (count int, err error) {
	tables, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	for n, t := range tables {
		for _, s := range d.named(t, ids, instances) {
			if s.share() > 0 {
				return 0, busy(s, d.sides[n])
			}
			count += s.sessions
		}
	}
	return count, nil
}

func busy(s server, at *side) error {
	return &deploy.Retryable{Err: fmt.Errorf("server %s of HAProxy at %s has a share of the traffic", s.identity(), at.name)}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return &deploy.UnknownOutcome{Err: context.Cause(ctx)}
	case <-timer.C:
		return nil
	}
}

// endStreams closes what is left when its time is over.
func (d *Driver) endStreams(ctx context.Context, o deploy.EndStreams, instances []towpath.Instance) (deploy.Receipt, error) {
	left, err := d.await(ctx, o.Instances, instances, o.Within)
	if err != nil || left == 0 {
		return deploy.Receipt{}, err
	}
	err = d.each(func(s *side) error {
		t, err := d.readOne(ctx, s)
		if err != nil {
			return err
		}
		return d.cut(ctx, s, d.named(t, o.Instances, instances))
	})
	return deploy.Receipt{Detail: fmt.Sprintf("%d streams were closed", left)}, err
}

// cut ends all sessions of servers.
func (d *Driver) cut(ctx context.Context, s *side, servers []server) error {
	var commands []string
	for _, one := range servers {
		if one.share() > 0 {
			return busy(one, s)
		}
		commands = append(commands, fmt.Sprintf("shutdown sessions server %s/%s", d.backend, one.name))
	}
	if len(commands) == 0 {
		return nil
	}
	said, err := s.exchange(ctx, commands...)
	if err != nil || oneLine(said) == oneLine("") {
		return err
	}
	return d.explain(s.socket, "close what is in flight", said)
}

// forget takes instances out of every table, whatever is in flight there.
func (d *Driver) forget(ctx context.Context, o deploy.Forget, instances []towpath.Instance) error {
	if _, err := d.inFlight(ctx, o.Instances, instances); err != nil { // none of them may serve anywhere
		return err
	}
	return d.each(func(s *side) error { return d.forgetOne(ctx, s, o.Instances, instances) })
}

// forgetOne empties servers of the template, and removes those that were added: HAProxy does so only when their last
// session has ended.
func (d *Driver) forgetOne(ctx context.Context, s *side, ids []string, instances []towpath.Instance) error {
	t, err := d.readOne(ctx, s)
	for try := 0; err == nil; try++ {
		left := d.named(t, ids, instances)
		switch {
		case len(left) == 0:
			s.ordered(t)
			return nil
		case try == removals:
			return &deploy.Retryable{Err: fmt.Errorf("HAProxy at %s still has sessions of %s", s.name, left[0].name)}
		case try > 0:
			if err := sleep(ctx, min(firstGlance<<try, lastGlance)); err != nil {
				return err
			}
		}
		t, err = d.leave(ctx, s, left)
	}
	return err
}

// leave orders servers to be nobody's, and reads the table after it.
func (d *Driver) leave(ctx context.Context, s *side, servers []server) (table, error) {
	var commands []string
	for _, one := range servers {
		commands = append(commands, d.off(one)...)
		if one.release() == 0 {
			commands = append(commands, fmt.Sprintf("set server %s/%s addr %s port %s", d.backend, one.name, vacantHost, vacantPort))
			continue
		}
		if one.sessions > 0 {
			commands = append(commands, fmt.Sprintf("shutdown sessions server %s/%s", d.backend, one.name))
		}
		commands = append(commands, fmt.Sprintf("del server %s/%s", d.backend, one.name))
	}
	t, said, err := d.tell(ctx, s, commands...)
	if err != nil {
		return t, err
	}
	if refusal, permanent := d.explain(s.socket, "forget", said).(*deploy.Permanent); permanent { //nolint:errorlint // made here
		return t, refusal
	}
	return t, nil
}
