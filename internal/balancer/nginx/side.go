package nginx

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/remote"
)

const (
	// tries is how often an order reads and writes anew because somebody has changed the file in between.
	tries = 5
	// takeLimit is how long nginx may take from the reload until it serves by it.
	takeLimit = 10 * time.Second
	// glance is how often a look looks whether what was replaced has ended, and glances how many times it may.
	glance, glances = 20 * time.Millisecond, 50
)

// side is one of the nginxes.
type side struct{ remote.Machine }

// sight is what a side looks like.
type sight struct {
	epoch    towpath.Epoch
	text     string // the file
	digest   string // of it; "-" where there is none
	taken    string // digest of the file that nginx took by an order of ours; empty where that is not known
	isAmid   bool   // an order was broken off
	isLoaded bool   // all its workers have begun after the file was changed last
	awaited  int    // processes that were replaced, and have something to finish
	since    time.Duration
}

// isSure says that nginx serves by the file.
func (s sight) isSure() bool {
	return !s.isAmid && (s.taken == s.digest || s.taken != "" && s.isLoaded || s.epoch == towpath.Epoch{})
}

// look reads a side. Where some processes are still to finish, it waits for them first, at most so long and a second.
func (d *Driver) look(ctx context.Context, on side, wait time.Duration) (sight, error) {
	v := d.variables()
	v["TW_GLANCES"] = strconv.Itoa(int(min(glances, max(wait, 0)/glance)))
	said, err := on.Ask(ctx, scriptLook, v, nil)
	if unknown, is := errors.AsType[*deploy.UnknownOutcome](err); is {
		err = &deploy.Retryable{Err: unknown.Err} // it has changed nothing
	}
	if err != nil {
		return sight{}, err
	}
	return understand(said), nil
}

// understand reads what the script told.
func understand(said []remote.Word) sight {
	var s sight
	var text strings.Builder
	var modified, now, up int64
	oldest := int64(-1)
	for _, w := range said {
		switch w.Is {
		case "epoch":
			s.epoch = towpath.Epoch{Number: uint64(w.Number(0)), Holder: w.At(1)}
		case "file":
			s.digest = w.At(0)
		case "line":
			text.WriteString(w.Rest(0) + "\n")
		case "modified":
			modified = w.Number(0)
		case "taken":
			s.taken = w.At(0)
		case "pending":
			s.isAmid = true
		case "clock":
			now, up = w.Number(0), w.Number(1)
		case "worker":
			if began := w.Number(0) / ticks; oldest < 0 || began < oldest {
				oldest = began
			}
		case "awaited":
			s.awaited, s.since = s.awaited+1, time.Duration(w.Number(0))*time.Second
		}
	}
	s.text = text.String()
	s.isLoaded = oldest >= 0 && now-up+oldest+1 >= modified // all in whole seconds
	return s
}

// ticks are those of a second in /proc (proc(5), sysconf(_SC_CLK_TCK)).
const ticks = 100

func (d *Driver) variables() map[string]string {
	return map[string]string{"TW_FILE": d.definition.File, "TW_PID": d.definition.PID}
}

// change makes one change of a side from what is there, again when somebody else was faster. A reload has its price: there is
// none where nginx would go on as before.
func (d *Driver) change(ctx context.Context, on side, epoch towpath.Epoch, what string, to func(table) (table, error)) (reloaded bool, err error) {
	for range tries {
		s, err := d.look(ctx, on, 0)
		if err != nil {
			return false, err
		}
		if epoch.Before(s.epoch) {
			return false, &deploy.StaleEpoch{Seen: s.epoch}
		}
		was := parse(s.text)
		wanted, err := to(was)
		if err != nil {
			return false, err
		}
		text := d.render(wanted)
		if s.isSure() && s.text == text && s.epoch == epoch {
			return false, nil
		}
		reloads := !s.isSure() || s.text != d.render(was) || !maps.Equal(was.serving(), wanted.serving())
		isChanged, err := d.apply(ctx, on, epoch, what, s.digest, text, reloads)
		if err != nil || !isChanged {
			return reloads, err
		}
	}
	return false, &deploy.Retryable{Err: errors.New(d.definition.File + " is changed by somebody else again and again")}
}

// apply has the file replaced, unless it is another than the one that was found.
func (d *Driver) apply(ctx context.Context, on side, epoch towpath.Epoch, what, found, text string, reloads bool) (isAnother bool, err error) {
	v := remote.Under(ctx, epoch, what)
	maps.Copy(v, d.variables())
	maps.Copy(v, map[string]string{
		"TW_TEST": d.definition.Test, "TW_RELOAD": d.definition.Reload, "TW_LOG": d.definition.Log,
		"TW_FOUND": found, "TW_TEXT": strings.TrimSuffix(text, "\n"), "TW_RELOADS": "0",
		"TW_TAKE": remote.Seconds(min(takeLimit, remote.Limit(ctx)/3)),
	})
	if reloads {
		v["TW_RELOADS"] = "1"
	}
	said, err := on.Ask(ctx, scriptApply, v, nil)
	for _, w := range said {
		isAnother = isAnother || w.Is == "changed"
	}
	return isAnother, err
}
