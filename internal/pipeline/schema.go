package pipeline

import (
	"encoding/json"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema is the JSON Schema of the pipeline file, for editors. It admits what this version supports.
func Schema() *jsonschema.Schema {
	s := grammar().schema()
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "Towpath's pipeline file"
	return s
}

func (s *shape) schema() *jsonschema.Schema {
	switch s.kind {
	case kindText:
		return s.textSchema()
	case kindNumber:
		low, high := float64(s.min), float64(s.max)
		return &jsonschema.Schema{Type: "integer", Minimum: &low, Maximum: &high}
	case kindDecimal:
		return &jsonschema.Schema{Type: "number"}
	case kindFlag:
		return &jsonschema.Schema{Type: "boolean"}
	case kindDuration:
		return s.durationSchema()
	case kindList:
		return &jsonschema.Schema{Type: "array", Items: s.of.schema()}
	case kindTable:
		return s.tableSchema()
	case kindOneOf:
		return s.oneOfSchema()
	case kindVariants:
		return s.variantsSchema()
	case kindEither:
		return s.eitherSchema()
	default:
		return mappingSchema(s.fields)
	}
}

func (s *shape) textSchema() *jsonschema.Schema {
	if len(s.words) > 0 {
		return enum(supportedWords(s.words))
	}
	text := &jsonschema.Schema{Type: "string"}
	if s.format != nil {
		text.Pattern = s.format.pattern
	}
	if !s.empty {
		one := 1
		text.MinLength = &one
	}
	return text
}

func (s *shape) durationSchema() *jsonschema.Schema {
	duration := &jsonschema.Schema{Type: "string", Pattern: durationPattern}
	if len(s.words) == 0 {
		return duration
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{duration, enum(wordTexts(s.words))}}
}

func (s *shape) tableSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", AdditionalProperties: s.of.schema(),
		PropertyNames: &jsonschema.Schema{Pattern: s.keys.pattern},
	}
}

// oneOfSchema admits a mapping with one of the keys, and the keys that may stand as a word.
func (s *shape) oneOfSchema() *jsonschema.Schema {
	var bare []string
	settings := mappingSchema(s.fields)
	one := 1
	settings.MinProperties, settings.MaxProperties = &one, &one
	settings.Required = nil
	for _, f := range s.fields {
		if f.bare && !f.later {
			bare = append(bare, f.key)
		}
	}
	if len(bare) == 0 {
		return settings
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{enum(bare), settings}}
}

func (s *shape) variantsSchema() *jsonschema.Schema {
	kinds := make([]*jsonschema.Schema, len(s.variants))
	for i, v := range s.variants {
		kinds[i] = mappingSchema(v.fields)
	}
	return &jsonschema.Schema{AnyOf: kinds}
}

func (s *shape) eitherSchema() *jsonschema.Schema {
	var forms []*jsonschema.Schema
	for _, e := range s.either {
		if !e.later {
			forms = append(forms, e.schema())
		}
	}
	if len(forms) == 1 {
		return forms[0]
	}
	return &jsonschema.Schema{AnyOf: forms}
}

// mappingSchema admits the keys that are supported, and no others.
func mappingSchema(fields []field) *jsonschema.Schema {
	m := &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for _, f := range fields {
		if f.later {
			continue
		}
		property := f.shape.schema()
		property.Description = f.doc
		property.Default = f.schemaDefault()
		m.Properties[f.key] = property
		m.PropertyOrder = append(m.PropertyOrder, f.key)
		if f.required {
			m.Required = append(m.Required, f.key)
		}
	}
	return m
}

// schemaDefault is the default as JSON.
func (f field) schemaDefault() json.RawMessage {
	if f.fallback == "" {
		return nil
	}
	if _, err := strconv.Atoi(f.fallback); err == nil || f.fallback == "true" || f.fallback == "false" {
		return json.RawMessage(f.fallback)
	}
	return json.RawMessage(strconv.Quote(f.fallback))
}

func enum(texts []string) *jsonschema.Schema {
	values := make([]any, len(texts))
	for i, t := range texts {
		values[i] = t
	}
	return &jsonschema.Schema{Type: "string", Enum: values}
}
