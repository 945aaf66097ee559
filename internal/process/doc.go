// Package process starts commands and ends everything that they started.
//
// [Start] runs a command in a group of its own; when the command exits, or is stopped, whatever it left behind is
// killed as well, and [Process.Wait] returns only then. What "everything" means depends on the platform:
//
//   - Linux with a writable cgroup of version 2 (root, or a delegated unit): every descendant, without exception.
//     The process is born inside the cgroup, so that there is no moment in which a child could slip away.
//   - Linux otherwise: every descendant that still belongs to the session, or carries the group's marker in its
//     environment, or is the child of one that does. Only a daemon that leaves the session, is adopted by init
//     and overwrites its environment escapes.
//   - macOS: the process group. A daemon that makes its own session escapes.
//   - Windows: the job object, thus every descendant.
//
// An [Identity] names a process for good: a process identifier together with the moment it started, so that one
// which was used again is never taken for the first. [Adopt] takes over a process that somebody else started.
package process
