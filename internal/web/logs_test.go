package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// printedLog is the log of a step that has printed these lines, and ended.
func (h *house) printedLog(w hand, text string) client.LogQuery {
	h.Helper()
	h.run("shop")
	built := w.takes("site")
	built.prints(text)
	built.ends("passed", "")
	return client.LogQuery{Pipeline: "shop", Run: 1, Step: "site"}
}

func TestLinesAreAnsweredByTheirNumbers(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	vera, w := h.person("vera", "viewer", "shop"), h.worker("north-1")
	var text strings.Builder
	for i := range 25_000 {
		fmt.Fprintf(&text, "line %d\n", i+1)
	}
	log, api := h.printedLog(w, text.String()+"open \xff"), h.client(vera.token)
	for _, c := range []struct {
		from        int64
		limit       int
		first, last string
		next        int64
	}{
		{1, 3, "line 1", "line 3", 4},
		{12_345, 1, "line 12345", "line 12345", 12_346},
		{-2, 10, "line 25000", "open \uFFFD", 0},
		{-100_000, 2, "line 1", "line 2", 3},
		{25_001, 10, "open \uFFFD", "open \uFFFD", 0},
	} {
		got, err := api.LogLines(t.Context(), log, c.from, c.limit)
		must(t, err)
		n := len(got.Lines)
		if n == 0 || got.Lines[0].Text != c.first || got.Lines[n-1].Text != c.last || got.Next != c.next || got.Total != 25_001 {
			t.Errorf("from %d: %+v", c.from, got)
		}
		if !strings.HasPrefix(text.String()[min(int(got.Lines[0].Offset), text.Len()):], c.first) && !got.Lines[0].Open {
			t.Errorf("from %d: the line does not stand at %d", c.from, got.Lines[0].Offset)
		}
	}
	got, err := api.LogLines(t.Context(), log, 30_000, 10)
	if must(t, err); len(got.Lines) != 0 || got.Next != 0 || got.Total != 25_001 {
		t.Errorf("behind the end: %+v", got)
	}
	for _, query := range []string{"from=0", "from=x", "limit=0", "limit=10001", "attempt=2"} {
		reply := h.asks(vera.token, "/api/v1/pipelines/shop/runs/1/steps/site/log/lines?"+query)
		if reply.StatusCode != http.StatusUnprocessableEntity && reply.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", query, reply.StatusCode)
		}
	}
}

func TestALogIsSearchedPageByPage(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	vera, w := h.person("vera", "viewer", "shop"), h.worker("north-1")
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "line %d %s\n", i+1, map[bool]string{true: "\x1b[31mERR\x1b[0mOR", false: "fine"}[i%1000 == 7])
	}
	log, api := h.printedLog(w, text.String()), h.client(vera.token)
	var numbers []int64
	for from := int64(1); from > 0; {
		found, err := api.SearchLog(t.Context(), log, "error", from, 7)
		must(t, err)
		for _, line := range found.Lines {
			numbers = append(numbers, line.Number)
		}
		from = found.Next
	}
	if len(numbers) != 20 || numbers[0] != 8 || numbers[19] != 19_008 {
		t.Errorf("found %v", numbers)
	}
	if found, err := api.SearchLog(t.Context(), log, "Error", 1, 7); err != nil || len(found.Lines) != 0 {
		t.Errorf("a capital letter counts: %+v, %v", found, err)
	}
	_, err := api.SearchLog(t.Context(), log, "", 1, 7)
	if broken, ok := errors.AsType[*client.Error](err); !ok || broken.Code != "invalid" {
		t.Errorf("nothing to look for: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := api.SearchLog(ctx, log, "x", 1, 7); err == nil {
		t.Error("a search that nobody waits for is answered")
	}
}

func TestAPageSearchesWithoutAScript(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	vera, w := h.person("vera", "viewer", "shop"), h.worker("north-1")
	h.printedLog(w, strings.Repeat("nothing\n", 4999)+"<b>the needle</b>\n"+strings.Repeat("Thread\n", 1500))
	const log = "/runs/shop/1/steps/site/log"
	h.asks(vera.token, log).wants(t, http.StatusOK, `role="search"`, `name="search"`)
	found := h.asks(vera.token, log+"?attempt=1&search=NEEDLE")
	found.wants(t, http.StatusOK, "No line has “NEEDLE”.")
	found = h.asks(vera.token, log+"?attempt=1&search=the+needle")
	found.wants(t, http.StatusOK, "&lt;b&gt;the needle&lt;/b&gt;", log+"?attempt=1&amp;from=4899#L5000", `value="the needle"`)
	h.asks(vera.token, log+"?attempt=1&from=4899").wants(t, http.StatusOK, `id="L5000"`)
	many := h.asks(vera.token, log+"?search=thread")
	many.wants(t, http.StatusOK, log+"?attempt=1&amp;from=6000&amp;search=thread")
	h.asks(vera.token, log+"?attempt=1&from=6000&search=thread").wants(t, http.StatusOK, "#L6001")
	h.asks(vera.token, log+"?search="+strings.Repeat("x", 3000)).wants(t, http.StatusUnprocessableEntity)
}
