package pipeline

import (
	"fmt"

	"github.com/towpath-cd/towpath"
)

// How a step sees a secret.
const (
	asVariable = "variable" // the variable holds the value
	asFile     = "file"     // it holds the path of a file with the value
)

// secretsShape is names, some of which may say that they are wanted as files.
func secretsShape() *shape {
	name := text(variableFormat())
	return either(name, list(either(name, mapping(
		field{key: "name", doc: "name of the secret, and of the variable", shape: name, required: true},
		field{key: "as", doc: "file: the variable holds the path of a file with the value", fallback: asVariable, shape: words(asVariable, asFile)},
	))))
}

// secrets reads the names of a step's secrets, and which of them are wanted as files.
func (b *builder) secrets(v *value) (names, files []string) {
	env := v.get("env").table()
	seen := map[string]bool{}
	for _, item := range v.get("secrets").each() {
		name := item
		if item.isMapping() {
			name = item.get("name")
		}
		if name == nil {
			continue // told already
		}
		if _, both := env[name.text]; both {
			b.unfit(name.at, name.text+" is both in env and in secrets", "keep one of them")
		}
		if seen[name.text] {
			b.unfit(name.at, fmt.Sprintf("secret %s stands here twice", name.text), "a step sees it as a variable or as a file; keep one of them")
			continue
		}
		seen[name.text] = true
		names = append(names, name.text)
		if item.get("as").string() == asFile {
			files = append(files, name.text)
		}
	}
	if names == nil && v.get("secrets") != nil {
		names = []string{}
	}
	return names, files
}

// secretsText writes them again.
func secretsText(names, files []string) string {
	isFile := map[string]bool{}
	for _, name := range files {
		isFile[name] = true
	}
	written := make([]string, len(names))
	for i, name := range names {
		written[i] = scalarText(name)
		if isFile[name] {
			written[i] = "{name: " + written[i] + ", as: " + asFile + "}"
		}
	}
	return bracketed(written)
}

func (w *writer) secrets(s towpath.ScriptDefinition) {
	if s.Secrets == nil {
		return
	}
	fmt.Fprintf(w, "    secrets: %s\n", secretsText(s.Secrets, s.SecretFiles))
}
