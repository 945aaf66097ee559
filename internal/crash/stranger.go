package crash

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath/client"
)

// hasWorker lets a machine join that no step fits, which is drained and removed again.
func (c *clerk) hasWorker(ctx context.Context) error {
	machine := uuid.NewString()
	for {
		var made client.Token
		_, err := c.ask(ctx, func(ctx context.Context) (err error) {
			made, err = c.Owner.NewWorkerToken(ctx)
			return err
		})
		if err != nil {
			return err
		}
		_, err = c.Owner.Register(ctx, client.Registration{
			Token: made.Token, Machine: machine, Name: c.named("stranger"), OS: "plan9", Arch: "amd64", Slots: 1, Version: "1",
		})
		if err == nil {
			break
		}
		if !has(err, "unavailable", "unauthorized") { // the token is worth nothing where the first call was heard
			return fmt.Errorf("register a worker: %w", err)
		}
		if err := pause(ctx, callPause); err != nil {
			return err
		}
	}
	worker := "/api/v1/workers/" + machine
	for _, s := range []step{
		{func(ctx context.Context) error {
			return c.call(ctx, http.MethodPost, worker+"/drain", `{"draining":true}`)
		}, "worker.drain", machine, "worker " + machine, true},
		{func(ctx context.Context) error { return c.call(ctx, http.MethodDelete, worker, "") }, "worker.remove", machine, "worker " + machine, false},
	} {
		if err := c.take(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.action, err)
		}
	}
	return nil
}

// call makes one that the client has no word for.
func (w *World) call(ctx context.Context, method, path, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, w.Owner.Address()+path, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return &client.Error{Code: "unavailable", Message: err.Error(), Err: err}
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotFound:
		return &client.Error{Code: "not_found", Message: answer.Status}
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return nil
}
