//go:build unix

package process_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/target/process"
)

// shop is an environment whose releases have these files.
type shop struct {
	*testing.T
	*process.Driver
	root  string
	files map[string]string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{T: t, root: filepath.Join(t.TempDir(), "instances", "shop", "production", "files")}
	d := definition(towpath.HealthDefinition{})
	d.Assets = "public"
	layOut := func(_ context.Context, _ towpath.Release, folder string) error {
		for name, content := range s.files {
			path := filepath.Join(folder, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	s.Driver, err = process.New(process.Options{
		Environment: "shop/production", Definition: d, DataDir: strings.TrimSuffix(s.root, "/instances/shop/production/files"),
		Supervise: []string{os.Args[0], "supervise"}, Files: layOut, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *shop) does(o deploy.Operation) {
	s.Helper()
	if _, err := s.Do(s.Context(), deploy.Order{Epoch: towpath.Epoch{Number: 3, Holder: "keeper"}, Operation: o}); err != nil {
		s.Fatalf("%s: %v", o, err)
	}
}

func (s *shop) places(id string, files map[string]string) {
	s.Helper()
	s.files = files
	s.does(deploy.Place{Instances: []string{id}})
}

// has compares what stands in the folder of an instance.
func (s *shop) has(id string, want map[string]string) {
	s.Helper()
	got := make(map[string]string)
	root := filepath.Join(s.root, id, "public")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		got[strings.TrimPrefix(path, root+"/")] = string(content)
		return err
	})
	if err != nil || !maps.Equal(got, want) {
		s.Errorf("%s has %q, not %q; %v", id, got, want, err)
	}
}

func TestEveryReleaseHasTheAssetsOfThoseBesideIt(t *testing.T) {
	s := newShop(t)
	s.places("r42-1", map[string]string{"public/1.js": "one", "public/logo": "old", "public/gone": "a file here", "secret": "no asset"})
	s.places("r43-2", map[string]string{"public/2.js": "two", "public/logo": "new", "public/gone/for": "a folder now"})
	s.has("r42-1", map[string]string{"1.js": "one", "2.js": "two", "logo": "old", "gone": "a file here"})
	second := map[string]string{"1.js": "one", "2.js": "two", "logo": "new", "gone/for": "a folder now"}
	s.has("r43-2", second)

	s.places("r44-3", map[string]string{"public/3.js": "three"})
	s.has("r44-3", map[string]string{"1.js": "one", "2.js": "two", "3.js": "three", "logo": "new", "gone/for": "a folder now"})
	s.does(deploy.Remove{Instances: []string{"r44-3"}}) // given up
	s.has("r43-2", second)

	s.does(deploy.Remove{Instances: []string{"r42-1"}}) // of which pages are open still
	s.has("r43-2", second)
	s.places("r43-4", map[string]string{"public/2.js": "two", "public/logo": "new", "public/gone/for": "a folder now"})
	s.has("r43-4", second) // in the place of one that broke
	left, err := os.ReadDir(filepath.Join(filepath.Dir(s.root), "assets"))
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAssetsThatAnInstanceMadeAreItsOwn(t *testing.T) {
	s := newShop(t)
	s.places("r42-1", map[string]string{"public/1.js": "one"})
	if err := os.WriteFile(filepath.Join(s.root, "r42-1", "public", "made"), []byte("at run time"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(s.root, "r42-1", "public", "uploads")); err != nil {
		t.Fatal(err)
	}
	s.places("r43-2", map[string]string{"public/made": "in the newer one", "public/uploads/cat": "of the newer one"})
	s.does(deploy.Remove{Instances: []string{"r43-2"}})
	content, err := os.ReadFile(filepath.Join(s.root, "r42-1", "public", "made"))
	if err != nil || string(content) != "at run time" {
		t.Errorf("%q, %v", content, err)
	}
	if there, err := os.ReadDir(filepath.Join(s.root, "r42-1", "public", "uploads")); err != nil || len(there) > 0 {
		t.Errorf("%v, %v", there, err)
	}
}
