// Package report reads what tests came to from the files that test runners leave. What is in such a file may come from
// anyone: however large, deep or broken it is, reading it takes bounded memory, and ends.
package report

import (
	"errors"

	"github.com/towpath-cd/towpath"
)

// ErrMalformed says that a file is no report, or that it is cut, or beyond what is read.
var ErrMalformed = errors.New("malformed report")

// Limits bound what is read of one file. Zero values are the defaults.
type Limits struct {
	Bytes   int64 // of the file; 256 MB
	Results int   // that are answered; those beyond are counted. 20,000
	Depth   int   // of elements inside each other; 64
	Output  int   // bytes that are kept of what a failed test said: the end; 4 KiB
	Message int   // bytes that are kept of a message, and of a name: the beginning; 1 KiB
}

func (l Limits) withDefaults() Limits {
	for _, field := range []struct {
		value    *int
		standard int
	}{{&l.Results, 20_000}, {&l.Depth, 64}, {&l.Output, 4 << 10}, {&l.Message, 1 << 10}} {
		if *field.value == 0 {
			*field.value = field.standard
		}
	}
	if l.Bytes == 0 {
		l.Bytes = 256e6
	}
	return l
}

// Read is what was read of one file.
type Read struct {
	Results []towpath.TestResult
	LeftOut int // results beyond the limit
}
