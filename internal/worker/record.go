package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/steplog"
)

const (
	recordFile = "lease.json"
	reportFile = "report.json"
	spoolDir   = "log"
)

// record is what the disk knows of a step until it is delivered. It holds no secret. It survives the worker; a
// machine that fails takes the step with it, so nothing waits for the disk's durability.
type record struct {
	dir   string
	Lease client.LeaseRef `json:"lease"`
	Group string          `json:"group,omitempty"` // of the script's processes
}

// newRecord is there before anything is started in the group.
func newRecord(leases string, lease client.LeaseRef, group string) (*record, error) {
	dir, err := os.MkdirTemp(leases, "")
	if err != nil {
		return nil, fmt.Errorf("write a lease down: %w", err)
	}
	r := &record{dir: dir, Lease: lease, Group: group}
	if err := r.write(recordFile, r); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

// readRecord reads what a former worker left.
func readRecord(dir string) (*record, error) {
	r := &record{dir: dir}
	content, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err == nil {
		err = json.Unmarshal(content, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read a former worker's lease: %w", err)
	}
	return r, nil
}

// keepGroup names another group. A worker that is killed meanwhile leaves the old name or the new one.
func (r *record) keepGroup(group string) error {
	r.Group = group
	if err := r.write(recordFile+".new", r); err != nil {
		return err
	}
	return os.Rename(filepath.Join(r.dir, recordFile+".new"), filepath.Join(r.dir, recordFile))
}

// keepReport is for the next worker, to whom half a report is none.
func (r *record) keepReport(report client.StepReport) error { return r.write(reportFile, report) }

// report answers the report that was written down; false when there is none.
func (r *record) report() (client.StepReport, bool) {
	var report client.StepReport
	content, err := os.ReadFile(filepath.Join(r.dir, reportFile))
	return report, err == nil && json.Unmarshal(content, &report) == nil
}

func (r *record) spool() (*steplog.Spool, error) {
	return steplog.OpenSpool(filepath.Join(r.dir, spoolDir), time.Now)
}

func (r *record) write(name string, content any) error {
	encoded, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, name), encoded, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (r *record) remove() error { return os.RemoveAll(r.dir) }
