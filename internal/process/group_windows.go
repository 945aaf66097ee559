package process

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// job is a group held together by a job object, or, when it was found again by name after its creator died, only its
// leader: a job cannot be opened once its last handle is closed.
type job struct {
	object  windows.Handle
	leader  int
	outlive bool
}

func createGroup(options GroupOptions) (group, error) {
	object, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("create job: %w", err)
	}
	j := &job{object: object, outlive: options.Outlive}
	if options.Outlive {
		return j, nil
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(object, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return nil, fmt.Errorf("limit job: %w", err)
	}
	return j, nil
}

// openGroup accepts "job:0", which was reserved and never started; it becomes a new job.
func openGroup(options GroupOptions) (group, error) {
	kind, name, err := splitHandle(options.Handle)
	if err != nil {
		return nil, err
	}
	leader, err := strconv.Atoi(name)
	if err != nil || kind != "job" {
		return nil, fmt.Errorf("process group %q: unknown kind", options.Handle)
	}
	if leader == 0 {
		return createGroup(options)
	}
	return &job{leader: leader}, nil
}

func (j *job) handle() string { return "job:" + strconv.Itoa(j.leader) }

func (j *job) fallback() group { return nil }

// attach starts the process suspended, so that it can start nothing before it is in the job.
func (j *job) attach(cmd *exec.Cmd) (func(), error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_SUSPENDED,
	}
	return func() {}, nil
}

func (j *job) started(leader *os.Process) error {
	j.leader = leader.Pid
	handle, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(leader.Pid))
	if err != nil {
		return fmt.Errorf("open process: %w", err)
	}
	defer windows.CloseHandle(handle)
	if err := windows.AssignProcessToJobObject(j.object, handle); err != nil {
		return fmt.Errorf("assign process to job: %w", err)
	}
	return resume(uint32(leader.Pid))
}

// resume lets the threads of a process that was started suspended run.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return fmt.Errorf("open thread: %w", err)
		}
		_, err = windows.ResumeThread(thread)
		windows.CloseHandle(thread)
		if err != nil {
			return fmt.Errorf("resume thread: %w", err)
		}
	}
	return nil
}

// signal sends a console break, the only thing that a program here can be asked with.
func (j *job) signal(syscall.Signal) error {
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(j.leader))
}

func (j *job) empty(limit time.Duration) bool {
	const pace = 10 * time.Millisecond
	for deadline := time.Now().Add(limit); ; {
		if j.active() == 0 {
			return true
		}
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return false
		}
		<-time.After(min(pace, remaining))
	}
}

// accounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h.
type accounting struct {
	totalUser, totalKernel, periodUser, periodKernel int64
	faults, total, active, terminated                uint32
}

func (j *job) active() uint32 {
	if j.object == 0 {
		return 0
	}
	var a accounting
	err := windows.QueryInformationJobObject(j.object, windows.JobObjectBasicAccountingInformation,
		uintptr(unsafe.Pointer(&a)), uint32(unsafe.Sizeof(a)), nil)
	if err != nil {
		return 0
	}
	return a.active
}

func (j *job) kill() error {
	if j.object == 0 {
		return nil
	}
	if err := windows.TerminateJobObject(j.object, 1); err != nil {
		return fmt.Errorf("end job: %w", err)
	}
	if !j.empty(killLimit) {
		return fmt.Errorf("%w: job of process %d", ErrLeftBehind, j.leader)
	}
	err := windows.CloseHandle(j.object)
	j.object = 0
	return err
}
