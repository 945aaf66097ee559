//go:build unix

package artifact

import "syscall"

// noFollow makes open fail on a link, and not wait on a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
