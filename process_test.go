package towpath

import (
	"errors"
	"testing"
	"time"
)

func TestAWordThatASingleProcessIsGoneIsOfOneInstance(t *testing.T) {
	env := Environment{Key: "shop/production", Singles: map[string]Assignment{"clock": {Instance: "r42-1", Slot: "web1"}}}
	for said, want := range map[SingleGone]Code{
		{Process: "clock"}:                    "",
		{Process: "clock", Instance: "r42-1"}: "",
		{Process: "clock", Instance: "r41-1"}: CodeConflict,
		{Process: "mail"}:                     CodeNotFound,
	} {
		said.By, said.At = "ana", time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		err := env.Refuses(said)
		if refused, is := errors.AsType[*Error](err); is != (want != "") || is && refused.Code != want {
			t.Errorf("%+v: %v", said, err)
		}
		if err != nil {
			continue
		}
		after, _ := env.Next(said)
		if a := after.Singles["clock"]; !a.IsGone("r42-1") || CodeOf(after.Refuses(said)) != CodeConflict {
			t.Errorf("%+v", a)
		}
		if env.Singles["clock"].IsGone("r42-1") {
			t.Error("what was there before has changed")
		}
	}
}
