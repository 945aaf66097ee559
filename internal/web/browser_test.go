package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take on a machine that is busy: two hundred rows wait for a renderer that has little of it.
const patience = 2 * time.Minute

// browser is a real one, without a window. It notes what its pages complain of.
type browser struct {
	*house
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// browser starts Debian's Chromium, or another one that is installed.
func (h *house) browser() *browser {
	h.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		h.Fatal("there is no browser: apt-get install chromium (as in .ci/packages)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(h.profile()), chromedp.WindowSize(1280, 800))
	ctx, stop := chromedp.NewExecAllocator(h.Context(), options...)
	h.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	h.Cleanup(cancel)
	b := &browser{house: h, ctx: ctx}
	chromedp.ListenTarget(ctx, b.hear)
	must(h.T, chromedp.Run(ctx, log.Enable(), runtime.Enable(), network.Enable())) // whose context starts it ends it
	return b
}

// profile answers a folder that is removed once the browser's last process has written to it: some outlive the first one
// for a moment.
func (h *house) profile() string {
	h.Helper()
	folder, err := os.MkdirTemp("", "towpath-browser-")
	must(h.T, err)
	h.Cleanup(func() {
		deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
		defer tick.Stop()
		for os.RemoveAll(folder) != nil {
			select {
			case <-tick.C:
			case <-deadline:
				h.Errorf("%s cannot be removed", folder)
				return
			}
		}
	})
	return folder
}

// hear notes errors of the console, uncaught exceptions, and what the content security policy forbade.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			b.complaints = append(b.complaints, fmt.Sprintf("console: %s %s", e.Type, e.Args[0].Value))
		}
	}
}

// hasNoComplaints fails where any page complained so far.
func (b *browser) hasNoComplaints() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.Errorf("the browser says: %s", c)
	}
}

// does actions, within the patience that there is.
func (b *browser) does(actions ...chromedp.Action) {
	b.Helper()
	ctx, cancel := context.WithTimeoutCause(b.ctx, patience, fmt.Errorf("it took too long"))
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var text string
		_ = chromedp.Run(b.ctx, chromedp.Text("body", &text, chromedp.ByQuery))
		b.Fatalf("%v; the page says:\n%s", err, text)
	}
}

func (b *browser) opens(path string) {
	b.Helper()
	b.does(chromedp.Navigate(b.URL + path))
}

// clicks the button or link with a text, and waits for the page that comes.
func (b *browser) clicks(text string) {
	b.Helper()
	of := fmt.Sprintf(`//*[self::a or self::button][normalize-space()=%q]`, text)
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(of, chromedp.BySearch)); err != nil {
		b.Fatalf("click %q: %v", text, err)
	}
}

func (b *browser) signsIn(as person) {
	b.Helper()
	b.opens("/login")
	b.does(
		chromedp.SendKeys(`input[name=name]`, as.name, chromedp.ByQuery),
		chromedp.SendKeys(`input[name=password]`, password, chromedp.ByQuery))
	b.clicks("sign in")
}

// sees waits until the part of the page that a selector names says something.
func (b *browser) sees(selector, text string) {
	b.Helper()
	var now string
	b.until(fmt.Sprintf("%s says %q", selector, text), func() bool {
		b.does(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector), &now))
		return strings.Contains(now, text)
	})
}

