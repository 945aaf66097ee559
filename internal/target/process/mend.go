package process

import (
	"sync"

	"github.com/towpath-cd/towpath/internal/supervise"
)

// mends gives instances whose supervisor is gone another one: after a kill, or after the machine was started again.
// That carries on the last order and gives no new one, so it is done under that order's epoch.
type mends struct {
	driver   *Driver
	mutex    sync.Mutex
	underWay map[string]bool
}

// look begins to mend what needs it, and does not wait.
func (m *mends) look(e supervise.Entry) {
	if e.Want != supervise.WantRunning || e.Supervised {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.underWay[e.Dir] || m.driver.closing.Err() != nil {
		return
	}
	m.underWay[e.Dir] = true
	m.driver.running.Go(func() {
		m.mend(e)
		m.mutex.Lock()
		delete(m.underWay, e.Dir)
		m.mutex.Unlock()
	})
}

// mend looks again first: an order may have ended the instance meanwhile.
func (m *mends) mend(e supervise.Entry) {
	m.driver.ordering.Lock()
	defer m.driver.ordering.Unlock()
	e, err := m.driver.entryIn(e.Dir)
	if err != nil || e.Want != supervise.WantRunning || e.Supervised {
		return
	}
	logger := m.driver.options.Logger.With("instance", e.Spec.Instance, "process", e.Spec.Process)
	if _, err := m.driver.supervisor.Launch(m.driver.closing, e.Dir, e.State.Epoch, e.Spec); err != nil {
		logger.Warn("supervisor not replaced", "error", err)
		return
	}
	logger.Info("supervisor replaced")
}
