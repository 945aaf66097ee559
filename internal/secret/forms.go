package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MinLength is the length in bytes of the shortest secret that can be masked. A shorter one would blacken
// ordinary text and be guessed from where it does.
const MinLength = 4

// ErrTooShort says that the value cannot be masked.
var ErrTooShort = errors.New("too short to be masked in logs")

// CheckMaskable says whether a value can be kept out of logs. Ask it when a secret is written.
func CheckMaskable(value string) error {
	if len(strings.TrimSpace(value)) < MinLength {
		return fmt.Errorf("a secret needs at least %d characters: %w", MinLength, ErrTooShort)
	}
	return nil
}

// forms returns every text that must not be seen when value is a secret: itself or its lines, and what the usual
// tools make of it.
func forms(value string) []string {
	value = strings.TrimSpace(value)
	if len(value) < MinLength {
		return nil
	}
	all := lines(value)
	all = append(all, base64Forms(value)...)
	all = append(all, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))))
	for _, line := range lines(value) {
		all = append(all, escaped(line)...)
	}
	return append(all, escaped(value)...)
}

// lines returns the lines of a value that are long enough to be masked by themselves: so no form spans lines, and
// no complete line waits for the next. A value of nothing but short lines is masked as a whole.
func lines(value string) []string {
	var long []string
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); len(line) >= MinLength {
			long = append(long, line)
		}
	}
	if len(long) == 0 {
		return []string{value, strings.ReplaceAll(value, "\n", "\r\n")}
	}
	return long
}

func escaped(value string) []string {
	quoted := jsonText(value)
	all := []string{
		url.QueryEscape(value), url.PathEscape(value), strings.ReplaceAll(url.QueryEscape(value), "+", "%20"),
		html.EscapeString(value),
		quoted, htmlUnescaped(quoted), strings.ReplaceAll(quoted, "/", `\/`),
		strings.ReplaceAll(value, `'`, `'\''`), strings.ReplaceAll(value, `'`, `'"'"'`),
		backslashed(value, "\"$`\\"), backslashed(value, " \t!\"#$&'()*,;<=>?[\\]^`{|}~"), backslashed(value, `\'`),
	}
	var single []string
	for _, form := range all {
		if !strings.ContainsRune(form, '\n') { // those are the lines', see there
			single = append(single, form)
		}
	}
	return single
}

func jsonText(value string) string {
	if !utf8.ValidString(value) {
		return value
	}
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	return string(text[1 : len(text)-1])
}

// htmlUnescaped is what other languages' encoders write where Go's writes \u003c.
func htmlUnescaped(text string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(text)
}

func backslashed(value, special string) string {
	var out strings.Builder
	for _, b := range []byte(value) {
		if strings.IndexByte(special, b) >= 0 {
			out.WriteByte('\\')
		}
		out.WriteByte(b)
	}
	return out.String()
}

// base64Forms returns value as it looks inside a longer encoded text, at each of the three alignments, without
// the characters that its neighbours have a part in; and the lines of a wrapped one.
func base64Forms(value string) []string {
	var all []string
	for shift := range 3 {
		padded := append(make([]byte, shift), value...)
		first, end := (shift*8+5)/6, len(padded)*8/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)[first:end]
			all = append(all, text)
			if shift == 0 {
				all = append(all, wrapped(text, 76)...) // base64(1)
				all = append(all, wrapped(text, 64)...) // openssl-enc(1), PEM
			}
		}
	}
	return all
}

// wrapped cuts text into lines of width, and leaves out a last one too short to mean anything.
func wrapped(text string, width int) []string {
	var all []string
	for ; len(text) > width; text = text[width:] {
		all = append(all, text[:width])
	}
	if len(all) > 0 && len(text) >= 2*MinLength {
		all = append(all, text)
	}
	return all
}
