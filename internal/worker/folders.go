package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// folders is where things stand in the data folder of a worker.
type folders struct {
	base      string // holds all of them
	lock      string // held while the worker runs
	leases    string // a folder a step that is not yet delivered
	work      string // a workspace a place
	trash     string // workspaces on their way out
	homes     string // HOME of each pipeline
	mirrors   string // bare repositories
	artifacts string // for later steps
	access    string // credentials of repositories, while git uses them
	beside    string // a file for each attempt beside which something stands
	secrets   string // of steps, as files, where the machine has no folder in memory; made when it is needed
}

func openFolders(dir string) (folders, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return folders{}, fmt.Errorf("open the worker's data folder: %w", err)
	}
	f := folders{
		base:      absolute,
		lock:      filepath.Join(absolute, "worker.lock"),
		leases:    filepath.Join(absolute, "leases"),
		work:      filepath.Join(absolute, "work"),
		trash:     filepath.Join(absolute, "trash"),
		homes:     filepath.Join(absolute, "homes"),
		mirrors:   filepath.Join(absolute, "mirrors"),
		artifacts: filepath.Join(absolute, "artifacts"),
		access:    filepath.Join(absolute, "access"),
		beside:    filepath.Join(absolute, "beside"),
		secrets:   filepath.Join(absolute, "secrets"),
	}
	for _, sub := range []string{f.leases, f.work, f.trash, f.homes, f.mirrors, f.artifacts, f.beside} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return f, fmt.Errorf("make the worker's data folder: %w", err)
		}
	}
	return f, nil
}

// place is the folder of a workspace.
func (f folders) place(n int) string { return filepath.Join(f.work, strconv.Itoa(n+1)) }
