//go:build unix

package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

// holderTime is how long a holder may take to answer, or to start.
const holderTime = 5 * time.Second

// listen returns a listener on the address. With a holder, closing it leaves the socket open there.
func (s *sockets) listen(ctx context.Context, address string) (net.Listener, error) {
	if len(s.command) == 0 {
		return plainListen(address)
	}
	if err := s.ensureHolder(ctx); err != nil {
		return nil, err
	}
	place := failpoint.At("take a socket")
	place.Before()
	file, err := askHolder(ctx, s.folder, holdRequest{Do: holdListen, Address: address})
	if err != nil {
		return nil, err
	}
	place.After()
	if file == nil {
		return nil, fmt.Errorf("listen on %s: %w: it sent no socket", address, ErrNoHolder)
	}
	defer file.Close()
	return net.FileListener(file)
}

// release gives an address up for good.
func (s *sockets) release(ctx context.Context, address string) error {
	if len(s.command) == 0 {
		return nil
	}
	_, err := askHolder(ctx, s.folder, holdRequest{Do: holdRelease, Address: address})
	return err
}

// StopHolder ends the folder's holder; from then on its addresses refuse connections. No holder is no error.
func StopHolder(ctx context.Context, folder string) error {
	_, err := askHolder(ctx, folder, holdRequest{Do: holdStop})
	if errors.Is(err, ErrNoHolder) {
		return nil
	}
	return err
}

// ensureHolder starts a holder when there is none, detached from this process, and waits until it answers.
func (s *sockets) ensureHolder(ctx context.Context) error {
	if isAnswering(s.folder) {
		return nil
	}
	if err := s.startHolder(); err != nil {
		return fmt.Errorf("start the socket holder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, holderTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !isAnswering(s.folder) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("start the socket holder: %w: see holder.log in %s", ErrNoHolder, s.folder)
		case <-tick.C:
		}
	}
	return nil
}

func (s *sockets) startHolder() error {
	log, err := os.OpenFile(filepath.Join(s.folder, "holder.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	arguments := append(append([]string(nil), s.command[1:]...), s.folder)
	command := exec.Command(s.command[0], arguments...)
	command.Dir = s.folder
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		if err := command.Wait(); err != nil {
			s.logger.Warn("socket holder ended", "error", err)
		}
	}()
	return nil
}

func isAnswering(folder string) bool {
	conn, err := net.Dial("unix", holdSocket(folder))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// askHolder sends one request and returns the socket that came back, if one did.
func askHolder(ctx context.Context, folder string, request holdRequest) (*os.File, error) {
	dialled, err := new(net.Dialer).DialContext(ctx, "unix", holdSocket(folder))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHolder, err)
	}
	defer dialled.Close()
	conn, _ := dialled.(*net.UnixConn)
	if err := conn.SetDeadline(time.Now().Add(holderTime)); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return nil, fmt.Errorf("ask the socket holder: %w", err)
	}
	content, rights := make([]byte, 4096), make([]byte, syscall.CmsgSpace(4))
	n, rightsCount, _, _, err := conn.ReadMsgUnix(content, rights)
	if err != nil {
		return nil, fmt.Errorf("ask the socket holder: %w", err)
	}
	var answer holdAnswer
	if err := json.Unmarshal(content[:n], &answer); err != nil {
		return nil, fmt.Errorf("ask the socket holder: %w", err)
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	return received(rights[:rightsCount])
}

func received(rights []byte) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	descriptors, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) == 0 {
		return nil, err
	}
	return os.NewFile(uintptr(descriptors[0]), "listener"), nil
}
