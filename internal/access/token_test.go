package access_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

func (h *house) newToken(of string, r access.TokenRequest) string {
	h.Helper()
	text, err := h.guard.NewToken(h.Context(), h.caller(of), r)
	if err != nil {
		h.Fatal(err)
	}
	return text
}

func TestATokenMayNoMoreThanItsScope(t *testing.T) {
	h := newHouse(t)
	ada := h.exchange(h.link(access.Person{
		Name: "ada", Roles: map[string]access.Role{"mine": access.RoleMaintainer, "theirs": access.RoleMaintainer},
	}))
	ci := h.newToken(ada, access.TokenRequest{
		Name: "ci", Project: "mine", Permissions: []access.Permission{access.StartRun}, Expires: h.now.Add(time.Hour),
	})
	admin := h.exchange(h.link(access.Person{Name: "root", Administrator: true}))
	limited := h.newToken(admin, access.TokenRequest{Name: "mine", Project: "mine"})
	for _, c := range []struct {
		name, credential, route, project string
		want                             towpath.Code
	}{
		{"what it is for", ci, "POST /api/v1/projects/{project}/runs", "mine", ""},
		{"something else", ci, "DELETE /api/v1/projects/{project}", "mine", towpath.CodeForbidden},
		{"reading", ci, "GET /api/v1/projects/{project}", "mine", towpath.CodeForbidden},
		{"another project", ci, "POST /api/v1/projects/{project}/runs", "theirs", towpath.CodeNotFound},
		{"an administrator's, in its project", limited, "DELETE /api/v1/projects/{project}", "mine", ""},
		{"an administrator's, in another", limited, "GET /api/v1/projects/{project}", "theirs", towpath.CodeNotFound},
		{"an administrator's, on the server", limited, "GET /api/v1/accounts", "", towpath.CodeForbidden},
	} {
		r := bearer(c.credential)
		r.SetPathValue("project", c.project)
		_, err := h.guard.Admit(r, routeNamed(t, c.route))
		wantCode(t, c.name, err, c.want)
	}
	h.now = h.now.Add(time.Hour)
	_, err := h.admit("GET /api/v1/me", ci)
	wantCode(t, "an expired token", err, towpath.CodeUnauthorized)
}

func TestATokenLosesWhatItsAccountLoses(t *testing.T) {
	h := newHouse(t)
	token := h.token("ada", access.RoleDeployer)
	_, err := h.admit("POST /api/v1/environments/{pipeline}/{environment}/deploy", token)
	wantCode(t, "as a deployer", err, "")
	h.link(access.Person{Name: "ada", Roles: map[string]access.Role{"mine": access.RoleViewer}})
	_, err = h.admit("POST /api/v1/environments/{pipeline}/{environment}/deploy", token)
	wantCode(t, "as a viewer", err, towpath.CodeForbidden)
	h.update(func(tx *store.Tx) error {
		a, err := tx.AccountByName("ada")
		if err != nil {
			return err
		}
		return tx.DeleteAccount(a.ID)
	})
	_, err = h.admit("GET /api/v1/me", token)
	wantCode(t, "after the account's end", err, towpath.CodeUnauthorized)
}

func TestATokenWithAScopeMakesNoOthers(t *testing.T) {
	h := newHouse(t)
	ada := h.token("ada", access.RoleMaintainer)
	ci := h.caller(h.newToken(ada, access.TokenRequest{Name: "ci", Permissions: []access.Permission{access.StartRun}}))
	_, err := h.guard.NewToken(t.Context(), ci, access.TokenRequest{Name: "wider"})
	wantCode(t, "a wider token", err, towpath.CodeForbidden)
	wantCode(t, "ending another", h.guard.RemoveToken(t.Context(), ci, "laptop"), towpath.CodeForbidden)
	wantCode(t, "ending itself", h.guard.RemoveToken(t.Context(), ci, "ci"), "")
	_, err = h.guard.NewToken(t.Context(), h.caller(ada), access.TokenRequest{Name: "other", Project: "theirs"})
	wantCode(t, "a token for a hidden project", err, towpath.CodeNotFound)
}

func TestRolesComeFromGroupsAndFromEveryProject(t *testing.T) {
	h := newHouse(t)
	ada, bob := h.token("ada", ""), h.token("bob", "")
	h.update(func(tx *store.Tx) error {
		return access.PutGroup(tx, access.Team{
			Name: "ops", Members: []string{"ada"}, Roles: map[string]access.Role{"*": access.RoleDeployer},
		}, h.now)
	})
	caller := h.caller(ada)
	if diff := cmp.Diff([]string{"p1", "p2"}, caller.Projects([]string{"p1", "p2"})); diff != "" {
		t.Errorf("what ada sees (-want +got):\n%s", diff)
	}
	if !caller.IsAmong([]string{"ops"}) || !caller.IsAmong([]string{"ada"}) || caller.IsAmong([]string{"bob"}) {
		t.Error("ada is not who she is")
	}
	if h.caller(h.owner).IsAmong([]string{"owner"}) {
		t.Error("the owner's token decides for an account of that name")
	}
	if seen := h.caller(bob).Projects([]string{"p1", "p2"}); len(seen) != 0 {
		t.Errorf("bob sees %v", seen)
	}
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := access.PutAccount(tx, access.Person{Name: "ops"}, h.now)
		return err
	})
	wantCode(t, "an account with a group's name", err, towpath.CodeConflict)
}

func TestAWorkerRegistersOnceByItsTokenAndLosesItsOldKey(t *testing.T) {
	h := newHouse(t)
	token, _, err := h.guard.NewRegistration(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	w := towpath.Worker{ID: "machine", Name: "north-1", OS: "linux", Arch: "arm64"}
	old, err := h.guard.RegisterWorker(t.Context(), token, w)
	wantCode(t, "the first time", err, "")
	_, err = h.guard.RegisterWorker(t.Context(), token, w)
	wantCode(t, "the second time", err, towpath.CodeUnauthorized)

	again, _, err := h.guard.NewRegistration(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.guard.RegisterWorker(t.Context(), again, w)
	wantCode(t, "with a new token", err, "")
	_, err = h.admit("POST /api/v1/worker/lease", old)
	wantCode(t, "the old key", err, towpath.CodeUnauthorized)
}

func TestTheOwnersTokenIsInAFileThatOnlyTheyCanRead(t *testing.T) {
	folder := t.TempDir()
	first, err := access.OwnerToken(folder)
	if err != nil {
		t.Fatal(err)
	}
	again, err := access.OwnerToken(folder)
	if again != first || err != nil {
		t.Errorf("the second start has another token: %v", err)
	}
	path := filepath.Join(folder, "owner.token")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := access.OwnerToken(folder); err == nil {
			t.Error("a token that others can read is taken")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if anew, err := access.OwnerToken(folder); anew == first || err != nil {
		t.Errorf("a missing token was not made anew: %v", err)
	}
}
