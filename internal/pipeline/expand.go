package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/towpath-cd/towpath"
)

// Expand writes the whole file with every default filled in. What it writes means the same, and expands to itself.
func (f *File) Expand() []byte {
	var w writer
	p := f.pipeline
	w.put(0, "pipeline", p.Name)
	w.triggers(p.Triggers)
	w.put(0, "concurrency", string(p.Concurrency))
	w.open(0, "alerts")
	for _, kind := range towpath.AlertKinds {
		w.put(1, string(kind), p.Alerts[kind])
	}
	w.open(0, "steps")
	for _, s := range f.written {
		w.step(s, f.whens[s.Name].text)
		w.matrix(s.Name, f.matrices[s.Name])
	}
	if len(p.Environments) > 0 {
		w.open(0, "environments")
	}
	for _, e := range p.Environments {
		w.environment(e)
	}
	return w.Bytes()
}

// writer writes YAML, two spaces a level.
type writer struct{ bytes.Buffer }

func (w *writer) open(level int, key string) {
	fmt.Fprintf(w, "%s%s:\n", strings.Repeat("  ", level), scalarText(key))
}

// put writes a key with its value. Empty texts, and lists and tables that are nil, are not there.
func (w *writer) put(level int, key string, v any) {
	value := ""
	switch v := v.(type) {
	case string:
		if v == "" {
			return
		}
		value = blockText(v, level+1)
	case []string:
		if v == nil {
			return
		}
		value = listText(v)
	case []int:
		value = strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
	case map[string]string:
		w.table(level, key, v)
		return
	case time.Duration:
		value = formatDuration(v)
	default:
		value = fmt.Sprint(v)
	}
	fmt.Fprintf(w, "%s%s: %s\n", strings.Repeat("  ", level), scalarText(key), value)
}

func (w *writer) table(level int, key string, v map[string]string) {
	if len(v) == 0 {
		return
	}
	w.open(level, key)
	for _, k := range slices.Sorted(maps.Keys(v)) {
		value := `""`
		if v[k] != "" {
			value = blockText(v[k], level+2)
		}
		fmt.Fprintf(w, "%s%s: %s\n", strings.Repeat("  ", level+1), scalarText(k), value)
	}
}

func (w *writer) step(s towpath.StepDefinition, when string) {
	fmt.Fprintf(w, "  - %s: %s\n", s.Kind, scalarText(s.Name))
	w.put(2, "needs", s.Needs)
	w.put(2, "when", when)
	switch {
	case s.Script != nil:
		w.script(s.Kind, *s.Script)
	case s.Approve != nil:
		w.put(2, "by", s.Approve.By)
		w.put(2, "count", s.Approve.Count)
		w.put(2, "within", s.Approve.Within)
		w.put(2, "author", s.Approve.Author)
		w.put(2, "message", s.Approve.Message)
	default:
		w.put(2, "uses", s.Ships)
	}
}

func (w *writer) script(kind towpath.StepKind, s towpath.ScriptDefinition) {
	key := "run"
	if kind == towpath.KindRun {
		key = "script"
	}
	w.put(2, key, s.Run)
	w.put(2, "shell", s.Shell)
	w.worker(2, s.Worker)
	w.put(2, "env", s.Env)
	w.secrets(s)
	w.put(2, "uses", s.Uses)
	w.put(2, "artifacts", s.Artifacts)
	w.put(2, "platform", s.Platform)
	w.put(2, "timeout", s.Timeout)
	w.retry(s.Retry)
	w.put(2, "clean", s.Clean)
	w.caches(s.Cache)
	w.reports(s.Reports)
	w.open(2, "checkout")
	w.put(3, "submodules", s.Checkout.Submodules)
	w.put(3, "lfs", s.Checkout.LFS)
	w.put(3, "depth", s.Checkout.Depth)
	w.inside(s)
}

func (w *writer) retry(r towpath.Retry) {
	w.open(2, "retry")
	w.put(3, "lost", r.Lost)
	w.put(3, "times", r.Times)
	if len(r.Codes) > 0 {
		w.put(3, "codes", r.Codes)
	}
}

