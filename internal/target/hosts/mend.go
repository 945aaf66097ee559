package hosts

import (
	"context"
	"slices"
	"sync"
	"time"
)

// mendPatience is how long a host may take to mend what was found.
const mendPatience = 2 * time.Minute

// mends gives processes whose supervisor is gone another one: after a kill, and what was beside instances also after the host
// was started again. That carries on the last order and gives no new one, so it is done under that order's epoch, and refused
// as soon as a later one was given.
type mends struct {
	driver   *Driver
	closing  context.Context
	close    context.CancelFunc
	running  sync.WaitGroup
	mutex    sync.Mutex
	underWay map[*machine]bool
}

// look begins to mend what needs it, and does not wait.
func (m *mends) look(host *machine, t table) {
	if t.epoch.Number == 0 || !slices.ContainsFunc(t.processes, supervised.needsMending) {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.underWay[host] || m.closing.Err() != nil {
		return
	}
	m.underWay[host] = true
	m.running.Go(func() {
		m.mend(host, t)
		m.mutex.Lock()
		delete(m.underWay, host)
		m.mutex.Unlock()
	})
}

// needsMending says that a process lost its supervisor. A single one that does not run any more waits for an order.
func (p supervised) needsMending() bool {
	return p.isWanted && !p.lives && (p.kind == ordinary || p.runs)
}

func (m *mends) mend(host *machine, t table) {
	ctx, cancel := context.WithTimeout(m.closing, mendPatience)
	defer cancel()
	logger := m.driver.options.Logger.With("host", host.name)
	said, err := host.order(ctx, t.epoch, "look after processes again", scriptMend, variables{}, nil)
	for _, w := range said {
		if w.is == "mended" {
			logger.Info("supervisor replaced", "process", w.at(0))
		}
	}
	if err != nil && gradeOf(err) != gradeStale {
		logger.Warn("supervisor not replaced", "error", err)
	}
}
