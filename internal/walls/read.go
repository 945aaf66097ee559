package walls

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Read returns every shipped Go file below a module's folder, of all platforms, sorted by path. It reads the files
// itself rather than ask a tool, so that Go's test cache sees each of them and never keeps an old verdict.
func Read(folder string) ([]File, error) {
	var files []File
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isForeign(folder, name):
			return fs.SkipDir
		case entry.IsDir() || !isShipped(name):
			return nil
		}
		imports, err := importsOf(filepath.Join(folder, name))
		files = append(files, File{Path: name, Imports: imports})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the imports below %s: %w", folder, err)
	}
	return files, nil
}

// isForeign tells whether a folder is outside the module: hidden, test data, or a module of its own.
func isForeign(folder, name string) bool {
	if name == "." {
		return false
	}
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, name, "go.mod"))
	return err == nil
}

func isShipped(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

// importsOf parses no further than a file's imports.
func importsOf(file string) ([]string, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", file, spec.Path.Value, err)
		}
		imports = append(imports, imported)
	}
	return imports, nil
}
