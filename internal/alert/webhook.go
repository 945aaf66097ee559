package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath"
)

// webhookTimeout bounds one delivery.
const webhookTimeout = 10 * time.Second

// Webhook posts alerts as JSON to an address. The header Towpath-Delivery holds the alert's key, by which a receiver
// knows one that comes twice; with a secret, Towpath-Signature holds "sha256=" and the HMAC of the body.
type Webhook struct {
	url    string
	secret string
	client *http.Client
}

// NewWebhook makes a notifier for an address. The secret may be empty.
func NewWebhook(url, secret string) *Webhook {
	return &Webhook{url: url, secret: secret, client: &http.Client{Timeout: webhookTimeout}}
}

// Name is "webhook".
func (w *Webhook) Name() string { return "webhook" }

// Notify delivers an alert. Any answer but 2xx is an error.
func (w *Webhook) Notify(ctx context.Context, a towpath.Alert) error {
	body, err := json.Marshal(payload(a))
	if err != nil {
		return fmt.Errorf("encode the alert: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the delivery: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Towpath-Delivery", a.Key)
	if w.secret != "" {
		mac := hmac.New(sha256.New, []byte(w.secret))
		mac.Write(body)
		request.Header.Set("Towpath-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %s", response.Status)
	}
	return nil
}

// payload is the body of a delivery.
func payload(a towpath.Alert) any {
	return struct {
		Kind        towpath.AlertKind `json:"kind"`
		Subject     string            `json:"subject"`
		Text        string            `json:"text,omitempty"`
		Run         string            `json:"run,omitempty"`
		RunNumber   int               `json:"run_number,omitempty"`
		Step        string            `json:"step,omitempty"`
		Environment string            `json:"environment,omitempty"`
		To          []string          `json:"to,omitempty"`
		At          time.Time         `json:"at"`
	}{a.Kind, a.Subject, a.Text, a.Run, a.RunNumber, a.Step, a.Environment, a.To, a.At}
}
