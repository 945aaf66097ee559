package towpath

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxInput is the longest value of an input, in bytes.
const MaxInput = 8 << 10

// mostMistakes is how many of them are told at once: what is said is kept with the change, and anybody may say a lot.
const mostMistakes = 100

// Accept answers a value as scripts and expressions see it, "yes" or "no" for an InputYesNo. What cannot be written into
// the input is CodeInvalid, with what can as its hint.
func (i Input) Accept(value string) (string, error) {
	switch {
	case len(value) > MaxInput:
		return "", Errorf(CodeInvalid, "%s has %d bytes; an input has at most %d", i.Name, len(value), MaxInput)
	case strings.ContainsRune(value, 0):
		return "", Errorf(CodeInvalid, "%s holds a zero byte", i.Name)
	}
	switch i.Kind {
	case InputNumber:
		if n, err := strconv.ParseFloat(value, 64); err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return "", Errorf(CodeInvalid, "%s is a number, not %q", i.Name, shortened(value)).WithHint("write it like 3 or 0.5")
		}
	case InputChoice:
		if !slices.Contains(i.Choices, value) {
			return "", Errorf(CodeInvalid, "%s is %q, which is none of its choices", i.Name, shortened(value)).
				WithHint("choose one of %s", strings.Join(i.Choices, ", "))
		}
	case InputYesNo:
		return i.yesOrNo(value)
	}
	return value, nil
}

func (i Input) yesOrNo(value string) (string, error) {
	switch strings.ToLower(value) {
	case "yes", "true":
		return "yes", nil
	case "no", "false":
		return "no", nil
	}
	return "", Errorf(CodeInvalid, "%s is yes or no, not %q", i.Name, shortened(value))
}

func shortened(value string) string {
	const most = 60
	runes := []rune(value)
	if len(runes) <= most {
		return value
	}
	return string(runes[:most]) + "…"
}

// CompleteInputs answers the values of a pipeline's inputs: those that were said, and the defaults of the others. What is
// wrong, missing or not known is CodeInvalid, all of it at once.
func (t Triggers) CompleteInputs(said map[string]string) (map[string]string, error) {
	values := t.DefaultInputs()
	var wrong []string
	for _, i := range t.Inputs {
		value, isSaid := said[i.Name]
		if !isSaid {
			if i.Required {
				wrong = append(wrong, i.Name+" has no value, and no default")
			}
			continue
		}
		accepted, err := i.Accept(value)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		values[i.Name] = accepted
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if !slices.ContainsFunc(t.Inputs, func(i Input) bool { return i.Name == name }) {
			wrong = append(wrong, "there is no input "+strconv.Quote(shortened(name)))
		}
	}
	if more := len(wrong) - mostMistakes; more > 0 {
		wrong = append(wrong[:mostMistakes], strconv.Itoa(more)+" more are wrong")
	}
	if len(wrong) > 0 {
		return nil, Errorf(CodeInvalid, "%s", strings.Join(wrong, "\n")).WithHint("%s", t.inputsInWords())
	}
	return values, nil
}

// DefaultInputs answers the default of each input where nobody is asked; one that has none is empty, or no. So scripts find
// each of them, whatever started the run.
func (t Triggers) DefaultInputs() map[string]string {
	values := map[string]string{}
	for _, i := range t.Inputs {
		values[i.Name] = i.Default
		if i.Required && i.Kind == InputYesNo {
			values[i.Name] = "no"
		}
	}
	return values
}

func (t Triggers) inputsInWords() string {
	if len(t.Inputs) == 0 {
		return "the pipeline has no inputs"
	}
	var names []string
	for _, i := range t.Inputs {
		names = append(names, i.Name+" ("+string(i.Kind)+")")
	}
	return "its inputs are " + strings.Join(names, ", ")
}
