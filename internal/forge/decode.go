package forge

import (
	"encoding/json"
	"errors"
	"fmt"
)

const (
	// MaxBody is the most bytes of a delivery that are read: what GitHub sends at most, the largest of them all.
	MaxBody = 25 << 20
	// maxDepth is how deep a delivery may be nested; those that forges send stay below a dozen.
	maxDepth = 64
)

// Why a body is not even decoded.
var (
	errTooLarge = fmt.Errorf("the delivery has more than %d bytes", MaxBody)
	errTooDeep  = fmt.Errorf("the delivery is nested deeper than %d levels", maxDepth)
	errEmpty    = errors.New("the delivery has no body")
)

// Decode reads a delivery's JSON. Fields that the type does not have are passed over.
func Decode(body []byte, into any) error {
	switch {
	case len(body) == 0:
		return errEmpty
	case len(body) > MaxBody:
		return errTooLarge
	case isDeeper(body, maxDepth):
		return errTooDeep
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the delivery: %w", err)
	}
	return nil
}

// isDeeper says whether JSON opens more than so many objects and arrays at once. It allocates nothing.
func isDeeper(body []byte, limit int) bool {
	depth, quoted, escaped := 0, false, false
	for _, b := range body {
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			if depth++; depth > limit {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}