// matrix writes what a step is run for, and as a comment the steps that it makes.
func (w *writer) matrix(step string, m matrix) {
	if len(m.axes) == 0 {
		return
	}
	w.open(2, "matrix")
	for _, a := range m.axes {
		w.put(3, a.key, a.values)
	}
	w.combinations(excludeKey, m.exclude, m)
	w.combinations(includeKey, m.include, m)
	for _, c := range m.combinations() {
		fmt.Fprintf(w, "    # %s\n", m.nameOf(step, c))
	}
}

func (w *writer) combinations(key string, listed []combination, m matrix) {
	if len(listed) == 0 {
		return
	}
	w.open(3, key)
	for _, c := range listed {
		var pairs []string
		for _, a := range m.axes {
			if value, said := c[a.key]; said {
				pairs = append(pairs, scalarText(a.key)+": "+scalarText(value))
			}
		}
		fmt.Fprintf(w, "        - {%s}\n", strings.Join(pairs, ", "))
	}
}

func (w *writer) worker(level int, s towpath.Selector) {
	if s.OS == "" && s.Arch == "" && len(s.Labels) == 0 {
		return
	}
	w.open(level, "worker")
	w.put(level+1, "os", s.OS)
	w.put(level+1, "arch", s.Arch)
	w.put(level+1, "labels", s.Labels)
}

func (w *writer) environment(e towpath.EnvironmentDefinition) {
	w.open(1, e.Name)
	w.put(2, "url", e.URL)
	w.put(2, "platform", e.Platform)
	w.worker(2, e.Worker)
	w.put(2, "branches", e.Branches)
	w.put(2, "env", e.Env)
	w.put(2, "secrets", e.Secrets)
	w.put(2, "instances", e.Instances)
	w.put(2, "minimum", e.Minimum)
	w.target(e.Target)
	w.processes(e.Processes)
	w.strategy(e.Strategy)
	w.balancer(e.Balancer)
	w.health(e.Health)
	w.open(2, "drain")
	w.put(3, "requests", e.Drain.Requests)
	w.put(3, "streams", e.Drain.Streams)
	if process := e.Target.Process; process != nil {
		w.put(3, "stop", process.Stop.Within)
	}
	w.watch(e.Watch)
	if e.Assets != "" {
		w.put(2, "assets", e.Assets)
	}
	drift := "report"
	if e.Drift == towpath.DriftMend {
		drift = "mend"
	}
	w.put(2, "drift", drift)
	w.windows(e.Windows)
	if e.Hooks != (towpath.HooksDefinition{}) {
		w.open(2, "hooks")
		w.put(3, "before", e.Hooks.Before)
		w.put(3, "after", e.Hooks.After)
		w.put(3, "failed", e.Hooks.Failed)
	}
}

func (w *writer) watch(d towpath.WatchDefinition) {
	if d.For == 0 {
		return
	}
	w.open(2, "watch")
	w.put(3, "for", d.For)
	w.put(3, "errors", strconv.FormatFloat(100*d.Errors, 'g', 6, 64)+"%")
	if d.P99 > 0 {
		w.put(3, "p99", d.P99)
	}
	w.put(3, "minimum", d.Minimum)
	w.queries(d.Queries)
	w.put(3, "command", d.Command)
	w.put(3, "probe", d.Probe)
}

func (w *writer) target(t towpath.TargetDefinition) {
	w.open(2, "target")
	if t.Hosts != nil {
		w.hosts(t.Hosts)
		return
	}
	w.open(3, "process")
	w.put(4, "command", t.Process.Command)
	if t.Process.Port != 0 {
		w.put(4, "port", t.Process.Port)
	}
	w.open(4, "stop")
	w.put(5, "signal", t.Process.Stop.Signal)
}

func (w *writer) strategy(s towpath.StrategyDefinition) {
	if s.Kind == towpath.StrategyAllAtOnce {
		w.put(2, "strategy", string(s.Kind))
		return
	}
	w.open(2, "strategy")
	w.open(3, string(s.Kind))
	if s.Kind == towpath.StrategyRolling {
		w.put(4, "batch", s.Batch)
		w.put(4, "surge", s.Surge)
		return
	}
	if len(s.Steps) > 0 {
		w.put(4, "steps", canaryInWords(s.Steps))
	}
	if s.Sticky {
		w.put(4, "sticky", true)
	}
	w.put(4, "standby", s.Standby)
	w.put(4, "test", s.Test)
	if s.UntilPromoted {
		w.put(4, "until", "promoted")
	}
}

