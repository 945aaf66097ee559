package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// hereGrace is how long a script may take to bring back what it has begun, once its context has ended.
const hereGrace = 5 * time.Second

// Here is the machine that we are on.
type Here struct{}

// Run runs a script by this machine's sh, as this user, to its end or to that of ctx.
func (Here) Run(ctx context.Context, c ssh.Command) (ssh.Result, error) {
	var output, said bytes.Buffer
	input, sent, err := feed(c.Input)
	if err != nil {
		return ssh.Result{}, err
	}
	running, err := process.Start(ctx, process.Spec{
		Args: []string{"/bin/sh", "-c", c.Script}, Env: hereEnv(c.Env), Stdin: input, Stdout: &output, Stderr: &said, Grace: hereGrace,
	})
	if input != nil {
		_ = input.Close() // it is the script's now
	}
	if err != nil {
		return ssh.Result{}, &ssh.Error{Host: "this machine", Kind: ssh.ErrUnreachable, Err: err}
	}
	result, err := running.Wait()
	<-sent
	if err != nil {
		return ssh.Result{}, fmt.Errorf("run a script: %w", err)
	}
	return ssh.Result{Status: result.ExitCode, Output: output.String(), Said: said.String()}, nil
}

// hereEnv is what a script sees: where programs are, who runs it, and what it is told.
func hereEnv(told map[string]string) []string {
	env := []string{}
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	for name, value := range told {
		env = append(env, name+"="+value)
	}
	return env
}

// feed is a file that a script reads what there is for it from; nil where there is nothing. Sent is closed when all is read.
func feed(from io.Reader) (file *os.File, sent <-chan struct{}, err error) {
	done := make(chan struct{})
	if from == nil {
		close(done)
		return nil, done, nil
	}
	reads, writes, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(errors.New("send a script its input"), err)
	}
	go func() {
		defer close(done)
		_, _ = io.Copy(writes, from) // that it does not read on, its status tells
		_ = writes.Close()
	}()
	return reads, done, nil
}
