package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"time"
)

// The goals of reading: ms for a line wherever it stands, and MB that the server may grow by meanwhile.
const (
	lineGoal   = 50
	growthGoal = 50
)

// measureReading reads the last round's log from a server that was started anew, and knows nothing of it.
func (l *logs) measureReading(ctx context.Context) ([]Figure, error) {
	l.say("log: reading")
	if err := errors.Join(l.worker.end(), l.end()); err != nil {
		return nil, err
	}
	var err error
	if l.server, err = l.startServer(ctx, "--no-worker"); err != nil {
		return nil, err
	}
	if _, err := l.Run(ctx, l.log.Pipeline, l.log.Run); err != nil {
		return nil, err
	}
	memory := watchMemory(l.pid())
	lines, wrong, err := l.randomLines(ctx)
	if err != nil {
		return nil, err
	}
	searched, searching, err := l.search(ctx)
	if err != nil {
		return nil, err
	}
	mistakes, err := l.whole(ctx)
	if err != nil {
		return nil, err
	}
	growth, err := memory.growth()
	if err != nil {
		return nil, err
	}
	size, err := l.onDisk()
	return []Figure{
		{Name: "any line, median", Ours: median(lines), Unit: "ms", Goal: AtMost(lineGoal)},
		{Name: "any line, longest", Ours: quantile(lines, 1), Unit: "ms", Goal: AtMost(lineGoal)},
		{Name: "a text that stands once", Ours: searched, Unit: "ms", Reference: "grep in the plain file", Limit: searching},
		{Name: "the server's memory, reading and searching, grows by", Ours: growth, Unit: "MB", Goal: AtMost(growthGoal)},
		{Name: "lines that are missing, wrong or show a secret", Ours: float64(wrong + mistakes), Unit: "lines", Goal: AtMost(0)},
		{Name: "on the server's disk", Ours: size[0], Unit: "MB", Reference: "plain file", Limit: size[1]},
	}, err
}

// randomLines asks for one line after the other, in ms.
func (l *logs) randomLines(ctx context.Context) (times []float64, wrong int, err error) {
	for range l.rounds(500, 200) {
		number := rand.Int64N(logLines)
		began := time.Now()
		answer, err := l.LogLines(ctx, l.log, number+1, 1)
		if err != nil {
			return nil, 0, err
		}
		times = append(times, milliseconds(time.Since(began)))
		if len(answer.Lines) != 1 || !bytes.HasPrefix([]byte(answer.Lines[0].Text), fmt.Appendf(nil, "%08d ", number)) {
			wrong++
		}
	}
	return times, wrong, nil
}

// search looks for a line on both sides, several times, in ms.
func (l *logs) search(ctx context.Context) (ours, reference float64, err error) {
	var found, grepped []float64
	for i := range l.rounds(10, 5) {
		text := fmt.Sprintf("%08d compiling", logLines-1-i*1234)
		began := time.Now()
		answer, err := l.SearchLog(ctx, l.log, text, 1, 10)
		if err == nil && len(answer.Lines) != 1 {
			err = fmt.Errorf("%d lines have %q", len(answer.Lines), text)
		}
		if err != nil {
			return 0, 0, err
		}
		found = append(found, milliseconds(time.Since(began)))
		began = time.Now()
		if out, err := exec.CommandContext(ctx, "grep", "-n", "-F", text, l.plain).Output(); err != nil || bytes.Count(out, []byte("\n")) != 1 {
			return 0, 0, errors.Join(err, fmt.Errorf("grep found %q", out))
		}
		grepped = append(grepped, milliseconds(time.Since(began)))
	}
	return median(found), median(grepped), nil
}

// whole reads the whole log, and counts what is not as it was printed.
func (l *logs) whole(ctx context.Context) (mistakes int, err error) {
	body, err := l.Log(ctx, l.log)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	lines, number := bufio.NewScanner(body), 0
	for ; lines.Scan(); number++ {
		line := lines.Bytes()
		if !bytes.HasPrefix(line, fmt.Appendf(nil, "%08d ", number)) || bytes.Contains(line, []byte("never-to-be-seen")) ||
			number%secretEach == 0 && !bytes.HasSuffix(line, []byte(" the key is ***")) {
			mistakes++
		}
	}
	return mistakes + max(logLines-number, number-logLines), lines.Err()
}

// onDisk is what the log and the plain file take, in MB.
func (l *logs) onDisk() (size [2]float64, err error) {
	run, err := l.Run(context.Background(), l.log.Pipeline, l.log.Run)
	if err != nil {
		return size, err
	}
	entries, err := os.ReadDir(l.path("server", "logs", "r-"+run.ID))
	if err != nil {
		return size, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return size, err
		}
		size[0] += float64(info.Size()) / 1e6
	}
	info, err := os.Stat(l.plain)
	if err != nil {
		return size, err
	}
	size[1] = float64(info.Size()) / 1e6
	return size, nil
}

// memoryWatch looks at a process's memory all the time.
type memoryWatch struct {
	stop        chan struct{}
	done        sync.WaitGroup
	first, most float64
	failed      error
}

func watchMemory(pid int) *memoryWatch {
	w := &memoryWatch{stop: make(chan struct{})}
	w.first, w.failed = anonymous(pid)
	w.done.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			now, err := anonymous(pid)
			if err != nil {
				w.failed = err
				return
			}
			w.most = max(w.most, now)
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
		}
	})
	return w
}

// growth ends the watch, and answers how much more it has been than at the beginning, in MB.
func (w *memoryWatch) growth() (float64, error) {
	close(w.stop)
	w.done.Wait()
	return w.most - w.first, w.failed
}
