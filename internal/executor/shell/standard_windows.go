package shell

// standard is Windows PowerShell, which every Windows has.
func standard() command {
	c, _ := known("powershell")
	return c
}
