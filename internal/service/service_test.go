package service_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/service"
)

var update = flag.Bool("update", false, "write the golden files anew")

// awkward holds all that a definition's format has to be told apart from.
func awkward() service.Unit {
	return service.Unit{
		Name: "towpath-worker", Description: "Towpath worker", Path: `/opt/a b/bin:/usr/bin`, Data: "/srv/a & b",
		Command: []string{"/bin/true", "worker", "--name", `50% "big" $HOME <1>\`, "--label", "a&b"}, As: "builder",
	}
}

func TestDefinitionsAreAsTheyWereAgreedOn(t *testing.T) {
	own := awkward()
	own.User = true
	for name, file := range map[string]service.File{
		"systemd": service.Systemd(awkward(), "/root"), "systemd-user": service.Systemd(own, "/home/ana"),
		"launchd": service.Launchd(awkward(), "/var/root"), "launchd-user": service.Launchd(own, "/Users/ana"),
	} {
		golden := filepath.Join("testdata", name+".txt")
		got := file.Path + "\n" + file.Text
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestSystemdReadsTheUnitAsItWasMeant asks systemd itself.
func TestSystemdReadsTheUnitAsItWasMeant(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: apt-get install systemd")
	}
	unit := awkward()
	unit.As = "root"
	path := filepath.Join(t.TempDir(), "towpath-worker.service")
	if err := os.WriteFile(path, []byte(service.Systemd(unit, "").Text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, filepath.Base(path)) {
		t.Errorf("systemd complains (%v):\n%s", err, text)
	}
	broken := strings.Replace(service.Systemd(unit, "").Text, "KillMode=process", "KillMode=kindly", 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.CommandContext(t.Context(), program, "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput(); !strings.Contains(string(out), "kindly") {
		t.Errorf("it would have said nothing of a wrong unit either: %s", out)
	}
}

// TestLaunchdsJobHoldsTheCommandAsItWasGiven reads the XML back; there is no launchd here to ask.
func TestLaunchdsJobHoldsTheCommandAsItWasGiven(t *testing.T) {
	unit := awkward()
	decoder := xml.NewDecoder(bytes.NewReader([]byte(service.Launchd(unit, "").Text)))
	var texts []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("it is not XML: %v", err)
		}
		start, is := token.(xml.StartElement)
		if !is || start.Name.Local != "string" {
			continue
		}
		var text string
		if err := decoder.DecodeElement(&text, &start); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	want := append([]string{"com.towpath-cd.towpath-worker"}, unit.Command...)
	want = append(want, "builder", unit.Path, "/srv/a & b/service.log")
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("the texts of the job (-want +got):\n%s", diff)
	}
}
