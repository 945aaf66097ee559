package store

import (
	"encoding/json"
	"fmt"
)

// encode makes the document of a noun: its JSON, with Go's field names. A field that is renamed loses its value in what
// was stored before; the golden test of this package notices that.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

func decode[T any](doc string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

// document scans a row of one column, a document.
func document[T any](r row) (T, error) {
	var doc string
	if err := r.Scan(&doc); err != nil {
		var none T
		return none, err
	}
	return decode[T](doc)
}

// versioned is a document with its version.
type versioned[T any] struct {
	value   T
	version int
}

// versionedDocument scans a row of a document and its version.
func versionedDocument[T any](r row) (versioned[T], error) {
	var doc string
	var found versioned[T]
	if err := r.Scan(&doc, &found.version); err != nil {
		return found, err
	}
	value, err := decode[T](doc)
	found.value = value
	return found, err
}

// load answers one document and its version.
func load[T any](tx *Tx, otherwise error, query string, args ...any) (T, int, error) {
	found, err := one(tx, otherwise, versionedDocument[T], query, args...)
	return found.value, found.version, err
}

// text scans a row of one text.
func text(r row) (string, error) {
	var v string
	return v, r.Scan(&v)
}

// number scans a row of one number.
func number(r row) (int, error) {
	var v int
	return v, r.Scan(&v)
}
