package config_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/config"
)

func TestASizeIsReadAndWrittenAlike(t *testing.T) {
	for text, want := range map[string]config.Size{
		"256MB": 256e6, "1GB": 1e9, "1500kB": 1500e3, "999B": 999, "7": 7, "0": 0, "10 MB": 10e6,
	} {
		var size, again config.Size
		if err := size.UnmarshalText([]byte(text)); err != nil || size != want {
			t.Errorf("%s is %d, %v", text, size, err)
		}
		if err := again.UnmarshalText([]byte(size.String())); err != nil || again != size {
			t.Errorf("%s is written %s, which is %d, %v", text, size, again, err)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "1.5GB", "256 mb", "99999999999GB"} {
		var size config.Size
		if err := size.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %s", text, size)
		}
	}
}

func TestTheLimitOfALogComesFromTheFileOrTheEnvironment(t *testing.T) {
	s, err := config.LoadServer(settingsFile(t, "log_limit: 2GB\n"))
	if err != nil || s.LogLimit != 2e9 {
		t.Errorf("from the file: %s, %v", s.LogLimit, err)
	}
	if s, err = config.LoadServer(settingsFile(t, "log_limit:\n")); err != nil || s.LogLimit != 256e6 {
		t.Errorf("without a value: %s, %v", s.LogLimit, err)
	}
	t.Setenv("TOWPATH_LOG_LIMIT", "10kB")
	if s, err = config.LoadServer(""); err != nil || s.LogLimit != 10e3 {
		t.Errorf("from the environment: %s, %v", s.LogLimit, err)
	}
	if err := s.Finish(); err == nil {
		t.Error("a limit of 10kB is taken")
	}
}

func TestTheLimitsOfAnArtifactComeFromTheFileOrTheEnvironment(t *testing.T) {
	s, err := config.LoadServer(settingsFile(t, "artifact_limit: 2GB\nartifact_files: 7\n"))
	if err != nil || s.ArtifactLimit != 2e9 || s.ArtifactFiles != 7 {
		t.Errorf("from the file: %s, %d, %v", s.ArtifactLimit, s.ArtifactFiles, err)
	}
	if s, err = config.LoadServer(settingsFile(t, "artifact_limit:\nartifact_files:\n")); err != nil || s.ArtifactLimit != 20e9 || s.ArtifactFiles != 200_000 {
		t.Errorf("without a value: %s, %d, %v", s.ArtifactLimit, s.ArtifactFiles, err)
	}
	t.Setenv("TOWPATH_ARTIFACT_LIMIT", "10kB")
	t.Setenv("TOWPATH_ARTIFACT_FILES", "900000")
	if s, err = config.LoadServer(""); err != nil {
		t.Fatal(err)
	}
	err = s.Finish()
	for _, says := range []string{"artifact_limit: 10kB; an artifact may have at least 1MB", "artifact_files: 900000; it has to be from 1 to 400000"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
