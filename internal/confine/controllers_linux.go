package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ownLeaf is where this process goes in version 2, in which a group has processes or limited groups, and never both
// (cgroup-v2.rst, "No Internal Process Constraint"). A unit of systemd may put it there itself (DelegateSubgroup=).
const ownLeaf = "towpath-main"

// findControllers answers in which folders groups can be made: of version 1 where that has the controllers, else of 2.
func findControllers() (map[string]string, error) {
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("%w: no control groups: %w", ErrUnsupported, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("%w: no control groups: %w", ErrUnsupported, err)
	}
	if folders := controllersOf1(string(membership), string(mounts)); len(folders) == len(controllers) {
		return folders, nil
	}
	own, ok := folderOf2(string(membership), string(mounts))
	if !ok {
		return nil, fmt.Errorf("%w: no control groups with the controllers %s are mounted", ErrUnsupported, strings.Join(controllers, ", "))
	}
	parent, err := delegate(own)
	if err != nil {
		return nil, fmt.Errorf("%w: this process may not limit control groups below %s (Delegate=yes in a unit of systemd gives it that): %w", ErrUnsupported, own, err)
	}
	return map[string]string{"": parent}, nil
}

// controllersOf1 reads the formats of cgroups(7) and proc_pid_mountinfo(5).
func controllersOf1(membership, mounts string) map[string]string {
	folders := map[string]string{}
	for line := range strings.Lines(membership) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			if !slices.Contains(controllers, controller) {
				continue
			}
			if dir, ok := folderIn(mounts, "cgroup", controller, fields[2]); ok {
				folders[controller] = dir
			}
		}
	}
	return folders
}

func folderOf2(membership, mounts string) (string, bool) {
	for line := range strings.Lines(membership) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return folderIn(mounts, "cgroup2", "", path)
		}
	}
	return "", false
}

// folderIn is where a group's path is to be found, in the first mount of a kind that shows it.
func folderIn(mounts, kind, option, path string) (string, bool) {
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		fields, of := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(of) < 3 || of[0] != kind {
			continue
		}
		if option != "" && !slices.Contains(strings.Split(of[2], ","), option) {
			continue
		}
		if relative, err := filepath.Rel(fields[3], path); err == nil && filepath.IsLocal(relative) {
			return filepath.Join(fields[4], relative), true
		}
	}
	return "", false
}

// delegate makes room in version 2 for groups with limits, and answers below which.
func delegate(own string) (string, error) {
	if filepath.Base(own) == ownLeaf {
		own = filepath.Dir(own)
	}
	offered, err := os.ReadFile(filepath.Join(own, "cgroup.controllers"))
	if err != nil {
		return "", err
	}
	for _, controller := range controllers {
		if !slices.Contains(strings.Fields(string(offered)), controller) {
			return "", fmt.Errorf("the controller %s is not offered", controller)
		}
	}
	control := filepath.Join(own, "cgroup.subtree_control")
	wish := []byte("+" + strings.Join(controllers, " +"))
	if os.WriteFile(control, wish, 0) == nil { // it is the topmost, or has no processes
		return own, nil
	}
	if err := moveOut(own); err != nil {
		return "", err
	}
	return own, os.WriteFile(control, wish, 0)
}

// moveOut brings all processes of a group into its leaf.
func moveOut(own string) error {
	leaf := filepath.Join(own, ownLeaf)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	inside, err := os.ReadFile(filepath.Join(own, "cgroup.procs"))
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(string(inside)) {
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(pid), 0); err != nil {
			return err
		}
	}
	return nil
}
