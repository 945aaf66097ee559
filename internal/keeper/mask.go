package keeper

import (
	"slices"

	"github.com/towpath-cd/towpath"
)

// mask takes the environment's secrets out of a text for people. What scripts, instances and probes answer is theirs: it may
// hold anything that they were given.
func (p *performer) mask(text string) string { return p.masker.Mask(text) }

// hush masks what instances and witnesses have said.
func (p *performer) hush(o *towpath.Observation) {
	o.Instances = slices.Clone(o.Instances)
	for n := range o.Instances {
		o.Instances[n].Problem = p.mask(o.Instances[n].Problem)
		o.Instances[n].Processes = p.hushed(o.Instances[n].Processes)
	}
	o.Singles = slices.Clone(o.Singles)
	for n := range o.Singles {
		o.Singles[n].Problem, o.Singles[n].Log = p.mask(o.Singles[n].Problem), p.maskAll(o.Singles[n].Log)
	}
	for n := range o.Findings {
		o.Findings[n].Text = p.mask(o.Findings[n].Text)
	}
}

func (p *performer) hushed(processes []towpath.Process) []towpath.Process {
	processes = slices.Clone(processes)
	for n := range processes {
		processes[n].Problem, processes[n].Log = p.mask(processes[n].Problem), p.maskAll(processes[n].Log)
	}
	return processes
}

func (p *performer) maskAll(lines []string) []string {
	lines = slices.Clone(lines)
	for n := range lines {
		lines[n] = p.mask(lines[n])
	}
	return lines
}
