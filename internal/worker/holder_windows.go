package worker

import "io/fs"

// holderOf is -1: steps have no users of their own here.
func holderOf(fs.FileInfo) int { return -1 }

func linksOf(fs.FileInfo) uint64 { return 1 }
