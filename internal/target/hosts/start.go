package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// backPatience is how long hosts may take to bring back what was, once one of them could not follow.
const backPatience = 2 * time.Minute

// start has every host stage what it can, then flips all links together, and then has the applications run what is current.
// Where one host cannot follow, the others go back to what they had.
func (d *Driver) start(ctx context.Context, o deploy.Order, operation deploy.Start) (deploy.Receipt, error) {
	seats, err := d.seats(o, operation.Instances, nil)
	if err != nil {
		return deploy.Receipt{}, err
	}
	machines := d.of(seats)
	talks := make(map[*machine]*talk, len(machines))
	for _, m := range machines {
		m.doubts(seats[m])
		v := d.list(o.Release, seats[m])
		v["TW_RESTART"], v["TW_RELOAD"] = d.definition.Restart, d.definition.Reload
		v["TW_VERB"] = verb(d.definition.Restart)
		d.furnish(v, o.Release, seats[m], d.options.Definition.Beside())
		talks[m] = &talk{machine: m, variables: m.under(ctx, o.Epoch, o.Operation.String(), v)}
	}
	defer func() {
		for _, t := range talks {
			t.close()
		}
	}()
	return deploy.Receipt{}, d.follow(ctx, machines, talks)
}

func verb(restart string) string {
	if restart != "" {
		return "restart"
	}
	return "reload"
}

// follow leads the conversations from step to step, all of them together.
func (d *Driver) follow(ctx context.Context, machines []*machine, talks map[*machine]*talk) error {
	together := func(do func(*talk) error) error {
		return d.everywhere(machines, func(m *machine) error { return do(talks[m]) })
	}
	back := func(failed error) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
		defer cancel()
		return worse(failed, together(func(t *talk) error { return t.goBack(ctx) }))
	}
	if err := together(func(t *talk) error { return t.begin(ctx) }); err != nil {
		return back(err)
	}
	for _, step := range []struct {
		word, answer string
		moment       failpoint.Place
	}{
		{"flip", "flipped", failpoint.At("flip hosts")}, {"go", "started", failpoint.At("start on hosts")},
	} {
		step.moment.Before()
		if err := together(func(t *talk) error { return t.ask(ctx, step.word, step.answer) }); err != nil {
			return back(err)
		}
		step.moment.After()
	}
	return together(func(t *talk) error { return t.ask(ctx, "keep", "done") })
}

// worse tells also what went wrong on the way back.
func worse(failed, back error) error {
	if back == nil {
		return failed
	}
	return joined([]error{failed, fmt.Errorf("going back: %w", back)})
}

// talk is the conversation with one host.
type talk struct {
	machine   *machine
	variables variables
	session   *ssh.Session
	reached   string // the last answer
	isOver    bool
}

// begin takes the host's lock, and stages.
func (t *talk) begin(ctx context.Context) error {
	session, err := t.machine.remote.Start(ctx, ssh.Command{Script: scriptStart, Env: t.variables})
	if err != nil {
		t.isOver = true
		return explain(err)
	}
	t.session = session
	return t.await(ctx, "staged")
}

// ask says a word, and waits for its answer.
func (t *talk) ask(ctx context.Context, word, answer string) error {
	if err := t.session.Say(word); err != nil {
		t.isOver = true
		return explain(err)
	}
	return t.await(ctx, answer)
}

// await reads up to an answer. A script that ends before has failed.
func (t *talk) await(ctx context.Context, answer string) error {
	var said []word
	for {
		line, err := t.session.Line(ctx)
		if errors.Is(err, io.EOF) {
			return t.end(ctx, said, answer)
		}
		if err != nil {
			return explain(err)
		}
		w := parseWord(line)
		if w.is == answer {
			t.reached = answer
			return nil
		}
		said = append(said, w)
	}
}

// end tells why a script ended before its answer.
func (t *talk) end(ctx context.Context, said []word, answer string) error {
	t.isOver = true
	result, err := t.session.Wait(ctx)
	if err != nil {
		return explain(err)
	}
	if err := t.machine.judge(said, result); err != nil {
		return err
	}
	return &deploy.UnknownOutcome{Err: fmt.Errorf("%s: it ended before it was %s", t.machine.name, answer)}
}

// goBack lets a host be as it was. One that failed has gone back by itself.
func (t *talk) goBack(ctx context.Context) error {
	if t.isOver || t.session == nil {
		return nil
	}
	answer := "undone"
	if t.reached == "started" {
		answer = "done"
	}
	return t.ask(ctx, "back", answer)
}

// close ends the conversation. A host that was not told to go on goes back by itself.
func (t *talk) close() {
	if t.session != nil {
		t.session.Close()
	}
}
