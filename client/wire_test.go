package client_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/client"
)

var update = flag.Bool("update", false, "record the wire of this release anew")

// recorded is what workers and servers said to each other, by release. A file is written once, with -update, and stays as it
// is from its release on: another one is begun then, and the one before the last may go.
const recorded = "testdata/worker-wire-1.json"

// wire is every body of a worker's calls and of their answers.
func wire() map[string]any {
	return map[string]any{
		"register": &client.Registration{}, "registered": &client.Registered{},
		"hello": &client.Hello{}, "welcome": &client.Welcome{},
		"lease call": &client.LeaseCall{}, "lease": &client.StepLease{},
		"renewal": &client.Renewal{}, "log offset": &client.LogOffset{}, "report": &client.StepReport{},
		"missing": &[]string{}, "pack upload": &client.PackUpload{}, "keep": &client.KeepRequest{}, "kept": &client.KeepAnswer{},
		"keeper report": &client.KeeperReport{}, "order": &client.KeeperOrder{}, "error": &client.Error{},
		"errand begin": &client.ErrandBegin{}, "errand order": &client.ErrandOrder{}, "errand end": &client.ErrandEnd{},
	}
}

// TestTheWireOfThisReleaseIsRecorded holds what is recorded against what is said now: a field that came is recorded as well.
func TestTheWireOfThisReleaseIsRecorded(t *testing.T) {
	now := map[string]any{}
	for name, body := range wire() {
		fill(reflect.ValueOf(body).Elem())
		now[name] = body
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(now); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(recorded, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("the wire has changed (run with -update if fields were only added; -before +now):\n%s", diff)
	}
}

// TestWhatEveryRecordedReleaseSaysIsUnderstood reads what workers and servers of other releases say: not a field of it may be
// lost, be it read by this release's worker or by its server.
func TestWhatEveryRecordedReleaseSaysIsUnderstood(t *testing.T) {
	files, err := filepath.Glob("testdata/worker-wire-*.json")
	if err != nil || !slices.Contains(files, recorded) {
		t.Fatalf("there are %v (%v)", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var said map[string]json.RawMessage
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, body := range wire() {
			if said[name] == nil {
				continue // that release did not have it
			}
			if err := json.Unmarshal(said[name], body); err != nil {
				t.Errorf("%s: %s cannot be read: %v", file, name, err)
				continue
			}
			again, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if lost := lost(name, tree(t, said[name]), tree(t, again)); len(lost) > 0 {
				t.Errorf("%s: not understood any more: %v", file, lost)
			}
		}
	}
}

// TestWhatIsMissingOrUnknownIsNoError is what other releases may say less and more.
func TestWhatIsMissingOrUnknownIsNoError(t *testing.T) {
	for name, body := range wire() {
		if reflect.TypeOf(body).Elem().Kind() != reflect.Struct {
			continue
		}
		for _, said := range []string{`{}`, `{"of_a_later_release": {"deep": [1, "two"]}}`} {
			if err := json.Unmarshal([]byte(said), body); err != nil {
				t.Errorf("%s cannot be read from %s: %v", name, said, err)
			}
		}
		if !reflect.ValueOf(body).Elem().IsZero() {
			t.Errorf("%s is something of nothing: %+v", name, body)
		}
	}
}

func tree(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// lost answers the paths at which a says something that b does not.
func lost(path string, a, b any) (paths []string) {
	switch a := a.(type) {
	case map[string]any:
		other, _ := b.(map[string]any)
		for key, value := range a {
			paths = append(paths, lost(path+"."+key, value, other[key])...)
		}
		return paths
	case []any:
		other, _ := b.([]any)
		for i, value := range a {
			var at any
			if i < len(other) {
				at = other[i]
			}
			paths = append(paths, lost(path+"[]", value, at)...)
		}
		return paths
	}
	if !reflect.DeepEqual(a, b) {
		return []string{path}
	}
	return nil
}

// fill puts something other than its zero value everywhere.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	default:
		fillPlain(v)
	}
}

func fillPlain(v reflect.Value) {
	switch {
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	case v.CanFloat():
		v.SetFloat(7.5)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("text")
	}
}
