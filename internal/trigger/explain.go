package trigger

import (
	"errors"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// explain tells people what is wrong with a repository that is watched.
func explain(err error) error {
	if isTemporary(err) {
		e := wrap(towpath.CodeUnavailable, err)
		e.Hint = strings.TrimSpace(e.Hint + " It is asked again by itself")
		return e
	}
	return explainOnce(err)
}

func isTemporary(err error) bool {
	fault, ok := errors.AsType[*git.Error](err)
	return ok && fault.Temporary()
}

// explainOnce tells people what is wrong with a repository. CodeUnavailable says that the same call may succeed later.
func explainOnce(err error) error {
	if err == nil {
		return nil
	}
	if isTemporary(err) {
		return wrap(towpath.CodeUnavailable, err)
	}
	for _, c := range []struct {
		kind error
		code towpath.Code
	}{
		{git.ErrNotFound, towpath.CodeNotFound},
		{git.ErrRefused, towpath.CodeForbidden},
		{git.ErrHostUnknown, towpath.CodeForbidden},
		{git.ErrHostChanged, towpath.CodeForbidden},
		{git.ErrProtocol, towpath.CodeInvalid},
		{git.ErrUnsafe, towpath.CodeInvalid},
		{git.ErrTooLarge, towpath.CodeInvalid},
		{git.ErrPartial, towpath.CodeInvalid},
	} {
		if errors.Is(err, c.kind) {
			return wrap(c.code, err)
		}
	}
	return err
}

func wrap(code towpath.Code, err error) *towpath.Error {
	e := towpath.Errorf(code, "%s", err)
	e.Hint, e.Err = git.Hint(err), err
	return e
}
