package executor

import (
	"fmt"
	"strconv"
	"time"
)

// MemoryMet says for people that processes were killed for the memory that they used; limit is in bytes, 0 where it was the
// machine's.
func MemoryMet(limit int64) string {
	if limit == 0 {
		return "a process was killed: the memory was used up"
	}
	return "a process was killed: memory limit " + sizeInWords(limit) + " reached"
}

// ProcessesMet says that no more processes could be started.
func ProcessesMet(limit int) string {
	return fmt.Sprintf("a process could not be started: limit of %d processes and threads reached", limit)
}

// CPUsMet says that processes waited, all together so long, for processors' time that they might not use.
func CPUsMet(limit float64, held time.Duration) string {
	return fmt.Sprintf("its processes were held back for %s: limit of %s processors reached",
		Words(held.Round(time.Second)), strconv.FormatFloat(limit, 'g', -1, 64))
}

func sizeInWords(bytes int64) string {
	value, unit := float64(bytes)/1e6, "MB"
	if bytes >= 1e9 {
		value, unit = value/1000, "GB"
	}
	return strconv.FormatFloat(value, 'g', 4, 64) + " " + unit
}
