package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/towpath-cd/towpath"
)

// maxExpression is how many bytes an expression has at most.
const maxExpression = 4096

// when is the condition of a step: after which outcomes of its needs it runs, and for which changes.
type when struct {
	text    string
	after   towpath.Condition
	program *vm.Program // nil where the expression says nothing about the change
}

// facts is what an expression can name. The names are part of the file's grammar.
type facts struct {
	Branch      string                 `expr:"branch"`
	Revision    string                 `expr:"revision"`
	Author      string                 `expr:"author"`
	Message     string                 `expr:"message"`
	Trigger     string                 `expr:"trigger"`
	Tag         string                 `expr:"tag"`          // empty where it is none
	PullRequest int                    `expr:"pull_request"` // number; 0 where it is none
	Base        string                 `expr:"base"`         // branch that the pull request goes to
	Inputs      map[string]any         `expr:"inputs"`       // texts, numbers (float64), yes or no (bool)
	Changed     func(glob string) bool `expr:"changed"`
	Always      func() bool            `expr:"always"`
	Failed      func() bool            `expr:"failed"`
}

// factNames is for suggestions.
var factNames = []string{
	"branch", "revision", "author", "message", "trigger", "tag", "pull_request", "base", "inputs", "changed", "always", "failed",
}

func factsOf(c towpath.Change, inputs []towpath.Input) facts {
	yes := func() bool { return true }
	f := facts{
		Branch: c.Branch, Revision: c.Revision, Author: c.Author, Message: c.Message, Trigger: string(c.Trigger),
		Tag: c.Tag(), Inputs: inputFacts(c, inputs),
		Changed: func(glob string) bool { return changed(c, glob) },
		Always:  yes, Failed: yes,
	}
	if c.Request != nil {
		f.PullRequest, f.Base = c.Request.Number, c.Request.Base
	}
	return f
}

// inputFacts answers what was said, or else the default, or else nothing: "", 0 or no.
func inputFacts(c towpath.Change, inputs []towpath.Input) map[string]any {
	values := map[string]any{}
	for _, i := range inputs {
		value, said := c.Inputs[i.Name]
		if !said {
			value = i.Default
		}
		switch i.Kind {
		case towpath.InputNumber:
			number, _ := strconv.ParseFloat(value, 64) // 0 where nothing was said; what was said is a number
			values[i.Name] = number
		case towpath.InputYesNo:
			values[i.Name] = value == "yes"
		default:
			values[i.Name] = value
		}
	}
	return values
}

// changed says whether a file of the change fits. Where it is not known which files changed, everything counts as
// changed: to run a step too often is better than to leave it out.
func changed(c towpath.Change, glob string) bool {
	if c.Files == nil {
		return true
	}
	return slices.ContainsFunc(c.Files, func(name string) bool { return doublestar.MatchUnvalidated(glob, name) })
}

// condition reads a `when`. It answers false where it is wrong, and always a condition that can be used.
func (b *builder) condition(v *value) (when, bool) {
	w := when{text: strings.TrimSpace(v.text), after: towpath.WhenPassed}
	if len(w.text) > maxExpression {
		b.wrong(v.at, fmt.Sprintf("the expression has %d bytes; it may have %d", len(w.text), maxExpression), "decide it in a script")
		return w, false
	}
	program, err := compile(w.text)
	if err != nil {
		b.expressionError(v, err)
		return w, false
	}
	return b.conditionOf(v, w, program)
}

// conditionOf takes always() and failed() apart from what is said about the change.
func (b *builder) conditionOf(v *value, w when, program *vm.Program) (when, bool) {
	for _, part := range conjuncts(program.Node()) {
		name := outcomeCall(part)
		switch {
		case name == "":
			w.program = program
			if ast.Find(part, func(n ast.Node) bool { return outcomeCall(n) != "" }) != nil {
				b.wrong(v.at, "always() and failed() stand alone, or beside the rest with &&", `for example failed() && branch == "main"`)
				return w, false
			}
		case w.after != towpath.WhenPassed:
			b.wrong(v.at, "a step is either always() or failed() or neither", "keep one of them")
			return w, false
		default:
			w.after = map[string]towpath.Condition{"always": towpath.WhenAlways, "failed": towpath.WhenFailed}[name]
		}
	}
	globs, inputs := b.checkGlobs(v, program.Node()), b.checkInputs(v, program.Node())
	return w, globs && inputs
}

