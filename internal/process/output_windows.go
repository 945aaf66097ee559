package process

import "os"

// rest returns nothing: the job leaves nobody who could hold a pipe open, and pipes have no deadlines here.
func rest(*os.File) []byte { return nil }
