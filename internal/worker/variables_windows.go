package worker

// platformVariables are those of the worker's own without which nothing runs.
func platformVariables() []string {
	return []string{
		"PATH", "PATHEXT", "COMSPEC", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PROGRAMFILES", "PROGRAMDATA",
		"PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS", "OS",
	}
}

func folderVariables(home, temporary string) map[string]string {
	return map[string]string{"HOME": home, "USERPROFILE": home, "TEMP": temporary, "TMP": temporary, "TMPDIR": temporary}
}