// checkInputs looks whether the inputs that the expression names are those of the file.
func (b *builder) checkInputs(v *value, root ast.Node) bool {
	ok := true
	var known []string
	for _, i := range b.out.Triggers.Inputs {
		known = append(known, i.Name)
	}
	ast.Find(root, func(n ast.Node) bool {
		member, isMember := n.(*ast.MemberNode)
		if !isMember {
			return false
		}
		if of, isName := member.Node.(*ast.IdentifierNode); !isName || of.Value != "inputs" {
			return false
		}
		name, isText := member.Property.(*ast.StringNode)
		switch {
		case !isText:
			b.wrong(v.at, "which input it names is not known before it runs", "write inputs.NAME")
			ok = false
		case !slices.Contains(known, name.Value):
			b.wrong(v.at, fmt.Sprintf("there is no input %q", clip(name.Value)), suggest(name.Value, known, "declare it in inputs: of manual: under on:"))
			ok = false
		}
		return false
	})
	return ok
}

// checkGlobs looks at the globs that stand in the expression itself.
func (b *builder) checkGlobs(v *value, root ast.Node) bool {
	ok := true
	ast.Find(root, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallNode)
		if !isCall || calleeName(call) != "changed" || len(call.Arguments) != 1 {
			return false
		}
		if glob, isText := call.Arguments[0].(*ast.StringNode); isText && !doublestar.ValidatePattern(glob.Value) {
			b.wrong(v.at, fmt.Sprintf("%q is not a glob", clip(glob.Value)), "* stands for one part of a path, ** for any number of parts")
			ok = false
		}
		return false
	})
	return ok
}

func compile(text string) (*vm.Program, error) {
	options := []expr.Option{expr.Env(facts{}), expr.AsBool(), expr.Optimize(false), expr.DisableAllBuiltins()}
	for _, name := range []string{"lower", "upper", "trim", "len", "hasPrefix", "hasSuffix"} {
		options = append(options, expr.EnableBuiltin(name))
	}
	return expr.Compile(text, options...) // its message goes to the author of the file as it is
}

// holds decides the condition for a change.
func (w when) holds(c towpath.Change, inputs []towpath.Input) (bool, error) {
	result, err := expr.Run(w.program, factsOf(c, inputs))
	if err != nil {
		if at, ok := errors.AsType[*file.Error](err); ok {
			return false, errors.New(at.Message)
		}
		return false, fmt.Errorf("decide %s: %w", clip(w.text), err)
	}
	yes, _ := result.(bool)
	return yes, nil
}

// expressionError points at the character that the library complains of, where it stands on the line of the key.
func (b *builder) expressionError(v *value, err error) {
	at, message, hint := v.at, err.Error(), "it can name branch, revision, author, message, trigger, tag, pull_request, base, inputs.NAME and changed(\"services/**\")"
	if found, ok := errors.AsType[*file.Error](err); ok {
		message = found.Message
		if quotes := v.at.width - utf8.RuneCountInString(v.text); found.Line == 1 && !strings.Contains(v.text, "\n") && quotes >= 0 && quotes <= 2 {
			at = place{v.at.line, v.at.column + quotes/2 + found.Column, 1}
		}
		if word, ok := strings.CutPrefix(message, "unknown name "); ok {
			at.width = utf8.RuneCountInString(word)
			hint = suggest(word, factNames, hint)
		}
	}
	if found, ok := strings.CutPrefix(message, "expected bool, but got "); ok {
		message, hint = "it has to come out as true or false, and this is a "+found, `compare it, for example branch == "main"`
	}
	message, _, _ = strings.Cut(message, "\n")
	b.wrong(at, "the expression cannot be read: "+clipTo(message, 200), hint)
}

// conjuncts are the parts of an expression that && holds together.
func conjuncts(n ast.Node) []ast.Node {
	both, ok := n.(*ast.BinaryNode)
	if !ok || both.Operator != "&&" && both.Operator != "and" {
		return []ast.Node{n}
	}
	return append(conjuncts(both.Left), conjuncts(both.Right)...)
}

// outcomeCall answers "always" or "failed" where the node is such a call.
func outcomeCall(n ast.Node) string {
	if call, ok := n.(*ast.CallNode); ok {
		if name := calleeName(call); name == "always" || name == "failed" {
			return name
		}
	}
	return ""
}

func calleeName(call *ast.CallNode) string {
	if id, ok := call.Callee.(*ast.IdentifierNode); ok {
		return id.Value
	}
	return ""
}
