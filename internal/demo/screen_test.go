package demo

import (
	"strings"
	"testing"
)

func TestOffATerminalEachChangeIsOneLineAndNothingMoves(t *testing.T) {
	var out strings.Builder
	tell(screen{out: &out})
	want := "1  it begins\n   ● build shop\n   ✓ build shop             3.1 s\n   ✗ broken\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestOnATerminalWhatHasEndedTakesTheLineOfWhatWasUnderWay(t *testing.T) {
	var out strings.Builder
	tell(screen{out: &out, live: true})
	want := "1  it begins\n\r\x1b[K   ● build shop\r\x1b[K   ✓ build shop             3.1 s\n\r\x1b[K   ✗ broken\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func tell(s screen) {
	s.heading(1, "it begins")
	s.now("build shop")
	s.done("build shop", "3.1 s")
	s.failed("broken")
}
