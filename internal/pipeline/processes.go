package pipeline

import (
	"cmp"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// maxProcesses is how many an instance may have beside its web process.
const maxProcesses = 20

func processesShape() *shape {
	return table(slugFormat("a process's name"), either(text(nil), mapping(
		field{key: "command", doc: "run in the release's folder", shape: text(nil)},
		field{key: "stop", doc: "how it is asked to end", shape: stopShape()},
		field{key: "single", doc: "at any moment at most one runs, of whatever release", shape: yesNo()},
	)))
}

// processes reads what runs beside the web process. The web process may stand among them, in place of the target's command.
func (b *builder) processes(e *towpath.EnvironmentDefinition, v *value) {
	written := v.get("processes")
	if len(written.keys()) > maxProcesses {
		b.unfit(written.key, fmt.Sprintf("%s has %d processes; an environment has at most %d", e.Name, len(written.keys()), maxProcesses), "leave some out")
	}
	if e.Target.Process == nil && e.Target.Hosts == nil {
		return
	}
	for _, name := range written.keys() {
		p := written.get(name)
		switch {
		case p == nil: // what is wrong with it is told
		case name == towpath.WebProcess && e.Target.Hosts != nil:
			b.unfit(p.key, "the web process of "+e.Name+" is what its target's restart or reload runs", "take web out of processes")
		case name == towpath.WebProcess:
			b.webProcess(e, p, v)
		default:
			e.Processes = append(e.Processes, b.process(e, name, p))
		}
	}
	target := v.get("target", "process")
	if e.Target.Process != nil && e.Target.Process.Command == "" && !target.misread("command") && (written == nil || !written.misread(towpath.WebProcess)) {
		b.unfit(target.key, e.Name+" does not say what serves its requests", "add command: ./shop, or processes: {web: ./shop}")
	}
}

// webProcess takes what is said of the web process among the others.
func (b *builder) webProcess(e *towpath.EnvironmentDefinition, p, v *value) {
	target := v.get("target", "process")
	if command := commandOf(p); command != "" {
		if target.has("command") && target.get("command").string() != command {
			b.unfit(p.key, e.Name+" says twice what its web process runs", "keep the command of the target, or processes: {web: …}")
		}
		e.Target.Process.Command = command
	}
	if p.get("single").bool() {
		b.unfit(p.get("single").key, "the web process of "+e.Name+" cannot be single: the new one serves before the old one ends",
			"take single out; strategy: all-at-once ends the old one first")
	}
	stop := p.get("stop")
	if !p.has("stop") {
		return
	}
	if target.has("stop") {
		b.unfit(stop.key, e.Name+" says twice how its web process is stopped", "keep the stop of the target, or that of processes: {web: …}")
	}
	e.Target.Process.Stop = stopOf(stop, e.Target.Process.Stop.Within)
}

// process reads one that runs beside the web process. Where nothing else is said, it may take as long to
// stop as that.
func (b *builder) process(e *towpath.EnvironmentDefinition, name string, p *value) towpath.ProcessDefinition {
	within := defaultStop
	if e.Target.Process != nil {
		within = e.Target.Process.Stop.Within
	}
	d := towpath.ProcessDefinition{Name: name, Command: commandOf(p), Stop: stopOf(p.get("stop"), within)}
	d.Single = p.get("single").bool()
	if d.Command == "" && !p.misread("command") {
		b.unfit(p.key, fmt.Sprintf("the process %s of %s has no command", name, e.Name), "add command: ./shop "+name)
	}
	return d
}

// commandOf is a process written as a text, or its command.
func commandOf(p *value) string {
	if p.isMapping() {
		return p.get("command").string()
	}
	return p.string()
}

func stopOf(v *value, within time.Duration) towpath.StopDefinition {
	stop := towpath.StopDefinition{Signal: cmp.Or(v.get("signal").string(), "TERM"), Within: within}
	if v.has("within") {
		stop.Within = v.get("within").length
	}
	return stop
}

// processes writes them as a file would have them.
func (w *writer) processes(all []towpath.ProcessDefinition) {
	if len(all) == 0 {
		return
	}
	w.open(2, "processes")
	for _, p := range all {
		w.open(3, p.Name)
		w.put(4, "command", p.Command)
		if p.Single {
			w.put(4, "single", true)
		}
		w.open(4, "stop")
		w.put(5, "signal", p.Stop.Signal)
		w.put(5, "within", p.Stop.Within)
	}
}
