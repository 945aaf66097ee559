package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/remote"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// The statuses that mean something, of sysexits.h.
const (
	statusAgain = 75 // EX_TEMPFAIL: nothing has happened, and may later
	statusStale = 77 // EX_NOPERM: a later epoch was here, which is printed
)

// saidLines is how many of a script's last lines are told.
const saidLines = 20

// member is an instance, as scripts are told of it and tell of it.
type member struct {
	ID       string `json:"id"`
	Release  int    `json:"release,omitempty"`
	Address  string `json:"address"`
	Share    int    `json:"share"`
	InFlight int    `json:"in_flight,omitempty"`
}

// epoch is the keeper's.
type epoch struct {
	Number uint64 `json:"number"`
	Holder string `json:"holder"`
}

// order is what a script reads.
type order struct {
	Operation   string   `json:"operation"`
	Environment string   `json:"environment"`
	Epoch       *epoch   `json:"epoch,omitempty"`
	Members     []member `json:"members,omitempty"`
	Within      int      `json:"within,omitempty"` // seconds
}

// answer is what a script prints.
type answer struct {
	Epoch   *epoch   `json:"epoch"`
	Address string   `json:"address"`
	Members []member `json:"members"`
}

// env is the same for scripts that read no JSON: members are lines of ID, address and share.
func (o order) env(secrets map[string]string) map[string]string {
	env := maps.Clone(secrets)
	if env == nil {
		env = make(map[string]string)
	}
	env["TOWPATH_OPERATION"], env["TOWPATH_ENVIRONMENT"] = o.Operation, o.Environment
	if o.Epoch != nil {
		env["TOWPATH_EPOCH"], env["TOWPATH_HOLDER"] = strconv.FormatUint(o.Epoch.Number, 10), o.Epoch.Holder
	}
	var lines strings.Builder
	for _, m := range o.Members {
		fmt.Fprintf(&lines, "%s %s %d\n", m.ID, m.Address, m.Share)
	}
	env["TOWPATH_MEMBERS"], env["TOWPATH_WITHIN"] = lines.String(), strconv.Itoa(o.Within)
	return env
}

// run has a script carry out an order, and answers what it printed.
func (d *Driver) run(ctx context.Context, script string, o order) (answer, error) {
	o.Environment = d.environment
	input, err := json.Marshal(o)
	if err != nil {
		return answer{}, &deploy.Permanent{Err: err}
	}
	result, err := remote.Here{}.Run(ctx, ssh.Command{Script: script, Env: o.env(d.secrets), Input: strings.NewReader(string(input) + "\n")})
	if err != nil {
		return answer{}, remote.Explain(fmt.Errorf("the script %s: %w", o.Operation, err))
	}
	var a answer
	printed := json.Unmarshal([]byte(result.Output), &a)
	if result.Status == 0 && o.Operation != observe {
		return a, nil
	}
	if result.Status == 0 && printed != nil {
		return a, &deploy.Permanent{Err: fmt.Errorf("the script %s prints no JSON: %w", o.Operation, printed), Log: d.said(result)}
	}
	return a, d.refusal(o, result, a)
}

// refusal is what a script's status means; nil where it is 0.
func (d *Driver) refusal(o order, result ssh.Result, a answer) error {
	if result.Status == 0 {
		return nil
	}
	if result.Status == statusStale && a.Epoch != nil {
		return &deploy.StaleEpoch{Seen: a.Epoch.seen()}
	}
	lines := d.said(result)
	err := fmt.Errorf("the script %s ended with status %d: %s", o.Operation, result.Status, cmp.Or(lines[len(lines)-1], "it printed nothing"))
	if o.Operation == observe || result.Status == statusAgain {
		return &deploy.Retryable{Err: err}
	}
	return &deploy.UnknownOutcome{Err: fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))}
}

// said are the last lines of a script, without secrets.
func (d *Driver) said(r ssh.Result) []string {
	lines := strings.Split(strings.TrimSpace(d.masker.Mask(r.Output+"\n"+r.Said)), "\n")
	return lines[max(0, len(lines)-saidLines):]
}

func (e *epoch) seen() towpath.Epoch {
	if e == nil {
		return towpath.Epoch{}
	}
	return towpath.Epoch{Number: e.Number, Holder: e.Holder}
}

// table is who is at each address.
type table map[string]member

func newTable(members []member) table {
	t := make(table)
	for _, m := range members {
		m.ID = cmp.Or(m.ID, m.Address)
		t[m.Address] = m
	}
	return t
}

// addressOf is where a member is; empty where it is none.
func (t table) addressOf(id string) string {
	for address, m := range t {
		if m.ID == id {
			return address
		}
	}
	return ""
}

// shifted answers the members with the shares of a shift: those without one first, as another may have taken their place.
func (t table) shifted(o deploy.Shift, instances []towpath.Instance) (table, error) {
	wanted := make(table)
	for address, m := range t {
		m.Share, m.InFlight = 0, 0
		wanted[address] = m
	}
	byShare := func(a, b string) int { return cmp.Or(cmp.Compare(o.Weights[a], o.Weights[b]), cmp.Compare(a, b)) }
	for _, id := range slices.SortedFunc(maps.Keys(o.Weights), byShare) {
		address := t.addressOf(id)
		if n := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id }); n >= 0 && instances[n].Address != "" {
			if wanted[address].ID == id {
				delete(wanted, address)
			}
			address = instances[n].Address
		}
		if address == "" {
			return nil, &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
		release, _ := towpath.ParseInstanceID(id)
		wanted[address] = member{ID: id, Release: release, Address: address, Share: o.Weights[id]}
	}
	return wanted, nil
}

// idle is an error where an instance has a share.
func (t table) idle(ids []string) error {
	for _, id := range ids {
		if t[t.addressOf(id)].Share > 0 {
			return &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
	}
	return nil
}

// members are all, in the order of their names.
func (t table) members() []member {
	return slices.SortedFunc(maps.Values(t), func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
}

// sleep waits, at most until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return &deploy.Retryable{Err: errors.Join(errors.New("wait for what is in flight"), context.Cause(ctx))}
	case <-timer.C:
		return nil
	}
}
