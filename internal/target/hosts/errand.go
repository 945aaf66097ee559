package hosts

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// endPatience is how long a host may take to end a command beyond its grace.
const endPatience = 20 * time.Second

// Exec runs a command in the folder of an instance, as the user who deploys there, as deploy.Exec says. It has a connection
// of its own, so that it takes nothing from deployments, and holds the host's lock only while it is prepared.
func (d *Driver) Exec(ctx context.Context, e deploy.Errand) (deploy.ErrandEnd, error) {
	n := slices.IndexFunc(d.slots, func(s slot) bool { return s.Name == e.Instance.Slot })
	if n < 0 {
		return deploy.ErrandEnd{}, &deploy.Permanent{Err: fmt.Errorf("%s has no slot (%q is none of %s)", e.Instance.ID, e.Instance.Slot, d.options.Environment)}
	}
	place := seat{id: e.Instance.ID, slot: d.slots[n]}
	network := ssh.New(d.options.SSH)
	defer func() { _ = network.Close() }() // nothing runs through it any more
	host := d.definition.Hosts[slices.Index(d.machines, place.slot.machine)]
	port := ""
	if host.SSHPort != 0 {
		port = strconv.Itoa(host.SSHPort)
	}
	w := &errandWatch{
		machine: &machine{name: host.Name, path: d.definition.Path, remote: network.Host(host.Name, host.User, port)},
		errand:  e, mark: rand.Text(), command: d.commandOf(e, place),
	}
	return w.run(ctx, place)
}

// commandOf is what the command is run with, and the command.
func (d *Driver) commandOf(e deploy.Errand, place seat) string {
	env := d.variablesOf(e.Release, place)
	delete(env, "PORT")
	return "set -a\n" + environFile(env) + "set +a\n" + ssh.Assign("TOWPATH_EXEC", e.ID) + "export TOWPATH_EXEC\nunset errand id PORT\n" +
		"exec " + ssh.Words(e.Command) + "\n"
}

// errandWatch is one command on a host, and the script that stands beside it.
type errandWatch struct {
	machine *machine
	errand  deploy.Errand
	mark    string
	command string
}

func (w *errandWatch) run(ctx context.Context, place seat) (deploy.ErrandEnd, error) {
	preparing := ssh.Assign("mark", w.mark) + ssh.Assign("path", w.machine.path) + ssh.Assign("errand", w.errand.ID) + ssh.Assign("id", place.id)
	v := w.machine.under(ctx, w.errand.Epoch, "a command of a person", variables{
		"TW_ID": place.id, "TW_ERRAND": w.errand.ID, "TW_COMMAND": preparing + scriptOfErrand + w.command,
		"TW_SIGNAL": w.signal(), "TW_GRACE": strconv.Itoa(int(deploy.ErrandGrace / (100 * time.Millisecond))),
		"TW_LIMIT": seconds(w.errand.Within + deploy.ErrandGrace), "TW_WAIT": seconds(lockPatience),
	})
	beside := &talk{machine: w.machine}
	defer beside.close()
	session, err := w.machine.remote.Start(ctx, ssh.Command{Script: scriptErrand, Env: v})
	if err != nil {
		return deploy.ErrandEnd{}, explain(err)
	}
	beside.session = session
	if err := beside.await(ctx, "ready"); err != nil {
		return deploy.ErrandEnd{}, err
	}
	return w.attend(ctx, beside)
}

// signal asks the command to end: at a terminal, as a terminal that goes away does.
func (w *errandWatch) signal() string {
	if w.errand.Terminal != nil {
		return "HUP"
	}
	return "TERM"
}

// attend runs the command, has it ended when ctx ends, and waits until nothing of it is left.
func (w *errandWatch) attend(ctx context.Context, beside *talk) (deploy.ErrandEnd, error) {
	running, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		_ = beside.session.Say("end") // a host that does not hear it sees the connection end
		time.AfterFunc(deploy.ErrandGrace+endPatience, cut)
	})
	defer stop()
	status, failed := w.machine.remote.Attend(running, w.program(running))
	_ = beside.session.Say("end") // where it is known already that it has ended, nothing is said twice
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), deploy.ErrandGrace+endPatience)
	defer cancel()
	end := deploy.ErrandEnd{ExitCode: status}
	left, err := w.awaitEnd(ending, beside)
	switch {
	case failed != nil:
		return end, explain(failed)
	case err != nil:
		end.Left = "it is not known whether all that it started has ended: " + err.Error()
	case left != "":
		end.Left = w.machine.name + " could not end process " + left
	}
	return end, nil
}

// program is the command as its host starts it. Sizes of its terminal are handed on until ctx ends.
func (w *errandWatch) program(ctx context.Context) ssh.Program {
	e := w.errand
	p := ssh.Program{
		Line: "exec /bin/sh " + ssh.Words([]string{w.machine.path + "/.towpath/errands/" + e.ID}), Mark: w.mark,
		Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr,
	}
	if e.Terminal == nil {
		return p
	}
	size, sizes := ssh.Size(*e.Terminal), make(chan ssh.Size)
	p.Terminal, p.Resize = &size, sizes
	go func() {
		for {
			select {
			case s := <-e.Resize:
				select {
				case sizes <- ssh.Size(s):
				case <-ctx.Done():
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return p
}

// awaitEnd reads to the end of the script beside the command, and answers what could not be ended.
func (w *errandWatch) awaitEnd(ctx context.Context, beside *talk) (left string, err error) {
	for {
		line, err := beside.session.Line(ctx)
		if err == io.EOF { //nolint:errorlint // it is never wrapped
			return left, fmt.Errorf("%s: %w", w.machine.name, ssh.ErrLost)
		}
		if err != nil {
			return left, err
		}
		switch said := parseWord(line); said.is {
		case "left":
			left = said.at(0)
		case "done":
			return left, nil
		}
	}
}
