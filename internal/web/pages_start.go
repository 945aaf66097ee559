package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/web/page"
)

// inputPrefix begins the names of a form's fields that are inputs of a pipeline.
const inputPrefix = "input."

// startPage shows what of a branch may be started by hand, with a field for each input.
func (s *Server) startPage(c call[none]) (templ.Component, error) {
	startable, err := s.Flow.Startable(c.Context(), c.Project.ID, c.URL.Query().Get("branch"))
	if err != nil {
		return nil, err
	}
	view := s.startView(c, startable)
	for _, p := range startable.Pipelines {
		view.Forms = append(view.Forms, page.StartForm{Pipeline: p.Name, Fields: emptyFields(p.Triggers)})
	}
	return page.StartPage(view), nil
}

func (s *Server) startView(c call[none], startable flow.Startable) page.Start {
	return page.Start{
		Frame:   s.frame(c.Caller, "", "Start a run of "+c.Project.Name),
		Project: c.Project.Name, Branch: startable.Branch, Revision: startable.Revision,
	}
}

// startByForm starts a run, or shows the form again with every mistake beside its field.
func (s *Server) startByForm(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	c := call[none]{Request: r, Caller: caller}
	err := readForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	startable, err := s.Flow.Startable(r.Context(), c.Project.ID, r.PostForm.Get("branch"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	view, isWrong := s.startView(c, startable), false
	inputs := client.Inputs{}
	for _, p := range startable.Pipelines {
		form := page.StartForm{Pipeline: p.Name, Fields: emptyFields(p.Triggers)}
		if p.Name == r.PostForm.Get("pipeline") {
			form.Fields, inputs = filledFields(p.Triggers, r.PostForm)
			isWrong = form.IsWrong()
		}
		view.Forms = append(view.Forms, form)
	}
	if isWrong {
		s.show(w, r, http.StatusUnprocessableEntity, page.StartPage(view))
		return
	}
	run, err := s.startRun(call[client.StartRun]{Request: r, Caller: caller, Body: client.StartRun{
		Branch: startable.Branch, Pipeline: r.PostForm.Get("pipeline"), Inputs: inputs,
	}})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/runs/"+url.PathEscape(run.Pipeline)+"/"+strconv.Itoa(run.Number), http.StatusSeeOther)
}

func emptyFields(t towpath.Triggers) []page.StartField {
	var fields []page.StartField
	for _, i := range t.Inputs {
		fields = append(fields, page.StartField{Input: i, Name: inputPrefix + i.Name, Value: i.Default})
	}
	return fields
}

// filledFields answers the fields with what was written into them and what is wrong with it, and the inputs. What was left
// empty has its default, but for a text, which is empty then.
func filledFields(t towpath.Triggers, form url.Values) ([]page.StartField, client.Inputs) {
	fields, inputs := emptyFields(t), client.Inputs{}
	for n := range fields {
		f := &fields[n]
		f.Value = form.Get(f.Name)
		isText := f.Input.Kind == towpath.InputText
		switch {
		case f.Value == "" && f.Input.Required:
			f.Wrong = f.Input.Name + " has no value, and no default"
		case f.Value == "" && !isText:
		default:
			accepted, err := f.Input.Accept(f.Value)
			if err != nil {
				f.Wrong = err.Error()
			}
			inputs[f.Input.Name] = accepted
		}
	}
	return fields, inputs
}
