package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"
)

// validate checks a file against the schema as an editor does.
func validate(t *testing.T, data []byte) error {
	t.Helper()
	printed, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(printed, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return err
	}
	var content any
	if err := json.Unmarshal(asJSON, &content); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(content)
}

func TestTheSchemaAdmitsRightFilesAndWhatTheyExpandTo(t *testing.T) {
	eachFile(t, "right", func(t *testing.T, _ string, data []byte) {
		if err := validate(t, data); err != nil {
			t.Error(err)
		}
		if err := validate(t, parse(t, string(data)).Expand()); err != nil {
			t.Errorf("expanded: %v", err)
		}
	})
}

func TestTheSchemaRefusesWhatOneLineCanShowToBeWrong(t *testing.T) {
	for _, name := range []string{
		"a-list", "a-word", "bad-names", "environments", "everything", "hosts", "later-environments", "later-steps", "look", "no-kind",
		"no-steps", "numbers-for-texts", "run-without-script", "two-kinds", "types", "values", "long-line", "durations", "triggers",
	} {
		eachFile(t, "wrong", func(t *testing.T, stem string, data []byte) {
			if strings.HasSuffix(stem, "/"+name) && validate(t, data) == nil {
				t.Error("the schema admits it")
			}
		})
	}
}

func TestEveryKeyIsExplained(t *testing.T) {
	var walk func(path string, s *shape)
	walk = func(path string, s *shape) {
		fields := s.fields
		for _, v := range s.variants {
			fields = append(fields, v.fields...)
		}
		for _, f := range fields {
			if f.doc == "" {
				t.Errorf("%s.%s has no words", path, f.key)
			}
			walk(path+"."+f.key, f.shape)
		}
		for _, e := range s.either {
			walk(path, e)
		}
		if s.of != nil {
			walk(path+"[]", s.of)
		}
	}
	walk("", grammar())
}
