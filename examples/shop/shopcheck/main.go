// Command shopcheck asks a running shop for its pages and fails if one is not as it should be.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shopcheck URL")
		os.Exit(2)
	}
	release, err := check(strings.TrimSuffix(os.Args[1], "/"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "shopcheck:", err)
		os.Exit(1)
	}
	fmt.Println("ok: release", release)
}

// check returns the release that the shop at url runs, once it has proved that the shop works.
func check(url string) (release string, err error) {
	if _, _, err := get(url + "/healthz"); err != nil {
		return "", err
	}
	release, _, err = get(url + "/release")
	if err != nil {
		return "", err
	}
	release = strings.TrimSpace(release)
	front, _, err := get(url + "/")
	if err != nil {
		return "", err
	}
	if !strings.Contains(front, "release "+release) {
		return "", fmt.Errorf("the front page does not show release %s", release)
	}
	return release, whole(url + "/work?ms=5")
}

// whole checks that an answer has the digest that it names.
func whole(url string) error {
	body, header, err := get(url)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(body))
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if got := header.Get("Content-Digest"); got != want {
		return fmt.Errorf("%s: digest %s, but the body has %s", url, got, want)
	}
	return nil
}

// get reads a page that must answer 200.
func get(url string) (string, http.Header, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return string(body), answer.Header, nil
}
