package demo

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// example is the shop as it stands in the repository.
const example = "../../examples/shop"

func TestTheShopInsideTheProgramIsTheExample(t *testing.T) {
	unpacked := t.TempDir()
	if err := unpackShop(unpacked); err != nil {
		t.Fatal(err)
	}
	got, want := filesIn(t, unpacked), filesIn(t, example)
	if !slices.Equal(got, want) {
		t.Fatalf("the program holds %v, the example is %v: go generate ./internal/demo", got, want)
	}
	for _, name := range want {
		inside, outside := content(t, unpacked, name), content(t, example, name)
		if inside != outside {
			t.Errorf("%s is not as in the example: go generate ./internal/demo", name)
		}
	}
}

func TestTheShopsScriptsCanBeRun(t *testing.T) {
	unpacked := t.TempDir()
	if err := unpackShop(unpacked); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(unpacked, "smoke.sh"))
	if err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("smoke.sh: %v, %v", info, err)
	}
}

func TestThePipelineFileSaysWhatTheDemoReliesOn(t *testing.T) {
	text := content(t, example, "towpath.yaml")
	for _, part := range []string{"pipeline: " + pipeline, "by: " + approvers, "host: " + productionHost, "strategy: {blue-green:"} {
		if !strings.Contains(text, part) {
			t.Errorf("examples/shop/towpath.yaml has no %q", part)
		}
	}
}

func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == "dist":
			return fs.SkipDir
		case !entry.IsDir():
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func content(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
