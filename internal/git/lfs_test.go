//go:build unix

package git_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// large commits a file that git-lfs keeps apart.
func (u *upstream) large(content string) string {
	u.t.Helper()
	if out, err := exec.Command("git", "lfs", "version").CombinedOutput(); err != nil {
		u.t.Fatalf("%v %s (install git-lfs)", err, out)
	}
	u.git("lfs", "install", "--local")
	u.git("lfs", "track", "*.bin")
	return u.commit("big.bin", content, "large")
}

func TestLargeFilesAreThereWhenTheyAreAskedFor(t *testing.T) {
	up := newUpstream(t)
	head := up.large("a large file")
	s := newShelf(t)
	for range 2 { // the second time they are beside the mirror
		dir := must(s.checkOut(up.dir, git.Checkout{Revision: head, LFS: true}))(t)
		if _, err := os.Stat(filepath.Join(dir, ".git", "lfs")); err == nil {
			t.Error("a script could write through what git-lfs has linked")
		}
		if got := readFile(t, dir, "big.bin"); got != "a large file" {
			t.Errorf("the file holds %q", got)
		}
		if status := runGit(t, dir, "status", "--porcelain"); status != "" {
			t.Errorf("git says %q", status)
		}
		if err := os.RemoveAll(filepath.Join(up.dir, ".git", "lfs", "objects")); err != nil {
			t.Fatal(err)
		}
	}
	dir := must(s.checkOut(up.dir, git.Checkout{Revision: head}))(t)
	if got := readFile(t, dir, "big.bin"); !strings.HasPrefix(got, "version https://git-lfs") {
		t.Errorf("not asked for, the file holds %q", got)
	}
}

// serveLFS answers as git-lfs's API asks for ("Batch API"), to whoever knows the password.
func (u *upstream) serveLFS(user, password string) *httptest.Server {
	home := u.serve(user, password)
	mux := http.NewServeMux()
	mux.Handle("/", home.Config.Handler)
	server := httptest.NewServer(mux)
	u.t.Cleanup(server.Close)
	mux.HandleFunc("POST /shop.git/info/lfs/objects/batch", func(w http.ResponseWriter, r *http.Request) {
		if name, pass, _ := r.BasicAuth(); name != user || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="lfs"`)
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		var asked struct{ Objects []map[string]any }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			u.t.Error(err)
		}
		for _, o := range asked.Objects {
			o["actions"] = map[string]any{"download": map[string]any{"href": server.URL + "/large/" + o["oid"].(string)}}
		}
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		if err := json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": asked.Objects}); err != nil {
			u.t.Error(err)
		}
	})
	mux.HandleFunc("GET /large/{oid}", func(w http.ResponseWriter, r *http.Request) {
		oid := r.PathValue("oid")
		http.ServeFile(w, r, filepath.Join(u.dir, ".git", "lfs", "objects", oid[:2], oid[2:4], oid))
	})
	return server
}

func TestLargeFilesAreFetchedWithTheRepositorysCredentials(t *testing.T) {
	up := newUpstream(t)
	head := up.large("a large file")
	server := up.serveLFS("bot", "s3cr3t")
	s, a := newShelf(t), git.Access{User: "bot", Password: "s3cr3t"}
	dir := must(s.checkOut(server.URL+"/shop", git.Checkout{Revision: head, LFS: true, Access: a}))(t)
	if got := readFile(t, dir, "big.bin"); got != "a large file" {
		t.Errorf("the file holds %q", got)
	}
	wantNowhere(t, "s3cr3t", dir, s.dir)

	up.write(".lfsconfig", "[lfs]\n\turl = file://"+up.dir+"\n")
	head = up.commit("b", "2", "large files of the worker's disk")
	if _, err := newShelf(t).checkOut(server.URL+"/shop", git.Checkout{Revision: head, LFS: true, Access: a}); !errors.Is(err, git.ErrProtocol) {
		t.Errorf("a folder of this machine: %v", err)
	}
}

func TestWithoutGitLFSLargeFilesAreRefusedWithAReason(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	without := filepath.Join(t.TempDir(), "git")
	script := "#!/bin/sh\ncase \" $* \" in *\" lfs \"*) echo \"git: 'lfs' is not a git command. See 'git --help'.\" >&2; exit 1 ;; esac\nexec git \"$@\"\n"
	if err := os.WriteFile(without, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	m := must(must(git.New(git.Options{Program: without}))(t).Open(filepath.Join(t.TempDir(), "m.git"), up.dir))(t)
	if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "work")
	if err := m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir, LFS: true}); !errors.Is(err, git.ErrNoLFS) {
		t.Errorf("without git-lfs: %v", err)
	}
}
