package steplog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath/internal/steplog"
)

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// matching is what a search should find, by the plain text.
func matching(text []byte, needle string) (numbers []int64) {
	for i, line := range strings.Split(string(text), "\n") {
		line = colours.ReplaceAllString(line, "")
		if needle == strings.ToLower(needle) {
			line = strings.ToLower(line)
		}
		if strings.Contains(line, needle) {
			numbers = append(numbers, int64(i))
		}
	}
	return numbers
}

// searched goes on until a search has come to the log's end.
func searched(t failer, l *steplog.Log, q steplog.Search) (lines []steplog.Line) {
	for {
		found, err := l.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, found.Lines...)
		if !found.More {
			return lines
		}
		q.From = found.Next
	}
}

func TestASearchFindsWhatAPersonWouldSee(t *testing.T) {
	base, plain := t.TempDir(), numbered(0, 25_000)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		store := openStore(t, dir)
		defer store.Close()
		l := create(t, store)
		var text []byte
		for range rapid.IntRange(1, 6).Draw(t, "appends") {
			var piece []byte
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				piece = plain[:rapid.IntRange(1, len(plain)).Draw(t, "bytes")]
			case 1:
				piece = bytes.Repeat([]byte("-x"), rapid.IntRange(1, 600_000).Draw(t, "length"))
			default:
				piece = []byte(rapid.StringMatching(`((\x1b\[[0-9]{1,2}m)|[abAB\n]){1,40}`).Draw(t, "text"))
			}
			add(t, l, piece, noon)
			text = append(text, piece...)
		}
		needle := rapid.SampledFrom([]string{"a", "ab", "AB", "aba", "-x-x", "00024999", "x-a", "Ba"}).Draw(t, "needle")
		want := matching(text, needle)
		from := int64(rapid.IntRange(0, 3).Draw(t, "from"))
		for len(want) > 0 && want[0] < from {
			want = want[1:]
		}
		got := searched(t, l, steplog.Search{Text: needle, From: from, Limit: rapid.SampledFrom([]int{1 + len(want)/3, 100_000}).Draw(t, "limit")})
		if len(got) != len(want) {
			t.Fatalf("%q: %d lines, want %d", needle, len(got), len(want))
		}
		for i, line := range got {
			if line.Number != want[i] || !bytes.HasPrefix(text[line.Offset:], line.Text) || !line.At.Equal(noon) || len(line.Text) > steplog.MaxExcerptBytes {
				t.Fatalf("%q: the %dth is %d at %d (%s), want %d", needle, i, line.Number, line.Offset, line.At, want[i])
			}
		}
	})
}

func TestOfALongLineWhatStandsAroundTheTextIsAnswered(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	text := "before\n" + strings.Repeat("x", 3_000_000) + " the Needle " + strings.Repeat("y", 2_000_000) + "\nafter"
	add(t, l, []byte(text), noon)
	lines := searched(t, l, steplog.Search{Text: "the needle", Limit: 10})
	if len(lines) != 1 || lines[0].Number != 1 || !lines[0].Cut || !bytes.Contains(lines[0].Text, []byte("x the Needle y")) ||
		!strings.HasPrefix(text[lines[0].Offset:], string(lines[0].Text)) {
		t.Errorf("found %+v", lines)
	}
	if lines = searched(t, l, steplog.Search{Text: "after", Limit: 10}); len(lines) != 1 || !lines[0].Open || lines[0].Cut {
		t.Errorf("found %+v", lines)
	}
}

func TestASearchEndsWithWhoAsked(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	add(t, l, numbered(0, 30_000), noon)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Search(ctx, steplog.Search{Text: "nowhere", Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	for _, q := range []steplog.Search{{Limit: 1}, {Text: "x"}, {Text: strings.Repeat("x", 3000), Limit: 1}} {
		if _, err := l.Search(t.Context(), q); !errors.Is(err, steplog.ErrSearch) {
			t.Errorf("%.10q, %d: %v", q.Text, q.Limit, err)
		}
	}
}

func TestAFoundLineSaysWhenItBegan(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	add(t, l, numbered(0, 12_000), noon)
	add(t, l, []byte("the nee"), noon.Add(time.Second))
	add(t, l, []byte("dle\nanother needle\n"), noon.Add(2*time.Second))
	add(t, l, []byte("a third needle\n"), noon.Add(3*time.Second))
	add(t, l, numbered(0, 12_000), noon)
	lines := searched(t, l, steplog.Search{Text: "needle", Limit: 10})
	if len(lines) != 3 {
		t.Fatalf("found %+v", lines)
	}
	for i, after := range []int{1, 2, 3} {
		if want := noon.Add(time.Duration(after) * time.Second); !lines[i].At.Equal(want) {
			t.Errorf("line %d began at %s, want %s", i, lines[i].At, want)
		}
	}
}
