//go:build unix

package secret

import "io/fs"

func isExposed(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
