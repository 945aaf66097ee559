package hosts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// place brings a release's files to where they will run: on all hosts at once, and on each one instance after the other,
// of which the later ones find all files there already.
func (d *Driver) place(ctx context.Context, o deploy.Order, operation deploy.Place) (deploy.Receipt, error) {
	seats, err := d.seats(o, operation.Instances, operation.Slots)
	if err != nil {
		return deploy.Receipt{}, err
	}
	parcel, err := d.parcels.of(ctx, o.Release)
	if err != nil {
		return deploy.Receipt{}, ofFiles(ctx, fmt.Errorf("lay out release %d: %w", o.Release.Number, err))
	}
	moment := failpoint.At("place on hosts")
	moment.Before()
	var mutex sync.Mutex
	sent := 0
	err = d.everywhere(d.of(seats), func(m *machine) error {
		for _, s := range seats[m] {
			n, err := d.placeOne(ctx, m, o, s, parcel)
			if err != nil {
				return err
			}
			mutex.Lock()
			sent = max(sent, n)
			mutex.Unlock()
		}
		return nil
	})
	if err != nil {
		return deploy.Receipt{}, err
	}
	moment.After()
	return deploy.Receipt{Detail: fmt.Sprintf("%d of %d files changed", sent, len(parcel.files))}, nil
}

// ofFiles lets an error that has a kind keep it.
func ofFiles(ctx context.Context, err error) error {
	var permanent *deploy.Permanent
	switch {
	case ctx.Err() != nil:
		return &deploy.UnknownOutcome{Err: err}
	case errors.As(err, &permanent):
		return &deploy.Permanent{Err: err, Log: permanent.Log}
	}
	return &deploy.Retryable{Err: err}
}

// placeOne answers how many files were sent.
func (d *Driver) placeOne(ctx context.Context, m *machine, o deploy.Order, s seat, p *parcel) (int, error) {
	v := variables{
		"TW_ID": s.id, "TW_SLOT": s.slot.name, "TW_COUNT": strconv.Itoa(len(p.files)), "TW_PREPARE": d.definition.Prepare,
		"TW_SHARED": strings.Join(d.definition.Shared, "\n"), "TW_ENV": d.environ(o.Release, s), "TW_ASSETS": d.options.Definition.Assets,
	}
	said, err := m.order(ctx, o.Epoch, "stage "+s.id, scriptStage, v, strings.NewReader(p.manifest))
	if err != nil {
		return 0, err
	}
	missing := make(map[string]bool)
	for _, w := range said {
		switch w.is {
		case "there":
			return 0, nil
		case "missing":
			missing[strings.TrimPrefix(strings.Join(w.parts, "\t"), "./")] = true
		}
	}
	reader, writer := io.Pipe()
	go func() {
		buffered := bufio.NewWriterSize(writer, 256<<10)
		err := p.pack(buffered, missing)
		writer.CloseWithError(errors.Join(err, buffered.Flush()))
	}()
	defer reader.Close()
	_, err = m.order(ctx, o.Epoch, "place "+s.id, scriptFill, v, reader)
	if err == nil {
		m.seesPlaced(towpath.Instance{ID: s.id, Release: o.Release.Number, Slot: s.slot.Name, Address: s.slot.Address})
	}
	return len(missing), err
}

// remove takes away the files of instances.
func (d *Driver) remove(ctx context.Context, o deploy.Order, operation deploy.Remove) (deploy.Receipt, error) {
	moment := failpoint.At("remove from hosts")
	moment.Before()
	_, err := d.eachHost(ctx, o, operation.Instances, scriptRemove)
	if err == nil {
		moment.After()
	}
	return deploy.Receipt{}, err
}

// stop ends instances by the target's script.
func (d *Driver) stop(ctx context.Context, o deploy.Order, operation deploy.Stop) (deploy.Receipt, error) {
	moment := failpoint.At("stop on hosts")
	moment.Before()
	told, err := d.eachHost(ctx, o, operation.Instances, scriptStop)
	if err == nil {
		moment.After()
	}
	return deploy.Receipt{Detail: told}, err
}

// eachHost gives an order about instances to the hosts that they are on, and tells which processes had to be killed.
func (d *Driver) eachHost(ctx context.Context, o deploy.Order, ids []string, script string) (told string, err error) {
	return d.tellEach(ctx, o, d.everySeat(o, ids), script, nil)
}

// tellEach gives an order to the hosts of seats, with more than what these say.
func (d *Driver) tellEach(ctx context.Context, o deploy.Order, seats map[*machine][]seat, script string, more variables) (told string, err error) {
	var mutex sync.Mutex
	var all []string
	err = d.everywhere(d.of(seats), func(m *machine) error {
		m.doubts(seats[m])
		v := d.list(o.Release, seats[m])
		maps.Copy(v, more)
		said, err := m.order(ctx, o.Epoch, o.Operation.String(), script, v, nil)
		mutex.Lock()
		defer mutex.Unlock()
		if text := killed(said); text != "" {
			all = append(all, text)
		}
		return err
	})
	slices.Sort(all)
	return strings.Join(all, "; "), err
}

// inspect reads what scripts of instances printed last.
func (d *Driver) inspect(ctx context.Context, o deploy.Order, operation deploy.Inspect) (receipt deploy.Receipt) {
	for _, id := range operation.Instances {
		lines, err := d.tail(ctx, o, id)
		if err != nil {
			lines = []string{id + ": what its scripts printed cannot be read: " + err.Error()}
		}
		receipt.Log = append(receipt.Log, lines...)
	}
	return receipt
}

func (d *Driver) tail(ctx context.Context, o deploy.Order, id string) (lines []string, err error) {
	seats, err := d.seats(o, []string{id}, nil)
	if err != nil {
		return nil, err
	}
	for m, on := range seats {
		v := d.list(towpath.Release{}, on)
		v["TW_WHAT"] = "inspect"
		said, err := m.ask(ctx, scriptTail, v, nil)
		if err != nil {
			return nil, err
		}
		for _, w := range said {
			if w.is == "log" {
				lines = append(lines, strings.Join(w.parts, "\t"))
			}
		}
	}
	return lines, nil
}
