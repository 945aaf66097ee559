//go:build unix

package worker

// platformVariables are those of the worker's own without which nothing runs.
func platformVariables() []string { return []string{"PATH"} }

func folderVariables(home, temporary string) map[string]string {
	return map[string]string{"HOME": home, "TMPDIR": temporary}
}
