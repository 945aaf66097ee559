package access

// checkPrivate finds nothing to check: the file has the rights of the data folder, which is the owner's.
func checkPrivate(string) error { return nil }
