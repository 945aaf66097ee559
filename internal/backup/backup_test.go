package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/towpath-cd/towpath/internal/backup"
)

var about = backup.About{Program: "test", MadeAt: time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)}

// tree is files by their path below a folder.
func write(t testing.TB, folder string, tree map[string]string) {
	t.Helper()
	for name, content := range tree {
		file := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t testing.TB, folder string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		name, _ := filepath.Rel(folder, file)
		tree[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// packed is an archive of a small tree.
func packed(t testing.TB) []byte {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, map[string]string{"towpath.db": "the state", "logs/a/1": strings.Repeat("line\n", 5000), "logs/b/2": "", "other": "not asked for"})
	var archive bytes.Buffer
	contents, err := backup.Write(t.Context(), &archive, about,
		backup.Part{Name: "towpath.db", Path: filepath.Join(folder, "towpath.db")},
		backup.Part{Name: "logs", Path: filepath.Join(folder, "logs")},
		backup.Part{Name: "artifacts", Path: filepath.Join(folder, "artifacts")})
	if err != nil || len(contents.Files) != 3 || contents.Bytes() != 25009 {
		t.Fatalf("%+v, %v", contents, err)
	}
	return archive.Bytes()
}

func TestWhatIsPackedIsWhatIsUnpacked(t *testing.T) {
	folder := t.TempDir()
	contents, err := backup.Unpack(t.Context(), bytes.NewReader(packed(t)), folder)
	if err != nil || !contents.MadeAt.Equal(about.MadeAt) || contents.Program != "test" {
		t.Fatalf("%+v, %v", contents, err)
	}
	got := read(t, folder)
	if len(got) != 3 || got["towpath.db"] != "the state" || got["logs/a/1"] != strings.Repeat("line\n", 5000) || got["logs/b/2"] != "" {
		t.Errorf("it holds %v", got)
	}
}

func TestAnArchiveThatWasCutOffOrChangedAnywhereIsRefused(t *testing.T) {
	archive := packed(t)
	for n := range len(archive) {
		if _, err := backup.Check(t.Context(), bytes.NewReader(archive[:n])); !errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(archive), err)
		}
		changed := slices.Clone(archive)
		changed[n] ^= 0x10
		if contents, err := backup.Check(t.Context(), bytes.NewReader(changed)); err == nil && !isSame(contents) {
			t.Fatalf("with byte %d changed it is taken for whole: %+v", n, contents)
		}
	}
}

// isSame says that an archive still says of itself what it said: a bit of tar's padding makes no difference.
func isSame(c backup.Contents) bool { return c.MadeAt.Equal(about.MadeAt) && c.Bytes() == 25009 }

func TestAnArchiveWritesNowhereElse(t *testing.T) {
	for _, header := range []tar.Header{
		{Name: "../escaped", Typeflag: tar.TypeReg},
		{Name: "/tmp/escaped", Typeflag: tar.TypeReg},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
		{Name: "folder", Typeflag: tar.TypeDir},
	} {
		var archive bytes.Buffer
		compressed, err := zstd.NewWriter(&archive)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(compressed)
		if err := errors.Join(w.WriteHeader(&header), w.Close(), compressed.Close()); err != nil {
			t.Fatal(err)
		}
		outer := t.TempDir()
		folder := filepath.Join(outer, "in")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err = backup.Unpack(t.Context(), bytes.NewReader(archive.Bytes()), folder)
		if !errors.Is(err, backup.ErrDamaged) || len(read(t, outer)) != 0 {
			t.Errorf("%s: %v, and there is %v", header.Name, err, read(t, outer))
		}
	}
}

func TestABackupStopsWhenItIsToldTo(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a": "1"})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody wants it any more")
	cancel(why)
	if _, err := backup.Write(ctx, new(bytes.Buffer), about, backup.Part{Name: "all", Path: folder}); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
}

func FuzzAnyBytes(f *testing.F) {
	f.Add(packed(f))
	f.Fuzz(func(t *testing.T, archive []byte) {
		folder := t.TempDir()
		contents, err := backup.Unpack(t.Context(), bytes.NewReader(archive), folder)
		if err == nil && len(read(t, folder)) != len(contents.Files) {
			t.Errorf("it says %+v, and there is %v", contents, read(t, folder))
		}
	})
}
