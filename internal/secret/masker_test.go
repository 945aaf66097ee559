package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath/internal/secret"
)

// written masks chunks as they come, and returns everything that got out.
func written(t interface{ Fatal(...any) }, m *secret.Masker, chunks ...string) string {
	var out bytes.Buffer
	w := m.Writer(&out)
	for _, chunk := range chunks {
		if n, err := io.WriteString(w, chunk); err != nil || n != len(chunk) {
			t.Fatal(n, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func cut(t *rapid.T, text string) []string {
	var chunks []string
	for len(text) > 0 {
		n := rapid.IntRange(1, len(text)).Draw(t, "chunk")
		chunks, text = append(chunks, text[:n]), text[n:]
	}
	return chunks
}

// encodings are what tools would print of a secret inside other text.
func encodings(before, value, after string) map[string]string {
	inside := before + value + after
	quoted, _ := json.Marshal(value)
	return map[string]string{
		"raw": value, "json": string(quoted[1 : len(quoted)-1]), "query": url.QueryEscape(value), "path": url.PathEscape(value),
		"hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
		"base64": base64.StdEncoding.EncodeToString([]byte(inside)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(inside)),
		"shell": strings.ReplaceAll(value, "'", `'\''`),
	}
}

// base64Core is the part of the encoded text that only the secret determines.
func base64Core(before, value string) (from, to int) {
	return (len(before)*8 + 5) / 6, (len(before) + len(value)) * 8 / 6
}

func TestNoSecretAndNoneOfItsFormsGetsOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z"'+/=&<\\$ü%]{2}[a-z"'+/=&<\\ $ü%]{0,28}[A-Z0-9"']{3,20}`).Draw(t, "secret")
		m := secret.NewMasker(value, "another-secret", value[2:])
		before := rapid.StringMatching(`[a-z \n]{0,9}`).Draw(t, "before")
		after := rapid.StringMatching(`[a-z \n]{0,9}`).Draw(t, "after")
		for name, form := range encodings(before, value, after) {
			text := before + form + after
			out := written(t, m, cut(t, text)...)
			gone := form
			if strings.HasPrefix(name, "base64") {
				from, to := base64Core(before, value)
				gone = form[from:to]
			}
			if strings.Contains(out, gone) {
				t.Fatalf("%s: %q got out as %q", name, gone, out)
			}
			if !strings.HasPrefix(out, before) || !strings.HasSuffix(out, after) || !strings.Contains(out, secret.Mask) {
				t.Fatalf("%s: %q became %q", name, text, out)
			}
		}
	})
}

func TestChunkingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[ab]{4,9}`), 1, 4).Draw(t, "secrets")
		m := secret.NewMasker(secrets...)
		text := rapid.StringMatching(`[abc\n]{0,60}`).Draw(t, "text")
		whole, pieces := m.Mask(text), written(t, m, cut(t, text)...)
		if whole != pieces {
			t.Fatalf("%q whole gives %q, in pieces %q", text, whole, pieces)
		}
		for _, s := range secrets {
			if strings.Contains(whole, s) {
				t.Fatalf("%q is in %q", s, whole)
			}
		}
	})
}

func TestTextWithoutSecretsIsUnchanged(t *testing.T) {
	m := secret.NewMasker("s3cr3t-t0ken", "pässwörd", strings.Repeat("k", 200))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9 \n.ks]{0,200}`).Draw(t, "text")
		if got := written(t, m, cut(t, text)...); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestACompleteLineIsOutAtOnce(t *testing.T) {
	m := secret.NewMasker("line one of it\nline two of it\n", "token")
	var out bytes.Buffer
	w := m.Writer(&out)
	fmt.Fprint(w, "hello\nline one of it\n")
	if out.String() != "hello\n***\n" {
		t.Errorf("after two lines: %q", out.String())
	}
	fmt.Fprint(w, "progress: to")
	if out.String() != "hello\n***\nprogress: " {
		t.Errorf("only what may be a secret is kept back: %q", out.String())
	}
	fmt.Fprint(w, "p\n")
	if out.String() != "hello\n***\nprogress: top\n" {
		t.Errorf("and no longer than it may be one: %q", out.String())
	}
}

func TestEachLineOfAPrivateKeyIsMasked(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\r\n  EFAASCBKcwggSjAgEAAoIBAQ\n-----END KEY-----\n"
	m := secret.NewMasker(key)
	out := m.Mask(strings.ReplaceAll(key, "\n", "\r\n") + "EFAASCBKcwggSjAgEAAoIBAQ")
	if strings.Contains(out, "MIIE") || strings.Contains(out, "EFAA") {
		t.Errorf("got out: %q", out)
	}
	if out := secret.NewMasker("a\nb\ncc\n").Mask("x a\nb\ncc y"); out != "x *** y" {
		t.Errorf("of short lines: %q", out)
	}
}

func TestWhatRealToolsMakeOfASecretIsMasked(t *testing.T) {
	value := strings.Repeat("It's $a \"long\" one & <more>/+\\ ", 6)
	m := secret.NewMasker(value)
	for _, script := range []string{
		`printf %s "$S"`, `printf %q "$S"`, `printf '%s\n' "$S" | base64`, `printf 'user:%s' "$S" | base64 -w0`,
		`printf %s "$S" | od -An -tx1 | tr -d ' \n'`, `set -x; : "$S"`, `declare -p S`,
	} {
		cmd := exec.Command("bash", "-c", script)
		cmd.Env = []string{"S=" + value, "PATH=/usr/bin:/bin"}
		printed, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, printed)
		}
		masked := m.Mask(string(printed))
		if !strings.Contains(masked, secret.Mask) || len(masked) > len(printed)/3+20 {
			t.Errorf("%s:\n%s\nbecame\n%s", script, printed, masked)
		}
	}
}

func TestAShortSecretIsRefused(t *testing.T) {
	for _, value := range []string{"", "abc", "  a  \n"} {
		if err := secret.CheckMaskable(value); !errors.Is(err, secret.ErrTooShort) {
			t.Errorf("%q: %v", value, err)
		}
		if got := secret.NewMasker(value).Mask("abc"); got != "abc" {
			t.Errorf("%q masks %q", value, got)
		}
	}
	if err := secret.CheckMaskable("abcd"); err != nil {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnOutputThatFailsIsReported(t *testing.T) {
	w := secret.NewMasker("token").Writer(failing{})
	if _, err := io.WriteString(w, "text"); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// BenchmarkMasker masks ten secrets in lines of 106 bytes; the plain copy beside it is the limit.
func BenchmarkMasker(b *testing.B) {
	var secrets []string
	for i := range 10 {
		secrets = append(secrets, fmt.Sprintf("s3cr3t-%d-%s", i, strings.Repeat(string(rune('a'+i)), 30)))
	}
	var text bytes.Buffer
	for i := 0; text.Len() < 32<<10; i++ {
		line := fmt.Sprintf("2026-11-22T19:45:%02d step %06d compiling internal/some/package/file_%d.go with options -a -b -c", i%60, i, i)
		fmt.Fprintf(&text, "%-105s\n", line)
	}
	ways := map[string]io.Writer{"masked": secret.NewMasker(secrets...).Writer(discard{}), "copy": discard{}}
	for name, w := range ways {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				_, _ = w.Write(text.Bytes())
			}
		})
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			secret.NewMasker(secrets...)
		}
	})
}

// discard copies, as a writer into a buffer would.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(bytes.Clone(p)), nil }
