package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
)

var golden = flag.Bool("update", false, "write testdata/documents.json anew")

// nouns is one of each that is stored whole.
func nouns() map[string]any {
	found := map[string]any{
		"project": &towpath.Project{}, "change": &towpath.Change{}, "run": &towpath.Run{},
		"approval": &towpath.Approval{}, "release": &towpath.Release{}, "environment": &towpath.Environment{},
		"observation": &towpath.Observation{}, "deployment": &towpath.Deployment{}, "worker": &towpath.Worker{},
		"artifact": &towpath.Artifact{}, "selector": &towpath.Selector{}, "freeze": &towpath.Freeze{}, "policy": &towpath.Policy{},
		"chronicle": &towpath.Chronicle{}, "journal entry": &towpath.JournalEntry{}, "errand": &towpath.Errand{},
	}
	for _, e := range effects() {
		found["effect "+typeName(e)] = reflect.New(reflect.TypeOf(e)).Interface()
	}
	return found
}

const goldenFile = "testdata/documents.json"

// TestStoredDocumentsKeepTheirFields holds what earlier versions have stored against today's types: a new version goes
// on with the runs of an old one.
func TestStoredDocumentsKeepTheirFields(t *testing.T) {
	before := documentsBefore(t)
	for name, noun := range nouns() {
		decoder := json.NewDecoder(bytes.NewReader(before[name]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(noun); before[name] != nil && err != nil {
			t.Errorf("%s: %v: what earlier versions stored would be lost; keep the field, or move its value in a "+
				"migration, delete %s and run with -update", name, err, goldenFile)
		}
	}
}

func TestEveryStoredFieldIsInTheGoldenFile(t *testing.T) {
	now := nouns()
	for _, noun := range now {
		complete(reflect.ValueOf(noun).Elem())
	}
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *golden {
		if err := os.WriteFile(goldenFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("documents have changed (run with -update if fields were only added; -before +now):\n%s", diff)
	}
}

// documentsBefore answers what is in the golden file; nothing where it was deleted.
func documentsBefore(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	before := map[string]json.RawMessage{}
	b, err := os.ReadFile(goldenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return before
	}
	if err := errors.Join(err, json.Unmarshal(b, &before)); err != nil {
		t.Fatal(err)
	}
	return before
}

// complete sets every field below v to something.
func complete(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(noon))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		complete(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			complete(field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		complete(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		complete(key)
		complete(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	}
}
