package store

import (
	"fmt"
	"reflect"

	"github.com/towpath-cd/towpath"
)

// effectType is an effect's type as it is stored: the name never changes, whatever becomes of the type's.
type effectType struct {
	kind   string
	decode func(doc string) (towpath.Effect, error)
	typ    reflect.Type
}

// effectTypes answers every effect there is.
func effectTypes() []effectType {
	return []effectType{
		stored[towpath.EnqueueStep]("enqueue-step"),
		stored[towpath.StopStep]("stop-step"),
		stored[towpath.AskApproval]("ask-approval"),
		stored[towpath.AnnounceApproval]("announce-approval"),
		stored[towpath.WithdrawApproval]("withdraw-approval"),
		stored[towpath.RequestDeployment]("request-deployment"),
		stored[towpath.WithdrawDeployment]("withdraw-deployment"),
		stored[towpath.SupersedeOlder]("supersede-older"),
		stored[towpath.StartNext]("start-next"),
		stored[towpath.StartDownstream]("start-downstream"),
		stored[towpath.AnnounceRun]("announce-run"),
		stored[towpath.RecordDeployment]("record-deployment"),
		stored[towpath.TellStep]("tell-step"),
		stored[towpath.AnnounceDeployment]("announce-deployment"),
		stored[towpath.WakeKeeper]("wake-keeper"),
		stored[towpath.ShowRunStatus]("show-run-status"),
		stored[towpath.ShowDeploymentStatus]("show-deployment-status"),
	}
}

func stored[T towpath.Effect](kind string) effectType {
	return effectType{
		kind:   kind,
		typ:    reflect.TypeFor[T](),
		decode: func(doc string) (towpath.Effect, error) { return decode[T](doc) },
	}
}

func effectKind(e towpath.Effect) (string, error) {
	typ := reflect.TypeOf(e)
	for _, t := range effectTypes() {
		if t.typ == typ {
			return t.kind, nil
		}
	}
	return "", fmt.Errorf("effect %T cannot be stored: it is not in the table of effects", e)
}

func decodeEffect(kind, doc string) (towpath.Effect, error) {
	for _, t := range effectTypes() {
		if t.kind == kind {
			return t.decode(doc)
		}
	}
	return nil, fmt.Errorf("effect of the unknown kind %q: it was stored by a newer version", kind)
}
