//go:build unix

package kubernetes

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tarOf makes an archive of the given headers; a file's content is its name.
func tarOf(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	headers = append(headers, tar.Header{Name: endMark, Typeflag: tar.TypeReg})
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, header := range headers {
		content := ""
		if header.Typeflag == tar.TypeReg {
			content = header.Name
			header.Size = int64(len(content))
		}
		if header.Mode == 0 {
			header.Mode = 0o755
		}
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &archive
}

// room is a place with a step's folder in it, and a file beside it that is somebody else's.
func room(t *testing.T) (place, folder, others string) {
	t.Helper()
	base := t.TempDir()
	place, others = filepath.Join(base, "place"), filepath.Join(base, "others")
	folder = filepath.Join(place, "shop")
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(others, []byte("untouched"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return place, folder, others
}

func TestAPodReachesNothingButTheStepsFolders(t *testing.T) {
	for name, headers := range map[string]func(folder, others string) []tar.Header{
		"a path that climbs": func(folder, _ string) []tar.Header {
			return []tar.Header{{Name: folder + "/../../others", Typeflag: tar.TypeReg}}
		},
		"a path of somebody else's": func(_, others string) []tar.Header {
			return []tar.Header{{Name: others, Typeflag: tar.TypeReg}}
		},
		"the folder's own place": func(folder, _ string) []tar.Header {
			return []tar.Header{{Name: filepath.Dir(folder) + "/more", Typeflag: tar.TypeReg}}
		},
		"a link to a folder, and a file through it": func(folder, others string) []tar.Header {
			return []tar.Header{
				{Name: folder + "/out", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(others)},
				{Name: folder + "/out/others", Typeflag: tar.TypeReg},
			}
		},
		"a link that climbs, and a file through it": func(folder, _ string) []tar.Header {
			return []tar.Header{
				{Name: folder + "/out", Typeflag: tar.TypeSymlink, Linkname: "../.."},
				{Name: folder + "/out/others", Typeflag: tar.TypeReg},
			}
		},
		"another name of somebody else's file": func(folder, others string) []tar.Header {
			return []tar.Header{{Name: folder + "/mine", Typeflag: tar.TypeLink, Linkname: others}}
		},
		"another name of what was not sent": func(folder, _ string) []tar.Header {
			return []tar.Header{{Name: folder + "/mine", Typeflag: tar.TypeLink, Linkname: folder + "/was-there"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			place, folder, others := room(t)
			if err := os.WriteFile(filepath.Join(folder, "was-there"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := unpack(tarOf(t, headers(folder, others)...), []string{folder}, []string{place}); err == nil {
				t.Error("it was taken")
			}
			if content, err := os.ReadFile(others); err != nil || string(content) != "untouched" {
				t.Errorf("%q, %v", content, err)
			}
			if left, err := os.ReadDir(place); err != nil || len(left) != 1 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

func TestAFileThatIsALinkIsReplacedAndNotFollowed(t *testing.T) {
	place, folder, others := room(t)
	archive := tarOf(t,
		tar.Header{Name: folder + "/mine", Typeflag: tar.TypeSymlink, Linkname: others},
		tar.Header{Name: folder + "/mine", Typeflag: tar.TypeReg, Mode: 0o6755},
		tar.Header{Name: folder + "/pipe", Typeflag: tar.TypeFifo},
		tar.Header{Name: folder + "/device", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
	)
	if err := unpack(archive, []string{folder}, []string{place}); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(others); err != nil || string(content) != "untouched" {
		t.Errorf("%q, %v", content, err)
	}
	info, err := os.Lstat(filepath.Join(folder, "mine"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v: no file is to run as its owner", info.Mode(), err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// tree is what a folder holds: paths with their modes, and what files and links hold.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		said := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			said += " " + string(content) + info.ModTime().UTC().Format(" 15:04:05")
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			said += " " + target
		}
		name, err := filepath.Rel(dir, path)
		found[name] = said
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func mustBeSame(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, said := range want {
		if got[name] != said {
			t.Errorf("%q: %q, want %q", name, got[name], said)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q should not be there", name)
		}
	}
}

// filled is a folder with all that a workspace may hold.
func filled(t *testing.T, folder string) {
	t.Helper()
	long := strings.Repeat("a folder with a long name/", 12)
	for name, mode := range map[string]fs.FileMode{
		"plain": 0o644, "program": 0o755, "private/key": 0o600, "-rf": 0o644, "a\nline": 0o644, "größe": 0o644, "odd\xff": 0o644,
		"$(touch x)": 0o644, `back\slash`: 0o644, " blank ": 0o644, long + "file": 0o444, "*": 0o644,
	} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("of "+name), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.Symlink("plain", filepath.Join(folder, "link")), os.Symlink("/no/such", filepath.Join(folder, "nowhere")),
		os.Symlink(strings.Repeat("far/", 50), filepath.Join(folder, "far")), os.Mkdir(filepath.Join(folder, "empty"), 0o700),
		syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600), os.Chmod(filepath.Join(folder, "private"), 0o500),
		os.Chtimes(filepath.Join(folder, "plain"), time.Now(), time.Unix(-5, 0)),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(folder, "private"), 0o700) })
}

// shells are those that a pod may have, each with its tar.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"the machine's": {"sh"}}
	if path, err := exec.LookPath("busybox"); err == nil {
		all["busybox's"] = []string{path, "sh"}
	}
	return all
}

func TestFilesGoThereAndBackByTheShellsOwnMeans(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			place, folder, _ := room(t)
			filled(t, folder)
			there, spool := t.TempDir(), t.TempDir()
			control := filepath.Join(there, controlFolder)
			var archive bytes.Buffer
			p := packer{to: tar.NewWriter(&archive), uid: os.Getuid(), gid: os.Getgid()}
			env := tar.Header{Name: controlFolder + "/env", Typeflag: tar.TypeReg, Mode: 0o600}
			err := errors.Join(p.pack([]string{folder}), os.MkdirAll(control, 0o700))
			cut := archive.Len()
			if err := errors.Join(err, p.put(env, strings.NewReader("")), p.to.Close()); err != nil {
				t.Fatal(err)
			}
			in := func(script string) string { return strings.ReplaceAll(script, "cd /", "cd "+there) }
			take := func(from io.Reader) error {
				command := exec.Command(shell[0], append(shell[1:], "-c", in(takeScript), "sh", control, spool)...)
				command.Stdin = from
				return command.Run()
			}
			if err := take(bytes.NewReader(archive.Bytes()[:cut])); err == nil {
				t.Error("a stream that broke off between two files was taken")
			}
			if _, err := os.Stat(control + "/go"); err == nil {
				t.Error("and the script began")
			}
			if err := take(&archive); err != nil {
				t.Fatal(err)
			}
			want := tree(t, folder)
			delete(want, "pipe") // nothing to send
			want["plain"] = strings.Replace(want["plain"], "23:59:55", "00:00:00", 1)
			mustBeSame(t, tree(t, filepath.Join(there, folder)), want)
			for _, made := range []string{control + "/go", spool + "/output"} {
				if _, err := os.Stat(made); err != nil {
					t.Error(err)
				}
			}
			mustComeBack(t, append(shell, "-c", in(giveScript), "sh"), place, folder, filepath.Join(there, folder))
		})
	}
}

// mustComeBack changes what is there, and has it brought back.
func mustComeBack(t *testing.T, command []string, place, folder, there string) {
	t.Helper()
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(there, "private"), 0o700) })
	if err := errors.Join(
		os.Remove(filepath.Join(there, "plain")), os.RemoveAll(filepath.Join(there, "empty")), os.Remove(filepath.Join(there, "link")),
		os.Mkdir(filepath.Join(there, "link"), 0o750), os.WriteFile(filepath.Join(there, "link", "new"), []byte("new"), 0o640),
		os.Link(filepath.Join(there, "program"), filepath.Join(there, "second name")),
	); err != nil {
		t.Fatal(err)
	}
	give := exec.Command(command[0], append(command[1:], "."+folder, "./no/such")...)
	archive, err := give.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := unpack(bytes.NewReader(archive), []string{folder}, []string{place}); err != nil {
		t.Fatal(err)
	}
	mustBeSame(t, tree(t, folder), tree(t, there))
}

func TestAFolderThatWasRemovedIsEmptyAndAFileIsGone(t *testing.T) {
	place, folder, _ := room(t)
	cached, outputs := filepath.Join(place, "cached"), filepath.Join(place, "outputs")
	if err := errors.Join(os.MkdirAll(filepath.Join(cached, "deep"), 0o755), os.WriteFile(outputs, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	archive := tarOf(t, tar.Header{Name: folder + "/", Typeflag: tar.TypeDir})
	if err := unpack(archive, []string{folder, cached, outputs, filepath.Join(place, "never")}, []string{place}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(place); err != nil || len(left) != 2 { // the step's, and one to be filled
		t.Errorf("%v, %v", left, err)
	}
	if left, err := os.ReadDir(cached); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestATarThatBreaksOffRemovesNothing(t *testing.T) {
	place, folder, _ := room(t)
	if err := os.WriteFile(filepath.Join(folder, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	archive := tarOf(t, tar.Header{Name: folder + "/one", Typeflag: tar.TypeReg}, tar.Header{Name: folder + "/two", Typeflag: tar.TypeReg})
	for _, length := range []int{1024, 1100, 2048} { // with one file, in the second, before the mark
		if err := unpack(bytes.NewReader(archive.Bytes()[:length]), []string{folder}, []string{place}); err == nil {
			t.Errorf("%d bytes were taken for whole", length)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "mine")); err != nil {
		t.Error(err)
	}
}
