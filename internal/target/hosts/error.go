package hosts

import (
	"errors"
	"strings"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// grade orders the kinds of errors that package deploy knows by how grave they are.
type grade int

const (
	gradeNone      grade = iota
	gradeRetryable       // it did not happen, and may
	gradeUnknown         // nobody knows
	gradePermanent       // trying again mends nothing
	gradeStale           // another keeper has taken over
)

func gradeOf(err error) grade {
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	var unknown *deploy.UnknownOutcome
	var again *deploy.Retryable
	switch {
	case err == nil:
		return gradeNone
	case errors.As(err, &stale):
		return gradeStale
	case errors.As(err, &permanent):
		return gradePermanent
	case errors.As(err, &unknown):
		return gradeUnknown
	case errors.As(err, &again):
		return gradeRetryable
	}
	return gradeUnknown
}

// joined makes one error of what several hosts said, of the gravest kind among them.
func joined(failures []error) error {
	var said, log []string
	gravest := gradeNone
	for _, err := range failures {
		g := gradeOf(err)
		gravest = max(gravest, g)
		switch g {
		case gradeNone:
			continue
		case gradeStale:
			return err
		case gradePermanent:
			if permanent, is := errors.AsType[*deploy.Permanent](err); is {
				log = append(log, permanent.Log...)
			}
		case gradeUnknown:
			if unknown, is := err.(*deploy.UnknownOutcome); is { //nolint:errorlint // the whole says once that it is unknown
				err = unknown.Err
			}
		}
		said = append(said, err.Error())
	}
	all := errors.New(strings.Join(said, "; "))
	switch gravest {
	case gradeNone:
		return nil
	case gradeRetryable:
		return &deploy.Retryable{Err: all}
	case gradePermanent:
		return &deploy.Permanent{Err: all, Log: log}
	}
	return &deploy.UnknownOutcome{Err: all}
}
