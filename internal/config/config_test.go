package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/secret"
)

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "towpath.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheFileWinsOverDefaultsAndTheEnvironmentOverTheFile(t *testing.T) {
	path := settingsFile(t, "listen: 0.0.0.0:9000\nworker: {slots: 8, labels: [gpu]}\nkeep: {logs: 24h}\nalerts: {webhook: http://a.example}\n")
	t.Setenv("TOWPATH_WORKER_SLOTS", "3")
	t.Setenv("TOWPATH_KEEP_RUNS", "240h")
	t.Setenv("TOWPATH_ALERTS_WEBHOOK_SECRET", "s3cret")
	s, err := config.LoadServer(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err == nil || !strings.Contains(err.Error(), "keep.artifacts") {
		t.Errorf("artifacts that outlive their runs are %v", err)
	}
	if s.Listen != "0.0.0.0:9000" || s.Worker.Slots != 3 || s.Worker.Labels[0] != "gpu" || s.Worker.Name != "server" {
		t.Errorf("the settings are %+v", s)
	}
	if s.Keep.Runs != 240*time.Hour || s.Keep.Logs != 24*time.Hour || s.Alerts.Webhook != "http://a.example" || s.Alerts.Secret != "s3cret" {
		t.Errorf("the settings are %+v", s)
	}
}

func TestStepsAreKeptApartAsTheSettingsSay(t *testing.T) {
	path := settingsFile(t, "worker: {isolation: user, isolation_users: 300000-300099, step_memory: 2GB, step_cpus: 1.5, step_processes: 100}\n")
	t.Setenv("TOWPATH_WORKER_ISOLATION", "namespaces")
	s, err := config.LoadServer(path)
	if err != nil {
		t.Fatal(err)
	}
	w := s.Worker
	if w.Isolation != confine.Namespaces || w.IsolationUsers.Count() != 100 || w.StepMemory != 2e9 || w.StepCPUs != 1.5 || w.StepProcesses != 100 {
		t.Errorf("the settings are %+v", w)
	}
	for _, wrong := range []string{"isolation: all", "isolation_users: 7", "step_memory: 1kB", "step_cpus: -1", "step_processes: 0"} {
		s, err := config.LoadServer(settingsFile(t, "worker: {"+wrong+"}\n"))
		if err == nil {
			err = s.Finish()
		}
		if err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestDefaultsAreWholeAndFinish(t *testing.T) {
	s, err := config.LoadServer("")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(s.Data) {
		t.Errorf("the settings are %+v", s)
	}
}

func TestAServerIsReachedWhereItListensUnlessItsAddressIsNamed(t *testing.T) {
	for _, c := range []struct{ listen, url, want string }{
		{config.DefaultListen, "", "http://127.0.0.1:9000"},
		{":0", "", "http://localhost:9000"},
		{"0.0.0.0:0", "", "http://localhost:9000"},
		{"[::]:0", "", "http://localhost:9000"},
		{"[::1]:0", "", "http://[::1]:9000"},
		{"build.example.com:0", "", "http://build.example.com:9000"},
		{"127.0.0.1:0", "https://towpath.example.com", "https://towpath.example.com"},
	} {
		s := config.DefaultServer()
		s.Listen, s.URL = c.listen, c.url
		if err := s.Finish(); err != nil {
			t.Errorf("%s: %v", c.listen, err)
		}
		if got := s.Address(9000); got != c.want {
			t.Errorf("a server that listens on %s is at %s, want %s", c.listen, got, c.want)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	s := config.DefaultServer()
	s.Listen, s.URL, s.Worker.Slots, s.Keep.Logs = "8470", "towpath.example.com", 0, -time.Hour
	s.Alerts.Webhook = "hooks.example.com"
	err := s.Finish()
	if towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Fatalf("it is %v", err)
	}
	for _, want := range []string{`listen: "8470"`, `url: "towpath.example.com"`, "worker.slots: 0", "keep.logs: -1h", "alerts.webhook"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in:\n%v", want, err)
		}
	}
}

func TestTheSameMistakesAreToldInTheSameOrder(t *testing.T) {
	texts := map[string]bool{}
	for range 20 {
		s := config.DefaultServer()
		s.Keep = config.Keep{Runs: -1, Logs: -2, Artifacts: -3, Deliveries: -4}
		texts[s.Finish().Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different texts", len(texts))
	}
}

func TestAFileThatIsWrongIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 1:2\nlabels: [gpu]\n": "labels",
		"worker: {slots: many}\n":      "slots",
	} {
		_, err := config.LoadServer(settingsFile(t, text))
		if towpath.CodeOf(err) != towpath.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %v", text, err)
		}
	}
	_, err := config.LoadServer(filepath.Join(t.TempDir(), "missing.yaml"))
	if towpath.CodeOf(err) != towpath.CodeNotFound {
		t.Errorf("a missing file is %v", err)
	}
	t.Setenv("TOWPATH_KEEP_LOGS", "soon")
	if _, err := config.LoadServer(""); towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Errorf("a variable that is no duration is %v", err)
	}
}

func TestAnEmptyFileIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "worker:\n  # slots: 4\nkeep:\nalerts:\nlisten:\ndata:\n"} {
		s, err := config.LoadServer(settingsFile(t, text))
		if err != nil || !reflect.DeepEqual(s, config.DefaultServer()) {
			t.Errorf("%q is %+v, %v", text, s, err)
		}
	}
}

func TestWhatIsKeptForEverOutlivesNothing(t *testing.T) {
	for keep, fine := range map[config.Keep]bool{
		{}:                               true,
		{Logs: time.Hour}:                true,
		{Runs: time.Hour}:                false, // its logs would be kept for ever
		{Runs: 2, Logs: 1, Artifacts: 2}: true,
		{Deliveries: -1}:                 false,
	} {
		s := config.DefaultServer()
		s.Keep = keep
		if err := s.Finish(); (err == nil) != fine {
			t.Errorf("%+v is %v", keep, err)
		}
	}
}

func TestCommandsThatHaveSecretsStandInTheFile(t *testing.T) {
	s, err := config.LoadServer(settingsFile(t, `
secret_commands:
  npm-token: {run: [vault, kv, get, -field=token, npm], projects: [shop, toys], keep: 5m}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	want := secret.Command{Args: []string{"vault", "kv", "get", "-field=token", "npm"}, Projects: []string{"shop", "toys"}, Keep: 5 * time.Minute}
	if got := s.Commands(); len(got) != 1 || !reflect.DeepEqual(got["npm-token"], want) {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		"secret_commands: {a: {projects: [shop]}}":                       "secret_commands.a.run: it has to be a program",
		"secret_commands: {a: {run: [vault]}}":                           "secret_commands.a.projects: it has to name",
		"secret_commands: {a b: {run: [vault], projects: [shop]}}":       "secret_commands.a b: a name has",
		"secret_commands: {a: {run: [vault], projects: [x], keep: -1s}}": "secret_commands.a.keep: -1s",
	} {
		s, err := config.LoadServer(settingsFile(t, text))
		if err == nil {
			err = s.Finish()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := config.LoadServer(settingsFile(t, "secret_commands: {a: {run: vault get, projects: [shop]}}")); err == nil {
		t.Error("a line for a shell is taken")
	}
	if s, err := config.LoadServer(settingsFile(t, "secret_commands:\nlisten: :0")); err != nil || len(s.SecretCommands) > 0 {
		t.Errorf("%+v, %v", s.SecretCommands, err)
	}
}
