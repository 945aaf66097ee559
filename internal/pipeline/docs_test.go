package pipeline

import (
	"os"
	"strings"
	"testing"
)

// reference is the page that users read.
func reference(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/pipeline-file.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

func TestEveryExampleOfTheReferenceIsRight(t *testing.T) {
	blocks := strings.Split(reference(t), "```yaml\n")[1:]
	if len(blocks) < 5 {
		t.Fatalf("found only %d examples", len(blocks))
	}
	for _, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		text := complete(example)
		if problems := Check("towpath.yaml", []byte(text)); len(problems) > 0 {
			t.Errorf("%s\n%s", text, problems)
		}
		if err := validate(t, []byte(text)); err != nil {
			t.Errorf("%s\nthe schema: %v", text, err)
		}
	}
}

// complete makes a whole file of an example that shows a part.
func complete(example string) string {
	if strings.HasPrefix(example, "- ") {
		example = "steps:\n" + example
	}
	if !strings.Contains("\n"+example, "\npipeline:") {
		example = "pipeline: shop\n" + example
	}
	if !strings.Contains(example, "steps:") {
		example += "steps: [{run: a, script: a}]\n"
	}
	if !strings.Contains(example, "environments:") {
		example += "environments: {production: {target: {process: {command: ./shop}}}}\n"
	}
	return example
}

func TestTheReferenceNamesEveryKey(t *testing.T) {
	page := reference(t)
	var walk func(s *shape)
	walk = func(s *shape) {
		fields := s.fields
		for _, v := range s.variants {
			fields = append(fields, v.fields...)
		}
		for _, f := range fields {
			if !strings.Contains(page, "`"+f.key) && !strings.Contains(page, f.key+": ") && !strings.Contains(page, f.key+"}`") {
				t.Errorf("the page does not name %s", f.key)
			}
			if !f.later { // of what comes later, the page names the outermost key
				walk(f.shape)
			}
		}
		for _, e := range s.either {
			if !e.later {
				walk(e)
			}
		}
		if s.of != nil {
			walk(s.of)
		}
	}
	walk(grammar())
}
