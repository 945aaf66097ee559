package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestWhatRunnersWriteIsUnderstood(t *testing.T) {
	for _, name := range []string{"surefire", "gotestsum", "pytest", "jest"} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Open(filepath.Join("testdata", name+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			read, err := report.JUnit(file, report.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(read, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// within wraps tests into a report.
func within(tests string) string { return `<testsuite name="s">` + tests + `</testsuite>` }

func read(t *testing.T, text string, limits report.Limits) report.Read {
	t.Helper()
	got, err := report.JUnit(strings.NewReader(text), limits)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsNoReportIsRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "holds no report",
		"just text":                        "holds no report",
		"<html><body/></html>":             "begins with <html>",
		"<testsuite>":                      "syntax error",
		"<testsuite><testcase name='a'":    "ends within",
		"<testsuite></testsuites>":         "syntax error",
		within("<testcase name='a'>&lol;"): "lol",
		within("<!-- no end"):              "ends within",
		within("<![CDATA[ no end"):         "ends within",
		"<!DOCTYPE t SYSTEM 'file:///etc/passwd'><testsuite/>":          "type of document",
		`<?xml version="1.0" encoding="UTF-16"?><testsuite/>`:           "encoding is UTF-16",
		strings.Repeat("<testsuite>", 100):                              "deep",
		within("<testcase name='" + strings.Repeat("x", 2<<20) + "'/>"): "a tag has more",
		within("<!-- " + strings.Repeat("x", 2<<20) + "-->"):            "more than",
		within("<!--> " + strings.Repeat("x", 2<<20) + "-->"):           "more than",
	} {
		_, err := report.JUnit(strings.NewReader(text), report.Limits{})
		if !errors.Is(err, report.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v; want %q", text, err, want)
		}
	}
}

func TestLaughsThatWouldBeABillionAreRefusedBeforeTheFirst(t *testing.T) {
	text := "<!DOCTYPE lolz [<!ENTITY l0 'lol'>"
	for i := range 9 {
		text += fmt.Sprintf("<!ENTITY l%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	_, err := report.JUnit(strings.NewReader(text+"]><testsuite><testcase name='&l9;'/></testsuite>"), report.Limits{})
	if !errors.Is(err, report.ErrMalformed) {
		t.Error(err)
	}
}

// endless answers the same bytes again and again.
type endless struct{ text string }

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	return n, nil
}

// TestHoweverMuchThereIsLittleMemoryIsUsed reads what never ends, in every place in which something can be long.
func TestHoweverMuchThereIsLittleMemoryIsUsed(t *testing.T) {
	most := int64(64 << 20)
	if testing.Short() {
		most = 8 << 20
	}
	for name, begin := range map[string]string{
		"an attribute":  `<testsuite><testcase name="`,
		"a name":        `<testsuite><`,
		"a text":        `<testsuite><testcase name="a"><failure>`,
		"a section":     `<testsuite><testcase name="a"><failure><![CDATA[`,
		"a comment":     `<testsuite><!-- `,
		"a declaration": `<?xml `,
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			_, err := report.JUnit(io.MultiReader(strings.NewReader(begin), endless{"wide & open "}), report.Limits{Bytes: most})
			if !errors.Is(err, report.ErrMalformed) {
				t.Error(err)
			}
			if grown := heap() - before; grown > 8<<20 {
				t.Errorf("%d bytes are held", grown)
			}
		})
	}
	t.Run("tests", func(t *testing.T) {
		body := io.MultiReader(strings.NewReader("<testsuite>"), strings.NewReader(strings.Repeat("<testcase name='a'/>", 200_000)), strings.NewReader("</testsuite>"))
		got, err := report.JUnit(body, report.Limits{})
		if err != nil || len(got.Results) != 20_000 || got.LeftOut != 180_000 {
			t.Errorf("%d results, %d left out, %v", len(got.Results), got.LeftOut, err)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTheEndOfWhatATestSaidIsKept(t *testing.T) {
	long := strings.Repeat("line &amp; line\n", 100_000)
	for _, text := range []string{long + "the end", "<![CDATA[" + strings.ReplaceAll(long, "&amp;", "&") + "the end]]>", strings.Repeat("ü", 500_000) + "the end", strings.Repeat("&lt;", 500_000) + "the end"} {
		got := read(t, within("<testcase name='a'><failure message='m'>"+text+"</failure></testcase>"), report.Limits{}).Results[0]
		if !strings.HasSuffix(got.Output, "the end") || len(got.Output) > 5<<10 || !utf8.ValidString(got.Output) {
			t.Errorf("%d bytes, which end with %q", len(got.Output), got.Output[max(0, len(got.Output)-20):])
		}
	}
}

func TestWhatXMLMayNotHoldIsReplaced(t *testing.T) {
	got := read(t, within("<testcase name='a\x00\x1bb'><failure message='m'>\x07</failure></testcase>"), report.Limits{}).Results[0]
	if got.Name != "a??b" || got.Output != "?" {
		t.Errorf("%+v", got)
	}
	text := `<?xml version="1.0" encoding="ISO-8859-1"?>` + within("<testcase name='f\xfcr'/>")
	if got := read(t, text, report.Limits{}).Results[0]; got.Name != "für" {
		t.Errorf("%+v", got)
	}
}

func FuzzAReportIsReadOrRefusedAndNeverMoreThanItsLimits(f *testing.F) {
	for _, name := range []string{"surefire", "gotestsum", "pytest", "jest"} {
		content, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(within("<testcase name='a'><failure>x</failure><system-out><![CDATA[y]]></system-out></testcase>")))
	limits := report.Limits{Bytes: 1 << 20, Results: 10, Depth: 8, Output: 100, Message: 50}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := report.JUnit(bytes.NewReader(content), limits)
		if err != nil {
			if !errors.Is(err, report.ErrMalformed) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if len(got.Results) > limits.Results {
			t.Errorf("%d results", len(got.Results))
		}
		for _, r := range got.Results {
			if len(r.Name) > 60 || len(r.Message) > 60 || len(r.Output) > 110 || !utf8.ValidString(r.Name+r.Suite+r.Message+r.Output) || r.Took < 0 {
				t.Errorf("%+v", r)
			}
			if r.Outcome != towpath.TestFailed && r.Output != "" {
				t.Errorf("%+v", r)
			}
		}
	})
}