// counts how many elements a selector finds.
func (b *browser) counts(selector string) (n int) {
	b.Helper()
	b.does(chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll(%q).length`, selector), &n))
	return n
}

// faults are what somebody who cannot see the page, or cannot use a mouse, would stumble over.
const faults = `(() => {
	const found = [];
	const named = e => (e.getAttribute('aria-label') || e.innerText || e.getAttribute('title') || '').trim() !== '';
	if (!document.documentElement.lang) found.push('the page has no language');
	if (document.querySelectorAll('h1').length !== 1) found.push('the page has not exactly one h1');
	if (document.querySelectorAll('main').length !== 1) found.push('the page has not exactly one main');
	if (!document.title.trim()) found.push('the page has no title');
	for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
		if (e.labels.length === 0 && !e.getAttribute('aria-label')) found.push('no label: ' + e.outerHTML);
	for (const e of document.querySelectorAll('a, button, summary')) if (!named(e)) found.push('no name: ' + e.outerHTML);
	for (const e of document.querySelectorAll('th')) if (!e.scope) found.push('no scope: ' + e.outerHTML);
	for (const e of document.querySelectorAll('[aria-labelledby]'))
		if (!document.getElementById(e.getAttribute('aria-labelledby'))) found.push('labelled by nothing: ' + e.outerHTML.slice(0, 80));
	for (const e of document.querySelectorAll('[style]')) found.push('a style in the page: ' + e.outerHTML.slice(0, 80));
	const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
	for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) found.push('an id twice: ' + id);
	let level = 0;
	for (const e of document.querySelectorAll('h1, h2, h3, h4')) {
		if (Number(e.tagName[1]) > level + 1) found.push('a heading leaves out a level: ' + e.innerText);
		level = Number(e.tagName[1]);
	}
	return JSON.stringify(found.concat(contrasts()));

	function contrasts() {
		const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
		const rgb = color => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); return pen.getImageData(0, 0, 1, 1).data; };
		const light = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
			.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		const under = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
		const bad = [];
		for (const e of document.querySelectorAll('body *')) {
			if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.offsetParent === null) continue;
			const [a, b] = [light(rgb(getComputedStyle(e).color)), light(under(e))];
			const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
			if (ratio < 4.5) bad.push('contrast ' + ratio.toFixed(1) + ': ' + e.outerHTML.slice(0, 80));
		}
		return bad;
	}
})()`

// canBeUsed fails for every fault of the page that is open, in light and in dark.
func (b *browser) canBeUsed(page string) {
	b.Helper()
	for _, scheme := range []string{"light", "dark"} {
		var answer string
		var found []string
		b.does(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.Evaluate(faults, &answer))
		must(b.T, json.Unmarshal([]byte(answer), &found))
		for _, fault := range found {
			b.Errorf("%s, %s: %s", page, scheme, fault)
		}
	}
}

func TestAPersonSignsInAndFollowsARunLive(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	ana, w := h.person("ana", "maintainer", "shop", "release-managers"), h.worker("north-1")
	run := h.run("shop")

	b := h.browser()
	b.opens("/")
	b.sees("h1", "Sign in")
	b.canBeUsed("sign in")
	b.signsIn(ana)
	b.sees("tbody", "shop #1")
	b.canBeUsed("runs")
	b.clicks("shop #1")
	b.sees("[sse-swap=steps]", "queued")

	built := w.takes("site")
	b.sees("[sse-swap=steps]", "running")
	b.canBeUsed("run")
	b.clicks("site")
	built.prints("compiling\n\x1b[32mok\x1b[0m  site <1.2 MB>\n50 %")
	b.sees("#lines", "ok  site <1.2 MB>")
	b.sees("#printing", "50 %")
	built.prints("\r100 %\n")
	b.sees("#lines", "100 %")
	b.canBeUsed("log")
	if n := b.counts("#lines .term-fg32"); n != 1 {
		t.Errorf("%d places are green, wanted the one", n)
	}
	built.ends("failed", "exit code 2")
	b.sees("[role=status]", "failed")
	b.sees("[role=status]", "exit code 2")

	b.opens(fmt.Sprintf("/runs/shop/%d", run.Number))
	b.sees("[role=status]", "failed")
	if n := b.counts("form[action$=cancel]"); n != 0 {
		t.Error("a run that is over has a button to cancel it")
	}
	b.hasNoComplaints()
}

func TestAPageOfALogNeverHoldsMoreThanAFewThousandLines(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	ana, w := h.person("ana", "viewer", "shop"), h.worker("north-1")
	h.run("shop")
	built := w.takes("site")
	line := 0
	prints := func(n int) {
		var text strings.Builder
		for range n {
			line++
			fmt.Fprintf(&text, "line %d of a very long story\n", line)
		}
		built.prints(text.String())
	}
	prints(20_000)

	b := h.browser()
	b.signsIn(ana)
	b.opens("/runs/shop/1/steps/site/log")
	b.sees("#lines", "line 20000 ")
	if n := b.counts(".line"); n != 1000 {
		t.Errorf("the page opens with %d lines, wanted the last 1,000", n)
	}
	for range 6 { // as fast as a page can follow
		prints(900)
		b.sees("#lines", fmt.Sprintf("line %d ", line))
	}
	if n := b.counts(".line"); n > 4000 {
		t.Errorf("after 5,400 more lines the page holds %d", n)
	}
	prints(50_000) // faster
	b.sees("#lines", fmt.Sprintf("line %d ", line))
	if n := b.counts(".line"); n > 4000 {
		t.Errorf("after 50,000 more at once it holds %d", n)
	}
	b.clicks("beginning")
	b.sees("#lines", "line 1 ")
	b.clicks("later")
	b.sees("#lines", "line 1001 ")
	if n := b.counts(".line"); n != 1000 {
		t.Errorf("a range has %d lines", n)
	}
	built.ends("passed", "")
	b.hasNoComplaints()
}

func TestWithoutJavaScriptEverythingButWhatIsLiveWorks(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	run := h.brings(w, "shop")

	b := h.browser()
	b.does(emulation.SetScriptExecutionDisabled(true))
	b.signsIn(cleo)
	b.clicks("shop #1 release")
	b.does(chromedp.SendKeys(`input[name=reason]`, "looks right", chromedp.ByQuery))
	b.clicks("approve")
	h.untilStep(run, "release", "passed")
	w.keeps("shop/production")
	h.untilStep(run, "production", "passed")

	b.clicks("environments")
	b.clicks("release 1")
	b.does(chromedp.WaitVisible(`//h1[contains(., "shop/")]`, chromedp.BySearch))
	b.does(chromedp.SendKeys(`form[action$=freeze] input[name=reason]`, "a fair", chromedp.ByQuery))
	b.clicks("freeze")
	b.clicks("let deployments go on")
	b.clicks("sign out")
	b.does(chromedp.WaitVisible(`input[name=password]`, chromedp.ByQuery))
	b.hasNoComplaints()
}