// canaryInWords writes steps as a file has them.
func canaryInWords(steps []towpath.CanaryStep) []string {
	var words []string
	for _, s := range steps {
		if s.UntilPromoted {
			words = append(words, fmt.Sprintf("%d%% until promoted", s.Share))
		} else {
			words = append(words, fmt.Sprintf("%d%% for %s", s.Share, formatDuration(s.For)))
		}
	}
	return words
}

func (w *writer) balancer(b towpath.BalancerDefinition) {
	kind := b.Kind()
	if kind == towpath.BalancerNone {
		w.put(2, "balancer", string(kind))
		return
	}
	w.open(2, "balancer")
	w.open(3, string(kind))
	switch {
	case b.Proxy != nil:
		w.put(4, "host", b.Proxy.Host)
		w.put(4, "listen", b.Proxy.Listen)
		w.put(4, "at", b.Proxy.At)
		w.put(4, "key", b.Proxy.Key)
	case b.HAProxy != nil:
		w.put(4, "socket", b.HAProxy.Sockets)
		w.put(4, "backend", b.HAProxy.Backend)
	case b.DNS != nil:
		w.put(4, "server", b.DNS.Server)
		w.put(4, "zone", b.DNS.Zone)
		w.put(4, "name", b.DNS.Name)
		w.put(4, "ttl", b.DNS.TTL)
		w.put(4, "key", b.DNS.Key)
	case b.Nginx != nil:
		w.nginx(b.Nginx)
	case b.Command != nil:
		w.command(b.Command)
	case b.Caddy != nil:
		w.put(4, "admin", b.Caddy.Admin)
		w.put(4, "id", b.Caddy.ID)
	}
}

func (w *writer) health(h towpath.HealthDefinition) {
	w.open(2, "health")
	w.put(3, "http", h.HTTP)
	if h.TCP {
		w.put(3, "tcp", true)
	}
	w.put(3, "command", h.Command)
	w.put(3, "within", h.Within)
	w.put(3, "interval", h.Interval)
	w.put(3, "timeout", h.Timeout)
	w.put(3, "rises", h.Rises)
	w.put(3, "release", h.Release)
}

// plainText is what needs no quotes: it begins with a letter, a dot or a slash and has no sign of YAML's.
var plainText = regexp.MustCompile(`^(\./|/)?[A-Za-z]([A-Za-z0-9 ./_-]*[A-Za-z0-9./_-])?$`)

// reservedWords mean something else than their letters, here or to another reader of YAML.
var reservedWords = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

func scalarText(s string) string {
	isWord := slices.Contains(reservedWords, strings.ToLower(s)) && s != "on" && s != "off"
	if (plainText.MatchString(s) || durationForm.MatchString(s)) && !isWord {
		return s
	}
	if strings.Contains(s, `"`) && !strings.ContainsFunc(s, needsEscape) {
		return "'" + s + "'"
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // a JSON string is a YAML one
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func listText(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = scalarText(t)
	}
	return bracketed(quoted)
}

func bracketed(written []string) string { return "[" + strings.Join(written, ", ") + "]" }

// blockText writes a text of several lines as a block, where a block keeps it as it is.
func blockText(s string, level int) string {
	body, ended := strings.CutSuffix(s, "\n")
	if !strings.Contains(body, "\n") || !fitsBlock(body) {
		return scalarText(s)
	}
	header := "|-"
	if ended {
		header = "|"
	}
	indent := strings.Repeat("  ", level)
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = indent + line
		}
	}
	return header + "\n" + strings.Join(lines, "\n")
}

func needsEscape(r rune) bool { return r == '\'' || r == '\\' || !unicode.IsPrint(r) }

func fitsBlock(body string) bool {
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		first := i == 0 || i == len(lines)-1
		if strings.TrimSpace(line) != line && (first || strings.TrimRight(line, " \t") != line) || first && line == "" {
			return false
		}
	}
	return !strings.ContainsFunc(body, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
}
