package forge

import (
	"errors"
	"fmt"
	"strings"
)

// maxPages is the most pages of a list that are read.
const maxPages = 100

// Pages reads a list page by page, from page 1. Read answers the page that follows, 0 where there is none.
func Pages(read func(page int) (next int, err error)) error {
	for page, count := 1, 0; page != 0; count++ {
		if count == maxPages {
			return fmt.Errorf("the list has more than %d pages", maxPages)
		}
		next, err := read(page)
		if err != nil {
			return err
		}
		page = next
	}
	return nil
}

// WhereShown answers what a call has told, or nothing where the token is not allowed to ask.
func WhereShown[T any](told []T, err error) ([]T, error) {
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return told, err
}

// SameKey says that two lines of authorized_keys are the same key, whatever stands behind it.
func SameKey(one, other string) bool {
	a, b := strings.Fields(one), strings.Fields(other)
	return len(a) >= 2 && len(b) >= 2 && a[0] == b[0] && a[1] == b[1]
}
