package store_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// effects is one of each kind.
func effects() []towpath.Effect {
	d := towpath.Deployment{ID: "d1", Environment: "shop/staging", State: towpath.DeploymentLive, RequestedAt: noon}
	return []towpath.Effect{
		towpath.EnqueueStep{Run: "r1", Step: "shop", Attempt: 1},
		towpath.StopStep{Run: "r1", Step: "shop", Attempt: 1, Reason: "canceled by ada"},
		towpath.AskApproval{Run: "r1", Step: "release"},
		towpath.AnnounceApproval{Approval: "r1/release"},
		towpath.WithdrawApproval{Run: "r1", Step: "release"},
		towpath.RequestDeployment{Run: "r1", Step: "staging"},
		towpath.WithdrawDeployment{Run: "r1", Step: "staging"},
		towpath.SupersedeOlder{Run: "r1", Gate: "release"},
		towpath.StartNext{Run: "r1"},
		towpath.StartDownstream{Run: "r1"},
		towpath.AnnounceRun{Run: "r1", State: towpath.RunFailed, Step: "unit"},
		towpath.RecordDeployment{Deployment: d},
		towpath.TellStep{Deployment: d},
		towpath.AnnounceDeployment{Deployment: d},
		towpath.WakeKeeper{Environment: "shop/staging", Serial: 3},
		towpath.ShowRunStatus{Run: "r1", State: towpath.RunPassed},
		towpath.ShowDeploymentStatus{Deployment: d},
	}
}

func TestEveryEffectComesBackAsItWasAddedAndInOrder(t *testing.T) {
	s := open(t)
	update(t, s, func(tx *store.Tx) error { return tx.AddEffects(noon, effects()...) })
	update(t, s, func(tx *store.Tx) error { return tx.AddEffects(noon, effects()...) }) // known by now
	view(t, s, func(tx *store.Tx) error {
		due, err := tx.DueEffects(noon, 0)
		var got []towpath.Effect
		for _, e := range due {
			got = append(got, e.Effect)
		}
		if diff := cmp.Diff(effects(), got); diff != "" {
			t.Errorf("what is due (-added +got):\n%s", diff)
		}
		return err
	})
}

// TestEveryEffectThereIsCanBeStored reads the root package: whoever has a Key there is an effect.
func TestEveryEffectThereIsCanBeStored(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../effect.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, e := range effects() {
		known = append(known, typeName(e))
	}
	for _, d := range file.Decls {
		method, ok := d.(*ast.FuncDecl)
		if !ok || method.Recv == nil || method.Name.Name != "Key" {
			continue
		}
		if name := method.Recv.List[0].Type.(*ast.Ident).Name; !slices.Contains(known, name) {
			t.Errorf("effect %s is not in the store's table, or not in this test", name)
		}
	}
}

func TestAnEffectIsDoneOnceTogetherWithItsConsequence(t *testing.T) {
	s := open(t)
	ask := towpath.AskApproval{Run: "r1", Step: "release"}
	update(t, s, func(tx *store.Tx) error { return tx.AddEffects(noon, ask) })
	carryOut := func(tx *store.Tx) error {
		value, err := tx.Setting("mails")
		return errors.Join(err, tx.PutSetting("mails", value+"x"), tx.EffectDone(ask.Key(), noon))
	}
	update(t, s, carryOut)
	stale(t, s, carryOut)
	view(t, s, func(tx *store.Tx) error {
		if mails, _ := tx.Setting("mails"); mails != "x" {
			t.Errorf("the consequence happened so often: %q", mails)
		}
		due, err := tx.DueEffects(noon.Add(time.Hour), 0)
		if len(due) != 0 {
			t.Errorf("still due: %+v", due)
		}
		return err
	})
}

func TestAnEffectThatFailedIsDueAgainLater(t *testing.T) {
	s := open(t)
	ask := towpath.AskApproval{Run: "r1", Step: "release"}
	update(t, s, func(tx *store.Tx) error { return tx.AddEffects(noon, ask) })
	later := noon.Add(time.Minute)
	update(t, s, func(tx *store.Tx) error { return tx.EffectFailed(ask.Key(), errors.New("no answer"), later) })
	view(t, s, func(tx *store.Tx) error {
		if due, err := tx.DueEffects(noon, 0); len(due) != 0 || err != nil {
			t.Errorf("due too early: %+v, %v", due, err)
		}
		if next, err := tx.NextEffect(); !next.Equal(later) || err != nil {
			t.Errorf("the next one is due at %s, %v", next, err)
		}
		due, err := tx.DueEffects(later, 0)
		want := []store.DueEffect{{Effect: ask, Attempts: 1, LastError: "no answer"}}
		if diff := cmp.Diff(want, due); diff != "" {
			t.Errorf("what is due (-want +got):\n%s", diff)
		}
		return err
	})
}

func typeName(v any) string { return reflect.TypeOf(v).Name() }
