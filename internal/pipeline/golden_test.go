package pipeline

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what people read with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (make it with go test -update)", err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// eachFile runs a story for every YAML file of a folder of testdata.
func eachFile(t *testing.T, folder string, story func(t *testing.T, stem string, data []byte)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata/%s: %v", folder, err)
	}
	for _, path := range paths {
		stem := strings.TrimSuffix(path, ".yaml")
		t.Run(filepath.Base(stem), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			story(t, stem, data)
		})
	}
}

func TestAWrongFileIsToldWithAllItsMistakes(t *testing.T) {
	eachFile(t, "wrong", func(t *testing.T, stem string, data []byte) {
		problems := Check("towpath.yaml", data)
		if len(problems) == 0 {
			t.Fatal("nothing was found wrong")
		}
		golden(t, stem+".txt", problems.String())
	})
}

func TestARightFileExpandsToItsDefaults(t *testing.T) {
	eachFile(t, "right", func(t *testing.T, stem string, data []byte) {
		file, problems := Parse("towpath.yaml", data)
		if file == nil {
			t.Fatal(problems)
		}
		golden(t, stem+".txt", string(file.Expand()))
	})
}
