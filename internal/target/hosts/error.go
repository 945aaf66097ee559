package hosts

import (
	"errors"
	"strings"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// kindOf answers the error of a kind that package deploy knows; nil where there is none.
func kindOf(err error) error {
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	var unknown *deploy.UnknownOutcome
	var again *deploy.Retryable
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stale):
		return stale
	case errors.As(err, &permanent):
		return permanent
	case errors.As(err, &unknown):
		return unknown
	case errors.As(err, &again):
		return again
	}
	return &deploy.UnknownOutcome{Err: err}
}

// joined makes one error of what several hosts said. Its kind is the gravest: a keeper that is too late, then what trying
// again does not mend, then what nobody knows.
func joined(failures []error) error {
	var said, log []string
	gravest := 0
	for _, err := range failures {
		switch kind := kindOf(err).(type) {
		case nil:
			continue
		case *deploy.StaleEpoch:
			return kind
		case *deploy.Permanent:
			gravest, log = max(gravest, 3), append(log, kind.Log...)
		case *deploy.UnknownOutcome:
			gravest = max(gravest, 2)
		default:
			gravest = max(gravest, 1)
		}
		said = append(said, err.Error())
	}
	all := errors.New(strings.Join(said, "; "))
	switch gravest {
	case 3:
		return &deploy.Permanent{Err: all, Log: log}
	case 2:
		return &deploy.UnknownOutcome{Err: all}
	case 1:
		return &deploy.Retryable{Err: all}
	}
	return nil
}
