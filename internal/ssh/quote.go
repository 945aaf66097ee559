package ssh

import "strings"

// quote makes any text one word of POSIX sh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// shellWord quotes only what needs it, for people to copy.
func shellWord(text string) string {
	isPlain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,~", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !isPlain(r) }) < 0 {
		return text
	}
	return quote(text)
}

// IsVariable says that a name can be one of sh's variables.
func IsVariable(name string) bool {
	for n, r := range name {
		isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !isLetter && (n == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// Words makes a line for a shell of words, each as it is.
func Words(words []string) string {
	quoted := make([]string, len(words))
	for n, word := range words {
		quoted[n] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// Assign is a line for POSIX sh that gives a variable a value.
func Assign(name, value string) string { return name + "=" + quote(value) + "\n" }
