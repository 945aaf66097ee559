package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/report"
)

const (
	// reportTime bounds the reading of a step's reports.
	reportTime = 5 * time.Minute
	// reportFiles is how many report files of a step are read.
	reportFiles = 2000
	// reportBytes is how large a step's reports may get on their way to the server.
	reportBytes = 8 << 20
	// reportProblems is how many files that cannot be read are named.
	reportProblems = 20
)

// errReports fails a step that passed, and whose reports had to be there.
var errReports = errors.New("test report")

// reportTests sends the server what the script's tests came to. Whatever is wrong with that is a line of the log; it is an
// error only where the step requires its reports.
func (a *attempt) reportTests(ctx context.Context) error {
	wanted := a.lease.Reports
	if wanted == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	c := &collection{ctx: ctx, mask: a.output.masker.Mask, isForeign: a.guest.isForeign}
	c.collect(a.room.workspace, wanted.JUnit)
	place := failpoint.At("report tests")
	err := persist(ctx, func() error {
		place.Before()
		defer place.After()
		return a.Client.KeepTests(ctx, a.lease.LeaseRef, c.report)
	})
	if err != nil {
		c.problem("not sent: " + err.Error())
	}
	for _, problem := range c.report.Problems {
		a.output.say("tests: " + problem)
	}
	if len(c.report.Results) > 0 {
		a.output.say("tests: " + c.totals().String())
	}
	if wanted.Required && len(c.report.Problems) > 0 {
		return fmt.Errorf("%w: %s", errReports, c.report.Problems[0])
	}
	return nil
}

// collection is a step's reports, as they are read.
type collection struct {
	ctx    context.Context //nolint:containedctx // of the one call that it is made in
	mask   func(string) string
	report client.TestReport
	files  int
	size   int
	more   int // problems that are not named

	isForeign func(fs.FileInfo) bool // the step may not have been able to read it
}

func (c *collection) collect(workspace string, globs []string) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		c.problem(err.Error())
		return
	}
	defer root.Close()
	for _, glob := range globs {
		found, err := matching(root, glob)
		if err != nil || len(found) == 0 {
			c.problem(strings.TrimSuffix(fmt.Sprintf("no file is called %s: %v", glob, err), ": <nil>"))
		}
		for _, name := range found {
			c.file(root, name)
		}
	}
	if c.more > 0 {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf("… and %d more", c.more))
	}
}

// matching answers the files that a glob matches, in their order, but for those of git.
func matching(root *os.Root, glob string) ([]string, error) {
	found, err := doublestar.Glob(root.FS(), path.Clean(filepath.ToSlash(glob)), doublestar.WithFilesOnly(), doublestar.WithNoFollow())
	found = slices.DeleteFunc(found, func(name string) bool { return strings.HasPrefix(name, ".git/") })
	slices.Sort(found)
	return found, err
}

func (c *collection) file(root *os.Root, name string) {
	if c.files++; c.files > reportFiles {
		c.problem(fmt.Sprintf("%s: more than %d files", name, reportFiles))
		return
	}
	read, err := c.read(root, name)
	if err != nil {
		c.problem(name + ": " + err.Error())
		return
	}
	c.report.LeftOut += read.LeftOut
	for _, r := range read.Results {
		c.add(r)
	}
}

func (c *collection) read(root *os.Root, name string) (report.Read, error) {
	info, err := root.Lstat(name)
	if err == nil && (!info.Mode().IsRegular() || c.isForeign(info)) {
		err = errors.New("it is no file of its own")
	}
	if err != nil {
		return report.Read{}, err
	}
	file, err := root.Open(name)
	if err != nil {
		return report.Read{}, err
	}
	defer file.Close()
	read, err := report.JUnit(&whileWanted{ctx: c.ctx, from: file}, report.Limits{})
	if path, is := errors.AsType[*fs.PathError](err); is {
		err = path.Err
	}
	return read, err
}

// whileWanted reads until its context ends.
type whileWanted struct {
	ctx  context.Context //nolint:containedctx // of the call that reads
	from io.Reader
}

func (w *whileWanted) Read(p []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	return w.from.Read(p)
}

// add takes a result as far as there is room for it: what it said goes before it does itself.
func (c *collection) add(r towpath.TestResult) {
	test := client.Test{
		Suite: c.mask(r.Suite), Name: c.mask(r.Name), Outcome: string(r.Outcome), Seconds: r.Took.Seconds(),
		Message: c.mask(r.Message), Output: c.mask(r.Output), Flickering: r.Flickering,
	}
	size := sizeOfTest(test)
	if c.size+size > reportBytes/2 && test.Output != "" {
		test.Output = ""
		size = sizeOfTest(test)
	}
	if c.size+size > reportBytes {
		c.report.LeftOut++
		return
	}
	c.size += size
	c.report.Results = append(c.report.Results, test)
}

func sizeOfTest(t client.Test) int {
	text, _ := json.Marshal(t) // texts and numbers cannot fail
	return len(text) + 1
}

func (c *collection) problem(what string) {
	if len(c.report.Problems) >= reportProblems {
		c.more++
		return
	}
	const most = 500
	c.report.Problems = append(c.report.Problems, c.mask(what[:min(len(what), most)]))
}

// totals are what the worker knows itself: what is new, only the server can tell.
func (c *collection) totals() towpath.TestTotals {
	var r towpath.TestReport
	for _, t := range c.report.Results {
		r.Results = append(r.Results, towpath.TestResult{Outcome: towpath.TestOutcome(t.Outcome), Flickering: t.Flickering})
	}
	return r.Totals()
}