func TestAnEnvironmentIsMovedBackByOneClick(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")
	h.releases(w, cleo, "shop")

	b := h.browser()
	b.signsIn(cleo)
	b.opens("/environments/shop/production")
	b.sees("[role=status]", "release 2 is live")
	b.canBeUsed("environment")
	b.does(chromedp.SendKeys("#rollback-reason", "carts are empty", chromedp.ByQuery))
	b.clicks("move back to release 1")
	b.sees("[role=status]", "release 1 is on its way, by cleo")
	order := w.orders("shop/production")
	w.reports(order, "shift the traffic", "")
	b.sees("[role=status]", "shift the traffic")
	w.reports(order, "", "reached")
	b.sees("[role=status]", "release 1 is live")
	b.sees("[sse-swap=facts]", "cleo went back from release 2")
	b.sees("[sse-swap=deployments]", "carts are empty")
	b.sees("[sse-swap=actions]", "lift the pin")
	b.canBeUsed("environment, moved back")
	b.clicks("lift the pin")
	if n := b.counts("form[action$=unpin]"); n != 0 {
		t.Error("the pin is still there")
	}
	b.hasNoComplaints()
}

// overflows names what stands out of the page at its side, other than what is scrolled within it.
const overflows = `(() => {
	const wide = document.documentElement.clientWidth;
	const scrolls = e => { for (; e; e = e.parentElement) if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX)) return true; return false; };
	return JSON.stringify([...document.querySelectorAll('main *, .banner *')]
		.filter(e => !e.closest('.skip') && e.getBoundingClientRect().right > wide + 1 && !scrolls(e)).map(e => 'too wide: ' + e.outerHTML.slice(0, 120)));
})()`

// fitsEverywhere opens a page on a phone and on a desk, and fails for what stands out of it or cannot be used.
func (b *browser) fitsEverywhere(path string) {
	b.Helper()
	for _, width := range []int64{390, 1280} {
		b.does(emulation.SetDeviceMetricsOverride(width, 844, 1, width < 500))
		b.opens(path)
		var answer string
		var found []string
		b.does(chromedp.Evaluate(overflows, &answer))
		must(b.T, json.Unmarshal([]byte(answer), &found))
		for _, fault := range found {
			b.Errorf("%s at %d pixels: %s", path, width, fault)
		}
		b.canBeUsed(path)
		for _, scheme := range []string{"light", "dark"} {
			b.shot(fmt.Sprintf("%s-%d", path, width), scheme)
		}
	}
}
