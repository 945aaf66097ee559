package crash

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

// Point is a place at which a process may be made to die, as the source has it.
type Point struct {
	Name string // as package failpoint knows it, without its side
	In   string // the function that it stands in, such as "(*flow.Conductor).ReportStep"
}

// Sides are the names of both sides of a point.
func (p Point) Sides() []string {
	return []string{p.Name + " " + failpoint.Before, p.Name + " " + failpoint.After}
}

// marks are the functions of package failpoint that make a place.
const (
	markAt     = "failpoint.At"
	markOf     = "failpoint.Of"
	markCalled = "failpoint.Called"
)

// Points finds all in the module's source, by name.
//
// A function that marks its callers (failpoint.Called) is found by its calls. One that hands on what it was given, such as
// the function to run in a transaction or the path to write to, is not where a commit belongs: its own callers are.
func Points(m *Module) ([]Point, error) {
	found := map[string]Point{}
	add := func(p Point) { found[p.Name] = p }
	marked := map[string]string{} // what to call a call of the function
	for _, call := range m.calls {
		switch call.callee {
		case markAt:
			add(Point{Name: call.text(0), In: call.in.name})
		case markOf:
			for _, subject := range call.kinds(1) {
				add(Point{Name: call.text(0) + " " + subject, In: call.in.name})
			}
		case markCalled:
			marked[call.in.name] = call.text(0)
		}
	}
	if len(marked) == 0 || len(found) == 0 {
		return nil, fmt.Errorf("no places are found in %s", m.root)
	}
	for name, what := range marked {
		for _, call := range m.outermost(name) {
			add(Point{Name: what + " " + call.place(), In: call.in.name})
		}
	}
	points := make([]Point, 0, len(found))
	for _, p := range found {
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.Name, b.Name) })
	return points, nil
}

// outermost answers the calls of a function, and in place of one that only hands on what it was given the calls of the
// function which that is in.
func (m *Module) outermost(name string) []call {
	var outer []call
	for _, c := range m.calls {
		if !m.reaches(name, c) || c.in.name == name {
			continue
		}
		if c.handsOn() {
			if above := m.outermost(c.in.name); len(above) > 0 {
				outer = append(outer, above...)
				continue
			}
		}
		outer = append(outer, c)
	}
	return outer
}

// Unregistered finds what makes something lasting in a function that has no place to die at. Those in the list are
// excused, by the function's name.
func Unregistered(m *Module, excused map[string]string) []string {
	var without []string
	for _, c := range m.calls {
		if !slices.Contains([]string{"os.Rename", "os.Link", "(*os.File).Sync"}, c.callee) || excused[c.in.name] != "" || m.hasPlace(c.in) {
			continue
		}
		without = append(without, fmt.Sprintf("%s: %s in %s", c.place(), c.callee, c.in.name))
	}
	return without
}

func (m *Module) hasPlace(f function) bool {
	return slices.ContainsFunc(m.calls, func(c call) bool {
		return c.in.name == f.name && slices.Contains([]string{markAt, markOf, markCalled}, c.callee)
	})
}

// function is one that is declared; what stands in a literal belongs to the one around it.
type function struct {
	name       string
	parameters []types.Object // without contexts
}

// call is one call of a function that is known by its name.
type call struct {
	callee     string
	through    *types.Interface // whose method it calls; nil where it calls a function itself
	from       *types.Package   // that it stands in
	in         function
	at         token.Position
	arguments  []ast.Expr
	info       *types.Info
	implements func(*types.Interface, *types.Package) []string
}

// place names the call as package failpoint does.
func (c call) place() string {
	_, below, _ := strings.Cut(filepath.ToSlash(c.at.Filename), "/internal/")
	return fmt.Sprintf("%s:%d", below, c.at.Line)
}

// text is an argument that is written down.
func (c call) text(n int) string {
	value := c.info.Types[c.arguments[n]].Value
	if value == nil || value.Kind() != constant.String {
		return "?"
	}
	return constant.StringVal(value)
}

// kinds are the types that an argument may have: those of its interface's package that implement it.
func (c call) kinds(n int) []string {
	named, is := types.Unalias(c.info.TypeOf(c.arguments[n])).(*types.Named)
	if !is {
		return nil
	}
	asked, is := named.Underlying().(*types.Interface)
	if !is {
		return []string{named.Obj().Name()}
	}
	return c.implements(asked, named.Obj().Pkg())
}

// handsOn says that the call passes on a parameter of the function that it is in, or a literal that uses one which is a
// function.
func (c call) handsOn() bool {
	for _, argument := range c.arguments {
		if name, is := argument.(*ast.Ident); is && slices.Contains(c.in.parameters, c.info.Uses[name]) {
			return true
		}
		if literal, is := argument.(*ast.FuncLit); is && c.usesFunction(literal) {
			return true
		}
	}
	return false
}

func (c call) usesFunction(literal *ast.FuncLit) bool {
	uses := false
	ast.Inspect(literal, func(n ast.Node) bool {
		name, is := n.(*ast.Ident)
		if !is || !slices.Contains(c.in.parameters, c.info.Uses[name]) {
			return true
		}
		_, isFunction := c.info.Uses[name].Type().Underlying().(*types.Signature)
		uses = uses || isFunction
		return true
	})
	return uses
}
