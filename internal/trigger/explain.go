package trigger

import (
	"errors"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// explain tells people what is wrong with a repository. CodeUnavailable says that the same call may succeed later.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*git.Error](err); ok && fault.Temporary() {
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
	} {
		if errors.Is(err, c.kind) {
			return wrap(c.code, err)
		}
	}
	return err
}

func wrap(code towpath.Code, err error) error {
	e := towpath.Errorf(code, "%s", err)
	e.Hint, e.Err = git.Hint(err), err
	return e
}
