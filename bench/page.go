package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// chapter is what one benchmark found.
type chapter struct {
	benchmark
	figures []Figure
	failure error
	when    string // and at which revision it was measured
}

const pageHead = `# Benchmarks

` + "`make bench`" + ` wrote this page; it is not edited by hand. Every figure was measured on the shipped binary, in turn with
its reference in the same run. The machine is shared, so that ratios say more than milliseconds do. Times are medians
unless a figure says otherwise. A goal that is a time is told as what it comes to on this machine: as the reference takes
longer here than where the goal was set, so may ours. Each part says when it was measured: one may be measured again alone.

`

// writePage writes what was found, with what it was found on. Parts that were not measured stay as the page has them.
func writePage(path string, facts []string, chapters []chapter) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the page: %w", err)
	}
	var page bytes.Buffer
	page.WriteString(pageHead)
	for _, fact := range facts {
		fmt.Fprintf(&page, "- %s\n", fact)
	}
	for _, b := range benchmarks() {
		if at := slices.IndexFunc(chapters, func(c chapter) bool { return c.name == b.name }); at >= 0 {
			chapters[at].write(&page)
		} else {
			page.WriteString(partOf(string(before), b.name))
		}
	}
	if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil { //nolint:gosec // a page is for everybody
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// partOf answers what a page says of a benchmark; empty where it says nothing.
func partOf(page, name string) string {
	_, part, found := strings.Cut(page, "\n## "+name+": ")
	if !found {
		return ""
	}
	part, _, _ = strings.Cut(part, "\n## ")
	return "\n## " + name + ": " + strings.TrimRight(part, "\n") + "\n"
}

func (c chapter) write(page *bytes.Buffer) {
	fmt.Fprintf(page, "\n## %s: %s\n\n%s\n\n", c.name, c.about, c.when)
	page.WriteString("| figure | ours | unit | reference | its value | ratio | goal | |\n|---|--:|---|---|--:|--:|--:|---|\n")
	for _, f := range c.figures {
		fmt.Fprintf(page, "| %s |\n", strings.Join(f.Fields(), " | "))
	}
	if c.failure != nil {
		fmt.Fprintf(page, "\nNot all could be measured: %v\n", c.failure)
	}
}

// moment says when something is measured, and what: before it is, since what is worked on may change meanwhile.
func moment(ctx context.Context) string {
	return fmt.Sprintf("Measured on %s, revision %s.", time.Now().UTC().Format(time.DateOnly), said(ctx, "git", "describe", "--always", "--dirty"))
}

// facts are the machine and the versions.
func facts(ctx context.Context) []string {
	return []string{
		fmt.Sprintf("Machine: %s/%s, %d × %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), memory()),
		"Versions: " + strings.Join([]string{
			runtime.Version(), said(ctx, "git", "--version"), said(ctx, "bash", "--version"), said(ctx, "haproxy", "-v"), said(ctx, "uname", "-sr"),
		}, "; "),
	}
}

// said is the first line of what a program says.
func said(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "no " + name
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func processor() string { return described("/proc/cpuinfo", "model name") }

func memory() string { return described("/proc/meminfo", "MemTotal") + " of memory" }

// described is the first value of that name in a file of the kernel's.
func described(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
