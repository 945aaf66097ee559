package towpath_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestWhatIsSaidForInputsIsTakenOrRefusedAllAtOnce(t *testing.T) {
	triggers := towpath.Triggers{Inputs: []towpath.Input{
		{Name: "version", Kind: towpath.InputText, Required: true},
		{Name: "copies", Kind: towpath.InputNumber, Default: "3"},
		{Name: "size", Kind: towpath.InputChoice, Choices: []string{"small", "large"}, Default: "small"},
		{Name: "publish", Kind: towpath.InputYesNo, Default: "no"},
	}}
	got, err := triggers.CompleteInputs(map[string]string{"version": "$(x)\n", "copies": "-0.5", "publish": "TRUE"})
	want := map[string]string{"version": "$(x)\n", "copies": "-0.5", "size": "small", "publish": "yes"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = triggers.CompleteInputs(map[string]string{
		"copies": "many", "size": "huge", "publish": "perhaps", "colour": "red", strings.Repeat("x", 100): "",
	})
	if towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"version has no value", `copies is a number, not "many"`, `size is "huge", which is none of its choices (choose one of small, large)`,
		`publish is yes or no, not "perhaps"`, `no input "colour"`, `no input "xxx`, "its inputs are version (text), copies (number)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not tell %q:\n%s", want, err)
		}
	}
	many := map[string]string{}
	for n := range 1000 {
		many[fmt.Sprint("x", n)] = ""
	}
	if _, err := triggers.CompleteInputs(many); err == nil || strings.Count(err.Error(), "\n") != 100 || !strings.Contains(err.Error(), "901 more are wrong") {
		t.Errorf("a thousand mistakes are told as %v", err)
	}
	for _, value := range []string{"NaN", "inf", "1e999", "", " 1", "0x", "1,5"} {
		if _, err := (towpath.Input{Kind: towpath.InputNumber}).Accept(value); err == nil {
			t.Errorf("%q is a number", value)
		}
	}
	for _, value := range []string{"a\x00b", strings.Repeat("x", towpath.MaxInput+1)} {
		if _, err := (towpath.Input{Kind: towpath.InputText}).Accept(value); err == nil {
			t.Errorf("a text of %d bytes is taken", len(value))
		}
	}
	unasked := towpath.Triggers{Inputs: append(triggers.Inputs, towpath.Input{Name: "force", Kind: towpath.InputYesNo, Required: true})}
	want = map[string]string{"version": "", "copies": "3", "size": "small", "publish": "no", "force": "no"}
	if got := unasked.DefaultInputs(); !maps.Equal(got, want) {
		t.Errorf("where nobody is asked: %v", got)
	}
	if _, err := (towpath.Triggers{}).CompleteInputs(map[string]string{"a": "b"}); err == nil || !strings.Contains(err.Error(), "has no inputs") {
		t.Errorf("got %v", err)
	}
}
