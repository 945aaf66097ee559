package web_test

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshots names the variable with the folder that pictures of the pages go to, for whoever changes how they look. Without
// it none are taken.
const screenshots = "TOWPATH_SCREENSHOTS"

// shot takes a picture of the page that is open, in a colour scheme.
func (b *browser) shot(name, scheme string) {
	b.Helper()
	folder := os.Getenv(screenshots)
	if folder == "" {
		return
	}
	var picture []byte
	b.does(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.FullScreenshot(&picture, 100))
	name = strings.NewReplacer("/", "_", "?", "_").Replace(name) + "-" + scheme + ".png"
	must(b.T, os.WriteFile(filepath.Join(folder, name), picture, 0o600))
}
