package alert_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/alert"
)

// receiver is a real one: it keeps what was posted, and answers as it is told.
type receiver struct {
	*httptest.Server
	headers []http.Header
	bodies  [][]byte
	answer  int
}

func newReceiver(t *testing.T, answer int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.headers, r.bodies = append(r.headers, request.Header), append(r.bodies, body)
		w.WriteHeader(r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

var broke = towpath.Alert{
	Key: "announce/r1/failed", Kind: towpath.AlertBroke, Run: "r1", RunNumber: 7, Step: "unit",
	Subject: "shop #7: test unit failed", To: []string{"ada@example.com"},
}

func TestADeliveryIsSignedAndNamedByItsKey(t *testing.T) {
	r := newReceiver(t, http.StatusAccepted)
	if err := alert.NewWebhook(r.URL, "the secret").Notify(t.Context(), broke); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("the secret"))
	mac.Write(r.bodies[0])
	if got, want := r.headers[0].Get("Towpath-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	if r.headers[0].Get("Towpath-Delivery") != broke.Key || r.headers[0].Get("Content-Type") != "application/json" {
		t.Errorf("the headers are %v", r.headers[0])
	}
	var said struct {
		Kind      string
		Subject   string
		RunNumber int `json:"run_number"`
		Step      string
		To        []string
	}
	if err := json.Unmarshal(r.bodies[0], &said); err != nil || said.Kind != "broke" || said.RunNumber != 7 || said.Step != "unit" || len(said.To) != 1 {
		t.Errorf("it says %s, %v", r.bodies[0], err)
	}
}

func TestWithoutASecretNothingIsSigned(t *testing.T) {
	r := newReceiver(t, http.StatusOK)
	if err := alert.NewWebhook(r.URL, "").Notify(t.Context(), broke); err != nil {
		t.Fatal(err)
	}
	if _, signed := r.headers[0]["Towpath-Signature"]; signed {
		t.Error("it is signed by nothing")
	}
}

func TestAnyAnswerBut2xxIsToBeTriedAgainUnderTheSameKey(t *testing.T) {
	for _, answer := range []int{http.StatusFound, http.StatusNotFound, http.StatusInternalServerError} {
		r := newReceiver(t, answer)
		desk := alert.NewDesk(time.Now, slog.New(slog.DiscardHandler), alert.NewWebhook(r.URL, ""))
		err := desk.Announce(t.Context(), broke)
		if err == nil || !strings.Contains(err.Error(), http.StatusText(answer)) {
			t.Errorf("%d is %v", answer, err)
		}
		r.answer = http.StatusNoContent
		if err := desk.Announce(t.Context(), broke); err != nil {
			t.Error(err)
		}
		if r.headers[0].Get("Towpath-Delivery") != r.headers[1].Get("Towpath-Delivery") {
			t.Error("the second try has another key")
		}
	}
}

func TestAReceiverThatIsDownIsAnError(t *testing.T) {
	r := newReceiver(t, http.StatusOK)
	r.Close()
	if err := alert.NewWebhook(r.URL, "").Notify(t.Context(), broke); err == nil {
		t.Error("nobody was told, and nobody says so")
	}
}

func TestOneWayThatFailsKeepsNoOtherFromTelling(t *testing.T) {
	down, up := newReceiver(t, http.StatusBadGateway), newReceiver(t, http.StatusOK)
	var log bytes.Buffer
	desk := alert.NewDesk(time.Now, slog.New(slog.NewTextHandler(&log, nil)), alert.NewWebhook(down.URL, ""), alert.NewWebhook(up.URL, ""))
	err := desk.Announce(t.Context(), broke)
	if err == nil || len(up.bodies) != 1 {
		t.Errorf("%v, and the second way was used %d times", err, len(up.bodies))
	}
	if errors.Unwrap(err) != nil || !strings.Contains(err.Error(), "tell by webhook") {
		t.Errorf("it says %v", err)
	}
	if !strings.Contains(log.String(), broke.Subject) {
		t.Errorf("the log says %s", log.String())
	}
}
