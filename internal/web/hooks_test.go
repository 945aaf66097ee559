package web_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// webhook is the webhook of a project, and a forge that calls it.
type webhook struct {
	*house
	project, url, secret string
}

// webhook makes a project whose webhook has a secret.
func (h *house) webhook(name string) webhook {
	h.Helper()
	h.project(name)
	made, err := h.owner.RotateWebhook(h.Context(), name)
	must(h.T, err)
	return webhook{house: h, project: name, url: made.URL, secret: made.Secret}
}

// call is a delivery as somebody makes it.
type call struct {
	id, event, secret string
	body              []byte
	header            map[string]string
}

// makes answers the status of a delivery.
func (w webhook) makes(c call) int {
	w.Helper()
	status, _ := w.answers(c)
	return status
}

func (w webhook) answers(c call) (status int, text string) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url, bytes.NewReader(c.body))
	must(w.T, err)
	request.Header.Set("Towpath-Delivery", c.id)
	request.Header.Set("Towpath-Event", c.event)
	if c.secret != "" {
		mac := hmac.New(sha256.New, []byte(c.secret))
		mac.Write(c.body)
		request.Header.Set("Towpath-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	must(w.T, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(w.T, err)
	return response.StatusCode, string(answer)
}

// push is a delivery of a branch that moved.
func (w webhook) push(id, branch, revision string) call {
	w.Helper()
	body, err := json.Marshal(map[string]string{"ref": "refs/heads/" + branch, "before": strings.Repeat("0", 40), "after": revision})
	must(w.T, err)
	return call{id: id, event: "push", secret: w.secret, body: body}
}

// tip is the newest revision of the project's repository.
func (w webhook) tip() string {
	w.Helper()
	p, err := w.owner.Project(w.Context(), w.project)
	must(w.T, err)
	out, err := exec.CommandContext(w.Context(), "git", "-C", p.URL, "rev-parse", "HEAD").Output()
	must(w.T, err)
	return strings.TrimSpace(string(out))
}

// settled waits until every delivery was read, and answers them, the newest first.
func (w webhook) settled() (deliveries []client.Delivery) {
	w.Helper()
	w.until("every delivery was read", func() bool {
		var err error
		deliveries, err = w.owner.Deliveries(w.Context(), w.project, client.Page{})
		must(w.T, err)
		return !slices.ContainsFunc(deliveries, func(d client.Delivery) bool { return d.Outcome == "pending" })
	})
	return deliveries
}

// runs waits until every change was looked at, and answers how many runs there are.
func (w webhook) runs() int {
	w.Helper()
	w.settled()
	w.until("every change was looked at", func() bool {
		changes, err := w.owner.Changes(w.Context(), w.project)
		must(w.T, err)
		return !slices.ContainsFunc(changes, func(c client.Change) bool { return c.Outcome == "pending" })
	})
	runs, err := w.owner.Runs(w.Context(), client.RunFilter{Project: w.project})
	must(w.T, err)
	return len(runs)
}

func TestAPushThatAWebhookTellsOfRunsOnce(t *testing.T) {
	w := newHouse(t).webhook("shop")
	push := w.push("d-1", "main", w.tip())
	if status := w.makes(push); status != http.StatusAccepted {
		t.Fatalf("the delivery was answered %d", status)
	}
	if status := w.makes(push); status != http.StatusOK {
		t.Errorf("the same delivery was answered %d", status)
	}
	push.id = "d-2"
	if status := w.makes(push); status != http.StatusAccepted {
		t.Errorf("another delivery of the same push was answered %d", status)
	}
	if runs := w.runs(); runs != 1 {
		t.Errorf("there are %d runs", runs)
	}
	if d := w.settled(); len(d) != 2 || d[0].Outcome != "known" || d[1].Outcome != "change" {
		t.Errorf("the deliveries are %+v", d)
	}
}

func TestAPushMovesTheBranchOnUnlessItIsLate(t *testing.T) {
	w := newHouse(t).webhook("shop")
	p, err := w.owner.Project(t.Context(), "shop")
	must(t, err)
	stands := func() (head string) {
		w.settled()
		must(t, w.store.View(t.Context(), func(tx *store.Tx) error {
			head, err = tx.Head(p.ID, "main")
			return err
		}))
		return head
	}
	moves := func(id, before, after string) {
		push := w.push(id, "main", after)
		push.body = bytes.Replace(push.body, []byte(strings.Repeat("0", 40)), []byte(before), 1)
		w.makes(push)
	}
	first, second, third := strings.Repeat("1", 40), strings.Repeat("2", 40), strings.Repeat("3", 40)
	for _, move := range []struct{ before, after, head string }{
		{strings.Repeat("0", 40), first, first}, {first, second, second}, {first, third, second}, {second, third, second},
	} {
		moves(move.before+move.after, move.before, move.after)
		if head := stands(); head != move.head {
			t.Errorf("after a push from %.7s to %.7s it stands at %.7s, want %.7s", move.before, move.after, head, move.head)
		}
	}
}

func TestADeliveryThatComesAHundredTimesAtOnceRunsOnce(t *testing.T) {
	w := newHouse(t).webhook("shop")
	push := w.push("d-1", "main", w.tip())
	answered := make([]int, 100)
	var all sync.WaitGroup
	for n := range answered {
		all.Go(func() { answered[n] = w.makes(push) })
	}
	all.Wait()
	slices.Sort(answered)
	if answered[99] != http.StatusAccepted || answered[98] != http.StatusOK || answered[0] != http.StatusOK {
		t.Errorf("the deliveries were answered %v", answered)
	}
	if runs := w.runs(); runs != 1 || len(w.settled()) != 1 {
		t.Errorf("there are %d runs of %d deliveries", runs, len(w.settled()))
	}
}

func TestADeliveryThatIsNotSignedIsRefusedAndWrittenDownWithoutItsBody(t *testing.T) {
	w := newHouse(t).webhook("shop")
	forged := w.push("d-1", "main", w.tip())
	forged.secret = "guessed"
	unsigned := w.push("d-1", "main", w.tip())
	unsigned.secret = ""
	tampered := w.push("d-1", "main", w.tip())
	mac := hmac.New(sha256.New, []byte(w.secret))
	mac.Write(tampered.body)
	tampered.secret, tampered.body = "", append(tampered.body, ' ')
	tampered.header = map[string]string{"Towpath-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil))}
	var said string
	for _, c := range []call{forged, unsigned, tampered} {
		status, text := w.answers(c)
		if status != http.StatusUnauthorized || strings.Contains(text, w.secret) {
			t.Errorf("it was answered %d: %s", status, text)
		}
		said = text
	}
	nowhere := w
	nowhere.url += "x"
	if status, text := nowhere.answers(forged); status != http.StatusUnauthorized || text != said {
		t.Errorf("where there is no project it was answered %d: %s", status, text)
	}
	d := w.settled()
	if len(d) == 0 || d[0].Outcome != "refused" || d[0].Reason == "" || w.runs() != 0 {
		t.Fatalf("the deliveries are %+v, and there are %d runs", d, w.runs())
	}
	kept, err := w.owner.Delivery(t.Context(), "shop", d[0].ID)
	if err != nil || kept.Body != "" {
		t.Errorf("of its body is kept %q, %v", kept.Body, err)
	}
	if _, err := w.owner.ReplayDelivery(t.Context(), "shop", d[0].ID); !is(err, "conflict") {
		t.Errorf("to read it again is answered %v", err)
	}
	if status := w.makes(w.push("d-1", "main", w.tip())); status != http.StatusAccepted {
		t.Errorf("the real one behind it was answered %d", status)
	}
}

func TestAProjectWithoutASecretTakesNothing(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	w := webhook{house: h, project: "shop", url: h.URL + "/hooks/shop"}
	for _, secret := range []string{"", "anything"} {
		push := w.push("d-1", "main", w.tip())
		if push.secret = secret; w.makes(push) != http.StatusUnauthorized {
			t.Errorf("signed with %q it was taken", secret)
		}
	}
}

func TestTwoSecretsAreValidWhileOneTakesTheOthersPlace(t *testing.T) {
	w := newHouse(t).webhook("shop")
	made, err := w.owner.RotateWebhook(t.Context(), "shop")
	must(t, err)
	for n, secret := range []string{w.secret, made.Secret} {
		ping := call{id: fmt.Sprint("d-", n), event: "ping", secret: secret, body: []byte("{}")}
		if status := w.makes(ping); status != http.StatusAccepted {
			t.Errorf("signed with secret %d it was answered %d", n, status)
		}
	}
	must(t, w.owner.DropWebhookSecret(t.Context(), "shop"))
	if status := w.makes(call{id: "d-2", event: "ping", secret: w.secret, body: []byte("{}")}); status != http.StatusUnauthorized {
		t.Errorf("signed with the one before it was answered %d", status)
	}
	if status := w.makes(call{id: "d-3", event: "ping", secret: made.Secret, body: []byte("{}")}); status != http.StatusAccepted {
		t.Errorf("signed with the new one it was answered %d", status)
	}
	if d := w.settled(); d[0].Outcome != "ignored" || d[0].Reason != "the webhook works" {
		t.Errorf("the ping became %+v", d[0])
	}
}

func TestASecretThatWasMadeElsewhereIsTakenAndNeverRepeated(t *testing.T) {
	w := newHouse(t).webhook("shop")
	given := client.WebhookSecret{Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
	for range 2 { // the second time it is valid already, and drops nothing
		answer, err := w.owner.SetWebhookSecret(t.Context(), "shop", given)
		must(t, err)
		if answer.Secret != "" || strings.Contains(answer.Manual, given.Secret) || answer.URL == "" {
			t.Errorf("it was answered %+v", answer)
		}
	}
	for n, secret := range []string{w.secret, given.Secret} {
		ping := call{id: fmt.Sprint("d-", n), event: "ping", secret: secret, body: []byte("{}")}
		if status := w.makes(ping); status != http.StatusAccepted {
			t.Errorf("signed with secret %d it was answered %d", n, status)
		}
	}
	for _, bad := range []string{"short", strings.Repeat("x", 256), "sixteen or more but with spaces", "sixteen or more\n"} {
		_, err := w.owner.SetWebhookSecret(t.Context(), "shop", client.WebhookSecret{Secret: bad})
		if fault, is := errors.AsType[*client.Error](err); !is || fault.Code != "invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w.settled()
}

func TestADeliveryThatIsTooLargeOrCompressedIsRefused(t *testing.T) {
	w := newHouse(t).webhook("shop")
	large := call{id: "d-1", event: "ping", body: bytes.Repeat([]byte("x"), trigger.MaxDelivery+1)}
	if status := w.makes(large); status != http.StatusRequestEntityTooLarge {
		t.Errorf("the large one was answered %d", status)
	}
	compressed := call{id: "d-2", event: "ping", secret: w.secret, body: []byte("{}"), header: map[string]string{"Content-Encoding": "gzip"}}
	if status := w.makes(compressed); status != http.StatusUnprocessableEntity {
		t.Errorf("the compressed one was answered %d", status)
	}
	fits := call{id: "d-3", event: "ping", secret: w.secret, body: []byte(`{"x":"` + strings.Repeat("y", 1<<20) + `"}`)}
	if status := w.makes(fits); status != http.StatusAccepted {
		t.Errorf("one of a megabyte was answered %d", status)
	}
	w.settled()
	kept, err := w.owner.Deliveries(t.Context(), "shop", client.Page{Limit: 1})
	must(t, err)
	whole, err := w.owner.Delivery(t.Context(), "shop", kept[0].ID)
	if err != nil || whole.Body != string(fits.body) {
		t.Errorf("%d bytes of it are kept, %v", len(whole.Body), err)
	}
}

func TestADeliveryIsReadAgainWhereAPersonSaysSo(t *testing.T) {
	w := newHouse(t).webhook("shop")
	w.makes(w.push("d-1", "main", w.tip()))
	if runs := w.runs(); runs != 1 {
		t.Fatalf("there are %d runs", runs)
	}
	first := w.settled()[0]
	for range 2 {
		_, err := w.owner.ReplayDelivery(t.Context(), "shop", first.ID)
		must(t, err)
		w.runs()
	}
	if again := w.settled()[0]; again.Outcome != "change" || again.Replays != 2 || w.runs() != 3 {
		t.Errorf("it became %+v, and there are %d runs", again, w.runs())
	}
	viewer := w.person("vera", "viewer", "shop")
	if _, err := viewer.ReplayDelivery(t.Context(), "shop", first.ID); !is(err, "forbidden") {
		t.Errorf("to a viewer it answers %v", err)
	}
}

func TestWhatADeliveryTellsOfIsNamedWhereItMakesNoRun(t *testing.T) {
	w := newHouse(t).webhook("shop")
	deleted := w.push("d-1", "idea", strings.Repeat("0", 40))
	broken := call{id: "d-2", event: "push", secret: w.secret, body: []byte(`{"ref": "refs/heads/main"`)}
	posing := w.push("d-3", "tags/v1", w.tip())
	gone := w.push("d-4", "main", strings.Repeat("1", 40))
	for _, c := range []call{deleted, broken, posing, gone} {
		if status := w.makes(c); status != http.StatusAccepted {
			t.Errorf("%s was answered %d", c.id, status)
		}
	}
	w.runs()
	want := []struct{ outcome, reason string }{
		{"change", ""}, {"ignored", "called like a tag"}, {"failed", ""}, {"ignored", "branch idea was deleted"},
	}
	for n, d := range w.settled() {
		if d.Outcome != want[n].outcome || !strings.Contains(d.Reason, want[n].reason) || want[n].outcome == "failed" && d.Reason == "" {
			t.Errorf("%s became %s: %s", d.Key, d.Outcome, d.Reason)
		}
	}
	if runs := w.runs(); runs != 0 {
		t.Errorf("there are %d runs", runs)
	}
}

func TestThePageOfAProjectListsWhatArrivedAndReadsItAgain(t *testing.T) {
	w := newHouse(t).webhook("shop")
	w.makes(call{id: "d-1", event: "ping", secret: w.secret, body: []byte("{}")})
	d := w.settled()[0]
	maintainer, viewer := w.person("mia", "maintainer", "shop"), w.person("vera", "viewer", "shop")
	w.asks(maintainer.token, "/projects").wants(t, http.StatusOK, "shop", "webhook")
	again := fmt.Sprintf("/projects/shop/deliveries/%d/replay", d.ID)
	w.asks(maintainer.token, "/projects/shop").wants(t, http.StatusOK, "the webhook works", again, "read again")
	if page := w.asks(viewer.token, "/projects/shop"); strings.Contains(page.text, again) {
		t.Error("a viewer is shown a button that they may not use")
	}
	w.asks(maintainer.token, again, "really", "yes").wants(t, http.StatusSeeOther)
	if d := w.settled()[0]; d.Replays != 1 {
		t.Errorf("it was read again %d times", d.Replays)
	}
}

// is says that a call was answered with a code.
func is(err error, code string) bool {
	fault, answered := errors.AsType[*client.Error](err)
	return answered && fault.Code == code
}

// TestASecretCountsFromTheMomentAtWhichItWasSet delivers with a new secret at once, while others keep the server looking.
func TestASecretCountsFromTheMomentAtWhichItWasSet(t *testing.T) {
	w := newHouse(t).webhook("shop")
	tip := w.tip()
	ended, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range 4 {
		others := w.push(fmt.Sprintf("other-%d", n), "main", tip)
		others.secret = "guessed"
		all.Go(func() {
			for ended.Err() == nil {
				if status := w.makes(others); status != http.StatusUnauthorized {
					t.Errorf("a delivery that was signed with another secret is answered %d", status)
				}
			}
		})
	}
	for n := range 20 {
		made, err := w.owner.RotateWebhook(w.Context(), w.project)
		must(t, err)
		mine := w
		mine.secret = made.Secret
		if status := mine.makes(mine.push(fmt.Sprintf("mine-%d", n), "main", tip)); status != http.StatusAccepted {
			t.Errorf("the first delivery with secret %d is answered %d", n, status)
		}
	}
	end()
	all.Wait()
}
