package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the source of a module, without its tests, for the platform that it is read on.
type Module struct {
	root     string
	path     string
	files    *token.FileSet
	importer types.Importer
	calls    []call
	declared map[string]*types.Func // by name
}

// listed is a package as "go list" tells of it.
type listed struct {
	ImportPath string
	Dir        string
	Export     string // file with its types
	GoFiles    []string
	CgoFiles   []string
	Module     *struct{ Path, Dir string }
	Standard   bool
}

// ReadModule reads the packages below "internal" of the module in a folder. It needs the go tool, which compiles what has
// changed.
func ReadModule(ctx context.Context, root string) (*Module, error) {
	packages, err := list(ctx, root)
	if err != nil {
		return nil, err
	}
	m := &Module{root: root, files: token.NewFileSet(), declared: map[string]*types.Func{}}
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	m.importer = importer.ForCompiler(m.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range packages {
		if p.Standard || p.Module == nil || !strings.Contains(p.ImportPath, "/internal/") || p.Module.Dir != root {
			continue
		}
		m.path = p.Module.Path
		if err := m.read(p); err != nil {
			return nil, fmt.Errorf("read %s: %w", p.ImportPath, err)
		}
	}
	return m, nil
}

func list(ctx context.Context, root string) ([]listed, error) {
	command := exec.CommandContext(ctx, "go", "list", "-buildvcs=false", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Module,Standard", "./internal/...")
	command.Dir = root
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w: %s", err, complaints.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		packages = append(packages, p)
	}
}

// read takes down the calls in a package.
func (m *Module) read(p listed) error {
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(m.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	if _, err := (&types.Config{Importer: m.importer}).Check(p.ImportPath, m.files, parsed, info); err != nil {
		return err
	}
	for _, file := range parsed {
		for _, declared := range file.Decls {
			if f, is := declared.(*ast.FuncDecl); is && f.Body != nil {
				m.readFunction(f, info)
			}
		}
	}
	return nil
}

func (m *Module) readFunction(f *ast.FuncDecl, info *types.Info) {
	of, _ := info.Defs[f.Name].(*types.Func)
	in := function{name: m.nameOf(of)}
	m.declared[in.name] = of
	for parameter := range of.Signature().Params().Variables() {
		if parameter.Type().String() != "context.Context" {
			in.parameters = append(in.parameters, parameter)
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		called, is := n.(*ast.CallExpr)
		if !is {
			return true
		}
		var name *ast.Ident
		switch to := ast.Unparen(called.Fun).(type) {
		case *ast.Ident:
			name = to
		case *ast.SelectorExpr:
			name = to.Sel
		}
		if to, is := info.Uses[name].(*types.Func); name != nil && is {
			m.calls = append(m.calls, call{
				callee: m.nameOf(to), through: interfaceOf(to), from: of.Pkg(), in: in, at: m.files.Position(called.Pos()), arguments: called.Args, info: info,
				implements: implementers,
			})
		}
		return true
	})
}

// interfaceOf is the interface whose method it is; nil where it is another function.
func interfaceOf(f *types.Func) *types.Interface {
	receiver := f.Signature().Recv()
	if receiver == nil {
		return nil
	}
	through, _ := receiver.Type().Underlying().(*types.Interface)
	return through
}

// reaches says that the call may be one of the function of that name: it names it, or is made through an interface that the
// function's type implements.
func (m *Module) reaches(name string, c call) bool {
	of := m.declared[name]
	if c.callee == name || c.through == nil || of == nil || of.Signature().Recv() == nil {
		return c.callee == name
	}
	_, method, _ := strings.Cut(c.callee, ").")
	if of.Name() != method[strings.LastIndex(method, ".")+1:] {
		return false
	}
	receiver := m.as(c.from, of.Signature().Recv().Type())
	return receiver != nil && types.Implements(receiver, c.through)
}

// as answers a type of the module as the package sees it that the call is in: from its source, or from what was compiled.
func (m *Module) as(from *types.Package, t types.Type) types.Type {
	pointer, isPointer := t.(*types.Pointer)
	if isPointer {
		t = pointer.Elem()
	}
	named, is := t.(*types.Named)
	if !is {
		return nil
	}
	in := from
	if path := named.Obj().Pkg().Path(); path != from.Path() {
		var err error
		if in, err = m.importer.Import(path); err != nil {
			return nil
		}
	}
	seen := in.Scope().Lookup(named.Obj().Name())
	if seen == nil {
		return nil // not exported, so that no other package can have it implement anything of its own
	}
	if isPointer {
		return types.NewPointer(seen.Type())
	}
	return seen.Type()
}

// nameOf is a function's name with its package's, such as "(*flow.Conductor).ReportStep".
func (m *Module) nameOf(f *types.Func) string {
	full := f.Origin().FullName()
	if f.Pkg() == nil {
		return full
	}
	return strings.Replace(full, f.Pkg().Path(), path.Base(f.Pkg().Path()), 1)
}

// implementers are the types of a package that implement an interface.
func implementers(asked *types.Interface, in *types.Package) []string {
	var names []string
	for _, name := range in.Scope().Names() {
		named, is := in.Scope().Lookup(name).(*types.TypeName)
		if is && !types.IsInterface(named.Type()) && types.Implements(named.Type(), asked) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
