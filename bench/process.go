package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endTime is how long a process may take to end when it is asked to.
const endTime = 15 * time.Second

// clockTick is the unit of CPU times in /proc (proc_pid_stat(5); USER_HZ is 100 on every architecture we build for).
const clockTick = 10 * time.Millisecond

// process is one that was started here.
type process struct {
	command *exec.Cmd
	output  *bufio.Reader
	log     string // path of the file with its errors
	ended   chan struct{}
}

func startProcess(log, dir string, env, command []string) (*process, error) {
	complaints, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer complaints.Close()
	p := &process{command: exec.Command(command[0], command[1:]...), log: log, ended: make(chan struct{})}
	p.command.Dir, p.command.Env, p.command.Stderr = dir, append(os.Environ(), env...), complaints
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.output = bufio.NewReader(output)
	go func() {
		_, _ = p.command.Process.Wait()
		close(p.ended)
	}()
	return p, nil
}

// firstLine waits for the first line of its output. All that comes later is read and forgotten.
func (p *process) firstLine() (string, error) {
	line, err := p.output.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s ended before it was ready: %s", filepath.Base(p.command.Path), p.lastWords())
	}
	go func() { _, _ = io.Copy(io.Discard, p.output) }()
	return strings.TrimSpace(line), nil
}

// lastWords are the end of what it complained of.
func (p *process) lastWords() string {
	text, _ := os.ReadFile(p.log)
	return string(bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

func (p *process) pid() int { return p.command.Process.Pid }

// end asks the process to end, and kills it when that takes too long. It may have ended before.
func (p *process) end() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return p.kill()
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(endTime):
	}
	return errors.Join(fmt.Errorf("%s did not end within %s", p.command.Path, endTime), p.kill())
}

// kill ends it at once.
func (p *process) kill() error {
	err := p.command.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// cpu is the CPU time that a process has used, with that of the children it has waited for.
func cpu(pid int) (time.Duration, error) {
	text, err := os.ReadFile(inProc(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("read CPU times, which needs Linux: %w", err)
	}
	// The second field is a name that may hold anything, in brackets; utime is the twelfth after it.
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("read CPU times: %d fields", len(fields))
	}
	var ticks int64
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU times: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// anonymous is the memory of a process that no file stands behind, in MB (10⁶ bytes).
func anonymous(pid int) (float64, error) {
	text, err := os.ReadFile(inProc(pid, "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory, which needs Linux: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kibibytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kibibytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("process %d has no RssAnon", pid)
}

func inProc(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// allIn answers the processes that a folder is in the command line of, or that work in it. Only those of a benchmark
// have anything to do with its folder.
func allIn(dir string) map[int][]string {
	found := map[int][]string{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		command, _ := os.ReadFile(inProc(pid, "cmdline"))
		place, _ := os.Readlink(inProc(pid, "cwd"))
		if bytes.Contains(command, []byte(dir)) || strings.HasPrefix(place, dir) {
			found[pid] = strings.Split(string(bytes.TrimRight(command, "\x00")), "\x00")
		}
	}
	return found
}

// endAllIn kills what was left running on purpose: holders of sockets, supervisors and their instances.
func endAllIn(dir string) error {
	deadline := time.Now().Add(endTime)
	for {
		left := allIn(dir)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the benchmark do not end: %v", len(left), left)
		}
		for pid := range left {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		<-time.After(10 * time.Millisecond)
	}
}
