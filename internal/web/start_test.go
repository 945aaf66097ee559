package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/client"
)

const askingForInputs = `
on:
  manual:
    inputs:
      size: {type: choice, choices: [small, large]}
      amount: {type: number, default: 3}
      publish: {type: yes/no, default: false}
      note: {default: "<b>"}
`

func TestARunIsStartedFromAFormThatTellsEveryMistakeBesideItsField(t *testing.T) {
	h := newHouse(t)
	h.projectOf("shop", askingForInputs)
	vera, rita := h.person("vera", "viewer", "shop"), h.person("rita", "runner", "shop")
	const path = "/projects/shop/run"
	if strings.Contains(h.asks(vera.token, "/projects/shop").text, path) {
		t.Error("who may not start runs is shown how")
	}
	h.asks(rita.token, "/projects/shop").wants(t, http.StatusOK, `href="`+path+`"`)
	h.asks(vera.token, path).wants(t, http.StatusForbidden)
	h.asks(rita.token, path).wants(t, http.StatusOK, `<option value="">choose one</option>`, `value="3"`, "<option selected>no</option>", `value="&lt;b&gt;"`)

	h.asks(rita.token, path, "pipeline", "shop", "branch", "main", "input.amount", "many", "input.publish", "yes", "input.note", "kept").
		wants(t, http.StatusUnprocessableEntity, "size has no value, and no default", "amount is a number, not &#34;many&#34;",
			"<option selected>yes</option>", `value="kept"`)
	h.asks(rita.token, path, "pipeline", "shop", "branch", "main",
		"input.size", "large", "input.amount", "", "input.publish", "yes", "input.note", "").wants(t, http.StatusSeeOther)
	run, err := rita.Run(t.Context(), "shop", 1)
	must(t, err)
	if diff := cmp.Diff(client.Inputs{"size": "large", "amount": "3", "publish": "yes", "note": ""}, run.Inputs); diff != "" {
		t.Errorf("its inputs (-want +got):\n%s", diff)
	}
}
