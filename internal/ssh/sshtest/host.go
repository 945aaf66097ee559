//go:build linux

// Package sshtest has hosts for tests: each a real sshd at an address of its own on loopback, which sees a folder of its own
// where others see theirs, and whose processes end with it.
package sshtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long something may take to come up on a machine that is busy.
const patience = time.Minute

// T is what a test or a benchmark has to have.
type T interface {
	Helper()
	Cleanup(func())
	Fatal(...any)
	Fatalf(string, ...any)
}

// Lab is a user's home with a key, and hosts that let its holder in.
type Lab struct {
	t    T
	Home string // its .ssh has id_ed25519, known_hosts and config
	Root string // the folder that each host sees as its own
	net  [2]byte
	last atomic.Uint32
}

// New makes a home. The key is made by ssh-keygen.
func New(t T) *Lab {
	t.Helper()
	l := &Lab{t: t, Home: folder(t), Root: filepath.Join(folder(t), "srv")}
	if _, err := rand.Read(l.net[:]); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(l.Home, ".ssh"), l.Root} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	Keygen(t, l.File("id_ed25519"))
	l.Write("known_hosts", "")
	return l
}

// folder is a temporary one that is removed also where a host that is killed still holds files in it.
func folder(t T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ssh-") // short: a socket may stand in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Keygen makes a key without a passphrase, or with the one that is given.
func Keygen(t T, path string, passphrase ...string) {
	t.Helper()
	_ = os.Remove(path)
	Do(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", strings.Join(passphrase, ""), "-C", "test", "-f", path)
}

// Do runs a program to its end.
func Do(t T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s (install openssh-server)", name, err, out)
	}
	return string(out)
}

// File is one of the user's .ssh.
func (l *Lab) File(name string) string { return filepath.Join(l.Home, ".ssh", name) }

// Read answers what is in one.
func (l *Lab) Read(name string) string {
	l.t.Helper()
	content, err := os.ReadFile(l.File(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(content)
}

// Write replaces one.
func (l *Lab) Write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.File(name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// Setting is how a host differs from the plain one.
type Setting struct {
	SSHD     string // more lines of its sshd_config
	Size     string // of a disk of its own for Root, such as "4m"; empty is the machine's
	Stranger bool   // the user has not seen its key yet
	Login    string // one more user, who is let in as root is, and whose Root is; of LoginID. Another one is called Other
	Sudo     string // lines of its sudoers
	Busybox  bool   // busybox is all that there is of programs, beside sshd and what Debian's busybox leaves out: comm and flock
}

// LoginID is the user and the group of a Setting's Login.
const LoginID = 41414

// Other is a user, and a group, who is let in by nobody; of OtherID. A host has it beside a Login.
const (
	Other   = "other"
	OtherID = 41415
)

// Host is a machine of a Lab.
type Host struct {
	t       T
	lab     *Lab
	setting Setting
	dir     string
	IP      string
	Port    string
	process *exec.Cmd
}

// Host starts one.
func (l *Lab) Host(s Setting) *Host {
	l.t.Helper()
	n := l.last.Add(1)
	h := &Host{
		t: l.t, lab: l, setting: s, dir: folder(l.t),
		IP: fmt.Sprintf("127.%d.%d.%d", 1+l.net[0]%254, l.net[1], n),
	}
	free, err := net.Listen("tcp", net.JoinHostPort(h.IP, "0"))
	if err != nil {
		l.t.Fatal(err)
	}
	_, h.Port, _ = net.SplitHostPort(free.Addr().String())
	_ = free.Close() // it was only to find the port
	Keygen(l.t, filepath.Join(h.dir, "key"))
	h.write("authorized", l.Read("id_ed25519.pub"))
	h.newBoot()
	h.makeDisk()
	if !s.Stranger {
		l.Write("known_hosts", l.Read("known_hosts")+h.KnownAs()+"\n")
	}
	l.t.Cleanup(h.PowerOff)
	h.PowerOn()
	return h
}

func (h *Host) makeDisk() {
	h.t.Helper()
	err := os.MkdirAll(h.Disk(), 0o755)
	if h.setting.Login != "" { // sshd looks at keys as who asks to be let in
		err = errors.Join(err, os.Chown(h.Disk(), LoginID, LoginID), os.Chmod(h.dir, 0o755),
			os.Chmod(h.lab.Root, 0o755), os.Chmod(filepath.Dir(h.lab.Root), 0o755))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *Host) write(name, content string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// Address is host:port of its sshd.
func (h *Host) Address() string { return net.JoinHostPort(h.IP, h.Port) }

// Disk is the folder that the host sees as Root. One of a size is there while the host is on.
func (h *Host) Disk() string {
	if h.setting.Size != "" && h.process != nil {
		return h.Inside(h.lab.Root)
	}
	return filepath.Join(h.dir, "disk")
}

// Inside is a path of the host as this machine sees it, also where the host has a disk of a size.
func (h *Host) Inside(path string) string {
	return filepath.Join("/proc", strconv.Itoa(h.process.Process.Pid), "root", path)
}

// KnownAs is its line for known_hosts.
func (h *Host) KnownAs() string {
	h.t.Helper()
	key, err := os.ReadFile(filepath.Join(h.dir, "key.pub"))
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("[%s]:%s %s", h.IP, h.Port, bytes.TrimSpace(key))
}

// KeyFile is the host's private key.
func (h *Host) KeyFile() string { return filepath.Join(h.dir, "key") }

// Rekey has the host show another key from its next start.
func (h *Host) Rekey() {
	h.t.Helper()
	Keygen(h.t, h.KeyFile())
}

func (h *Host) newBoot() { h.write("boot_id", rand.Text()+"\n") }

// PowerOn starts the host, and waits until it answers.
func (h *Host) PowerOn() {
	h.t.Helper()
	h.write("sshd_config", fmt.Sprintf("ListenAddress %s\nPort %s\nHostKey %s\nAuthorizedKeysFile %s/authorized\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"+
		"SetEnv HOME=%s/disk\n%s\n", // whatever else stands in this machine's homes: bash reads ~/.bashrc here
		h.IP, h.Port, h.KeyFile(), h.dir, h.dir, h.setting.SSHD))
	disk := `mount --bind "$1/disk" "$2"`
	if h.setting.Size != "" {
		disk = `mount -t tmpfs -o mode=755,size=` + h.setting.Size + ` tmpfs "$2"`
	}
	script := h.programs() + `set -e; mkdir -p /run/sshd; mount --make-rprivate /; mount -t proc proc /proc
mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id
` + disk + `
exec /usr/sbin/sshd -D -f "$1/sshd_config" -E "$1/log"`
	h.process = exec.Command("/bin/sh", "-c", script, "host", h.dir, h.lab.Root)
	h.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	said := new(bytes.Buffer)
	h.process.Stderr = said
	if err := h.process.Start(); err != nil {
		h.t.Fatalf("start a host: %v (as root; install openssh-server)", err)
	}
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.DialTimeout("tcp", h.Address(), time.Second)
		if err == nil {
			_ = conn.Close() // it answers
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
			h.PowerOff()
			h.t.Fatalf("a host does not answer: %v\n%s%s", err, log, said)
		}
	}
}

// programs has the host's users and programs be others than this machine's.
func (h *Host) programs() (script string) {
	if h.setting.Login == "" && !h.setting.Busybox {
		return ""
	}
	users := "root:x:0:0:root:/root:/bin/sh\nsshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n"
	if login := h.setting.Login; login != "" {
		users += fmt.Sprintf("%s:*:%d:%d::%s:/bin/sh\n%s:*:%d:%d::/:/bin/sh\n", login, LoginID, LoginID, h.lab.Root, Other, OtherID, OtherID)
	}
	h.write("passwd", users)
	h.write("group", fmt.Sprintf("root:x:0:\nnogroup:x:65534:\nlogins:x:%d:\n%s:x:%d:\n", LoginID, Other, OtherID))
	script = `set -e; mount --make-rprivate /; mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/group" /etc/group; `
	if h.setting.Sudo != "" {
		h.write("sudoers", h.setting.Sudo+"\n")
		script += `chmod 440 "$1/sudoers"; mount --bind "$1/sudoers" /etc/sudoers; `
	}
	if h.setting.Busybox {
		script += `mkdir -p "$1/bin" "$1/sbin"; cp "$(command -v busybox)" "$1/bin/"; "$1/bin/busybox" --install -s "$1/bin"; cp /usr/bin/comm /usr/bin/flock "$1/bin/"
for f in "$1/bin"/*; do [ ! -L "$f" ] || ln -sf busybox "$f"; done
cp /usr/sbin/sshd "$1/sbin/"; mkdir -p "$1/none"; mount --bind "$1/none" /usr/local/bin
mount --bind "$1/bin" /usr/bin; mount --bind "$1/sbin" /usr/sbin
`
	}
	return script
}

// Sudoers replaces the lines of a host that has some.
func (h *Host) Sudoers(lines string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, "sudoers"), []byte(lines+"\n"), 0o440); err != nil { // the same file: it is mounted
		h.t.Fatal(err)
	}
}

// PowerOff ends everything on the host at once.
func (h *Host) PowerOff() {
	if h.process != nil {
		_ = h.process.Process.Kill() // the first process of its namespace takes all others with it
		_ = h.process.Wait()
		h.process = nil
	}
}

// Reboot ends everything, and starts the host again.
func (h *Host) Reboot() {
	h.t.Helper()
	h.PowerOff()
	h.newBoot()
	h.PowerOn()
}

// Configure adds lines to its sshd_config, from its next start.
func (h *Host) Configure(lines string) { h.setting.SSHD += "\n" + lines }

// Freeze stops everything on the host. Its connections stay open, and nobody answers.
func (h *Host) Freeze() { h.signal(syscall.SIGSTOP, "") }

// FreezeLogins stops its sshd with every session. All else on the host runs on.
func (h *Host) FreezeLogins() { h.signal(syscall.SIGSTOP, "sshd") }

// Kill ends the processes whose names begin with a word. When it returns, they have ended.
func (h *Host) Kill(word string) {
	h.t.Helper()
	h.processes(word, func(process int) {
		_ = unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0)
		ended := []unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(ended, -1); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
}

// Thaw lets it go on.
func (h *Host) Thaw() { h.signal(syscall.SIGCONT, "") }

// signal sends a signal to every process of the host whose name begins with a word.
func (h *Host) signal(s syscall.Signal, word string) {
	h.t.Helper()
	h.processes(word, func(process int) { _ = unix.PidfdSendSignal(process, s, nil, 0) }) // it may have ended
}

// processes calls do with a descriptor of each process of the host whose name begins with a word.
func (h *Host) processes(word string, do func(process int)) {
	h.t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", h.process.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, link := range links {
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil {
			h.t.Fatal(err)
		}
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		space, err := os.Readlink(link)
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && space == own && strings.HasPrefix(string(name), word) {
			do(process)
		}
		_ = unix.Close(process)
	}
}

// SetClock has date(1) on the host answer so much beside the time ("+1 day", "-1 day"), of several one after the other. It is all
// that scripts know of the clock; that of the kernel, and the times of files with it, every host shares with this machine.
func (h *Host) SetClock(beside ...string) {
	h.t.Helper()
	var turns strings.Builder
	for n, by := range beside {
		fmt.Fprintf(&turns, "%d) by=%q ;;\n", n, by)
	}
	clock := filepath.Join(h.dir, "clock")
	_, err := os.Stat(clock)
	h.write("clock", fmt.Sprintf("#!/bin/sh\nread -r n <%[1]s.turn || n=0\necho $(((n + 1) %% %[2]d)) >%[1]s.turn\n"+
		"case $n in\n%[3]sesac\nexec %[1]s.real -d \"$by\" \"$@\"\n", clock, len(beside), turns.String()))
	h.write("clock.turn", "0\n")
	if err == nil { // the same file, which is mounted
		return
	}
	Do(h.t, "cp", "/bin/date", clock+".real")
	Do(h.t, "chmod", "755", clock)
	Do(h.t, "nsenter", "--mount", "--target", strconv.Itoa(h.process.Process.Pid), "mount", "--bind", clock, "/bin/date")
}

// Log is what its sshd said.
func (h *Host) Log() string {
	log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
	return string(log)
}

// Run runs a script on the host as root, and answers what it printed, without the end of its last line.
func (h *Host) Run(script string) string {
	h.t.Helper()
	pid := strconv.Itoa(h.process.Process.Pid)
	out, err := exec.Command("nsenter", "-t", pid, "-m", "-p", "/bin/sh", "-c", script).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v %s (nsenter comes with util-linux)", script, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}
