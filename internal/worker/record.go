package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/steplog"
)

const (
	groupFile  = "group"
	leaseFile  = "lease.json"
	reportFile = "report.json"
	spoolDir   = "log"
)

// record is what the disk knows of a step until it is delivered, beside its spool. It holds no secret. It survives the
// worker; a machine that fails takes the step with it, so nothing waits for the disk's durability.
type record struct {
	dir   string
	group string          // of the script's processes
	lease client.LeaseRef // none yet: zero
}

// newRecord is there before anything is started in the group, and before there is a lease.
func newRecord(leases, group string) (*record, error) {
	dir, err := os.MkdirTemp(leases, "")
	if err != nil {
		return nil, fmt.Errorf("write a process group down: %w", err)
	}
	r := &record{dir: dir}
	if err := r.reuse(group); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

// reuse makes the record one of no step: to make files anew costs more than to empty them. The lease goes first: what a
// worker finds that is killed meanwhile is a record without one, or that of a step which was delivered.
func (r *record) reuse(group string) error {
	for _, name := range []string{leaseFile, reportFile} {
		if err := os.Truncate(r.path(name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("empty a record: %w", err)
		}
	}
	r.group, r.lease = group, client.LeaseRef{}
	if err := os.WriteFile(r.path(groupFile), []byte(group), 0o600); err != nil {
		return fmt.Errorf("write a process group down: %w", err)
	}
	return nil
}

// readRecord reads what a former worker left.
func readRecord(dir string) (*record, error) {
	r := &record{dir: dir}
	group, err := os.ReadFile(r.path(groupFile))
	if err != nil {
		return nil, fmt.Errorf("read a former worker's record: %w", err)
	}
	r.group = string(group)
	if err := r.read(leaseFile, &r.lease); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("read a former worker's lease: %w", err)
	}
	return r, nil
}

func (r *record) path(name string) string { return filepath.Join(r.dir, name) }

func (r *record) keepLease(lease client.LeaseRef) error {
	r.lease = lease
	return r.write(leaseFile, lease)
}

// keepGroup names another group. A worker that is killed meanwhile leaves the old name or the new one.
func (r *record) keepGroup(group string) error {
	r.group = group
	if err := os.WriteFile(r.path(groupFile+".new"), []byte(group), 0o600); err != nil {
		return fmt.Errorf("write a process group down: %w", err)
	}
	return os.Rename(r.path(groupFile+".new"), r.path(groupFile))
}

// keepReport is for the next worker, to whom half a report is none.
func (r *record) keepReport(report client.StepReport) error { return r.write(reportFile, report) }

// report answers the report that was written down; false when there is none.
func (r *record) report() (client.StepReport, bool) {
	var report client.StepReport
	return report, r.read(reportFile, &report) == nil
}

func (r *record) spool() (*steplog.Spool, error) {
	return steplog.OpenSpool(r.path(spoolDir), time.Now)
}

func (r *record) write(name string, content any) error {
	encoded, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	place := failpoint.Called("note")
	place.Before()
	if err := os.WriteFile(r.path(name), encoded, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	place.After()
	return nil
}

func (r *record) read(name string, into any) error {
	content, err := os.ReadFile(r.path(name))
	if err != nil {
		return err
	}
	if len(content) == 0 {
		return os.ErrNotExist // it was emptied, to be used again
	}
	return json.Unmarshal(content, into)
}

func (r *record) remove() error { return os.RemoveAll(r.dir) }
