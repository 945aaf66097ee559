package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/pipeline"
)

var update = flag.Bool("update", false, "write the golden files and the reference anew")

// story is one call of a verb on the shop's server.
type story struct {
	name  string
	call  string // arguments, apart by spaces
	input string
	doc   any // what each line under --json is; nil where there is none
}

// stories has every verb that speaks to a server.
var stories = []story{
	{name: "project_add", call: "project add https://git.example.com/shop.git --poll 10s", doc: added{}},
	{name: "project_list", call: "project list", doc: []client.Project{}},
	{name: "project_show", call: "project show", doc: client.Project{}},
	{name: "project_files", call: "project files shop", doc: client.PipelineFiles{}},
	{name: "project_pause", call: "project pause shop", doc: client.Project{}},
	{name: "project_resume", call: "project resume shop", doc: client.Project{}},
	{name: "project_remove", call: "project remove shop --yes", doc: removed{}},
	{name: "project_remove_unasked", call: "project remove shop"},
	{name: "project_add_private", call: "project add git@git.example.com:ana/blog.git --deploy-key --webhook --known-hosts -", input: "git.example.com ssh-ed25519 AAAA\n", doc: added{}},
	{name: "project_add_both_on_input", call: "project add https://git.example.com/shop.git --token-file - --known-hosts -"},
	{name: "project_rename", call: "project rename shop store --yes", doc: client.Project{}},
	{name: "project_rename_unasked", call: "project rename shop store"},
	{name: "project_change", call: "project change shop --poll 0 --forks run --protect release/**", doc: client.Project{}},
	{name: "project_token", call: "project token shop", input: "gho_token\n", doc: client.Project{}},
	{name: "project_token_remove", call: "project token shop --remove", doc: client.Project{}},
	{name: "project_webhook", call: "project webhook shop --rotate", doc: client.Webhook{}},
	{name: "project_webhook_known", call: "project webhook shop", doc: client.Webhook{}},
	{name: "project_webhook_drop", call: "project webhook shop --drop-previous", doc: client.Project{}},
	{name: "deliveries", call: "deliveries shop", doc: []client.Delivery{}},
	{name: "deliveries_show", call: "deliveries show shop 1204", doc: client.Delivery{}},
	{name: "deliveries_replay", call: "deliveries replay shop 1204", doc: client.Delivery{}},
	{name: "deliveries_replay_no_number", call: "deliveries replay shop latest"},
	{name: "secret_put", call: "secret put shop SMTP_PASSWORD --branch release/**", input: "hunter2\r\n", doc: client.Secret{}},
	{name: "secret_put_file", call: "secret put shop SMTP_PASSWORD", input: "first line\nsecond line\n", doc: client.Secret{}},
	{name: "secret_put_from", call: "secret put shop SMTP_PASSWORD --from smtp", doc: client.Secret{}},
	{name: "secret_put_nothing", call: "secret put shop SMTP_PASSWORD", input: "\n"},
	{name: "secret_list", call: "secret list", doc: []client.Secret{}},
	{name: "secret_uses", call: "secret uses shop DATABASE_URL", doc: []client.SecretUse{}},
	{name: "secret_rotate_key", call: "secret rotate-key --forget --yes", doc: client.KeyRotation{}},
	{name: "secret_rotate_key_unasked", call: "secret rotate-key --forget"},
	{name: "secret_remove", call: "secret remove shop SMTP_PASSWORD", doc: removed{}},
	{name: "run", call: "run --branch main", doc: client.Run{}},
	{name: "run_detached", call: "run shop --detach", doc: client.Run{}},
	{name: "run_inputs", call: "run shop --detach --input size=large --input reason=the=sale --input empty=", doc: client.Run{}},
	{name: "run_inputs_wrong", call: "run shop --input size"},
	{name: "run_inputs_twice", call: "run shop --input size=large --input size=small"},
	{name: "changes", call: "changes --limit 100 --before 1050", doc: []client.Change{}},
	{name: "changes_allow", call: "changes allow shop 1042", doc: client.Change{}},
	{name: "changes_allow_number", call: "changes allow shop latest"},
	{name: "changes_allow_run", call: "changes allow shop 1040"},
	{name: "status_inputs", call: "status shop#126", doc: client.Run{}},
	{name: "runs", call: "runs shop --state failed", doc: []client.Run{}},
	{name: "status", call: "status", doc: overview{}},
	{name: "status_waiting", call: "status shop#128", doc: client.Run{}},
	{name: "status_failed", call: "status 127", doc: client.Run{}},
	{name: "status_queued", call: "status desktop#7", doc: client.Run{}},
	{name: "status_failed_followed", call: "status shop#127 --follow", doc: client.Run{}},
	{name: "cancel", call: "cancel shop#128", doc: client.Run{}},
	{name: "cancel_which", call: "cancel"},
	{name: "rerun", call: "rerun shop#127 --failed --detach", doc: client.Run{}},
	{name: "rerun_followed", call: "rerun shop#127 --failed", doc: client.Run{}},
	{name: "shell_refused", call: "shell unit --run shop#127"},
	{name: "shell_nothing_failed", call: "shell no-such-step"},
	{name: "rerun_both", call: "rerun shop#127 --failed --step unit"},
	{name: "approve", call: "approve --yes --reason tested", doc: client.Approval{}},
	{name: "approve_unasked", call: "approve shop 128 release"},
	{name: "reject", call: "reject shop#128 --yes", doc: client.Approval{}},
	{name: "board", call: "board", doc: client.Board{}},
	{name: "board_none", call: "board --state waiting --project blog", doc: client.Board{}},
	{name: "environments", call: "environments", doc: []client.Environment{}},
	{name: "environment", call: "environments production", doc: client.Environment{}},
	{name: "environment_unknown", call: "environments prod"},
	{name: "tests", call: "tests shop#127", doc: []client.StepTests{}},
	{name: "cache", call: "cache shop", doc: []client.CacheEntry{}},
	{name: "cache_clear", call: "cache clear shop --key go-", doc: client.Cleared{}},
	{name: "releases", call: "releases production", doc: []client.Release{}},
	{name: "deployments", call: "deployments shop/production", doc: []client.Deployment{}},
	{name: "history", call: "history production", doc: []client.History{}},
	{name: "exec_none", call: "exec production", doc: []client.Errand{}},
	{name: "exec_refused", call: "exec production true"},
	{name: "history_one", call: "history production 42", doc: client.History{}},
	{name: "plan", call: "plan production 42", doc: client.Plan{}},
	{name: "deploy", call: "deploy production 42", doc: client.Deployment{}},
	{name: "deploy_detached", call: "deploy production 42 --detach --reason sale", doc: client.Deployment{}},
	{name: "deploy_from", call: "deploy production --from staging --detach", doc: client.Deployment{}},
	{name: "deploy_both", call: "deploy production 42 --from staging"},
	{name: "deploy_no_number", call: "deploy production latest"},
	{name: "rollback", call: "rollback staging --reason slow", doc: client.Deployment{}},
	{name: "rollback_to", call: "rollback staging --to 40 --detach", doc: client.Deployment{}},
	{name: "rollback_detached_directly", call: "rollback staging --direct --detach"},
	{name: "rollback_data_without_direct", call: "rollback staging --data elsewhere"},
	{name: "promote", call: "promote production", doc: client.Environment{}},
	{name: "freeze", call: "freeze production --reason sale", doc: client.Environment{}},
	{name: "freeze_every", call: "freeze --every production --reason sale --until 2026-12-24", doc: client.Freeze{}},
	{name: "freeze_project", call: "freeze --project shop --until 8h", doc: client.Freeze{}},
	{name: "freeze_both", call: "freeze production --project shop"},
	{name: "freeze_no_time", call: "freeze production --until later"},
	{name: "freezes", call: "freeze", doc: []client.Freeze{}},
	{name: "thaw", call: "thaw production", doc: client.Environment{}},
	{name: "thaw_every", call: "unfreeze --every production", doc: thawed{}},
	{name: "start", call: "start production --reason broken", doc: client.Deployment{}},
	{name: "start_no_reason", call: "start production"},
	{name: "start_nothing", call: "start production --reason broken --release 7"},
	{name: "environment_remove", call: "environment remove staging --yes --reason merged", doc: client.Deployment{}},
	{name: "environment_remove_unasked", call: "environment remove staging"},
	{name: "policy", call: "policy production", doc: client.Policy{}},
	{name: "policy_none", call: "policy shop/qa", doc: client.Policy{}},
	{name: "policy_set", call: "policy production --ref main,tags/v* --secret= --lift worker --protect", doc: client.Policy{}},
	{name: "gone", call: "gone production clock", doc: client.Environment{}},
	{name: "gone_no_process", call: "gone production"},
	{name: "unpin", call: "unpin production", doc: client.Environment{}},
	{name: "user_add", call: "user add cem --role shop=runner --role *=viewer", doc: client.Account{}},
	{name: "user_add_taken", call: "user add ana"},
	{name: "user_add_no_role", call: "user add cem --role shop"},
	{name: "user_list", call: "user list", doc: []client.Account{}},
	{name: "user_roles", call: "user roles ana shop=maintainer *=none", doc: client.Account{}},
	{name: "user_roles_unknown", call: "user roles anna shop=viewer"},
	{name: "user_link", call: "user link ana", doc: client.Account{}},
	{name: "user_remove", call: "user remove ana", doc: removed{}},
	{name: "group_add", call: "group add release-managers cem", doc: client.Group{}},
	{name: "group_add_new", call: "group add designers ana --role shop=viewer", doc: client.Group{}},
	{name: "group_list", call: "group list", doc: []client.Group{}},
	{name: "group_roles", call: "group roles release-managers blog=approver", doc: client.Group{}},
	{name: "group_remove", call: "group remove release-managers", doc: removed{}},
	{name: "group_remove_member", call: "group remove release-managers ben", doc: client.Group{}},
	{name: "token_add", call: "token add ci --project shop --permission run.start --valid 90d", doc: client.Token{}},
	{name: "token_add_never_valid", call: "token add ci --valid -1d"},
	{name: "token_list", call: "token list", doc: []client.Token{}},
	{name: "token_remove", call: "token remove ci", doc: removed{}},
	{name: "workers", call: "workers", doc: []client.Worker{}},
	{name: "workers_drain", call: "workers drain worker-1", doc: client.Worker{}},
	{name: "workers_resume", call: "workers resume worker-2", doc: client.Worker{}},
	{name: "workers_label", call: "workers label worker-1 --add gpu --remove big", doc: client.Worker{}},
	{name: "workers_remove", call: "workers remove worker-1", doc: removed{}},
	{name: "workers_remove_unknown", call: "workers remove barge-9"},
	{name: "workers_token", call: "workers token", doc: client.Token{}},
	{name: "audit", call: "audit", doc: []client.AuditEntry{}},
	{name: "login", call: "login --token twp_given", doc: signedIn{}},
	{name: "logout_unknown", call: "logout"},
	{name: "check_wrong", call: "check ../pipeline/testdata/wrong/look.yaml", doc: pipeline.Problems{}},
	{name: "check_right", call: "check ../pipeline/testdata/right/shop.yaml ../pipeline/testdata/right/parallel.yaml", doc: pipeline.Problems{}},
	{name: "check_expand", call: "check --expand ../pipeline/testdata/right/smallest.yaml", doc: []expanded{}},
	{name: "check_nothing_there", call: "check testdata"},
}

func TestVerbsTellPeopleWhatIsSo(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			home(t)
			w := shopWorld(t)
			got := w.callWith(s.input, strings.Fields(s.call)...)
			isGolden(t, s.name, transcript(s.call, got, w.changes()))
		})
	}
}

// transcript is what a terminal would show, and what the server was asked to change.
func transcript(call string, a answer, changes []string) string {
	text := "$ towpath " + call + "\n" + a.out
	if a.err != "" {
		text += "--- standard error\n" + a.err
	}
	text += fmt.Sprintf("--- exit %d\n", a.code)
	for _, change := range changes {
		text += "--- asked " + change + "\n"
	}
	return text
}

func isGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		write(t, file, got)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./internal/cli -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s reads differently (-want +got):\n%s", file, diff)
	}
}

func TestProgramsGetTheTypesOfTheClientAndTheSameExitCode(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			home(t)
			text := shopWorld(t).callWith(s.input, strings.Fields(s.call)...)
			got := shopWorld(t).callWith(s.input, append(strings.Fields(s.call), "--json")...)
			if got.code != text.code {
				t.Errorf("exit code %d under --json, %d without", got.code, text.code)
			}
			if failed := decodes(t, got.err, failure{}) == 1; failed != (got.code != ExitDone) {
				t.Errorf("exit code %d, but standard error is %q", got.code, got.err)
			}
			if s.doc == nil && got.out != "" || s.doc != nil && decodes(t, got.out, s.doc) == 0 {
				t.Errorf("standard output is %q", got.out)
			}
		})
	}
}

// decodes reads documents of one type, with no field that the type does not have, and answers how many there are.
func decodes(t *testing.T, text string, like any) (documents int) {
	t.Helper()
	if text != "" && strings.Count(text, "\n") != strings.Count(strings.TrimSpace(text), "\n")+1 {
		t.Errorf("a document is not a line: %q", text)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	for ; ; documents++ {
		err := decoder.Decode(reflect.New(reflect.TypeOf(like)).Interface())
		if err == io.EOF {
			return documents
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
}

func TestEveryVerbHasAStory(t *testing.T) {
	told := map[string]bool{
		// These have tests of their own, or of the process that they are.
		"towpath log": true, "towpath logout": true, "towpath schema": true, "towpath version": true,
		"towpath server": true, "towpath worker": true, "towpath proxy": true, "towpath demo": true,
		"towpath backup": true, "towpath restore": true,
		"towpath simulate": true,
	}
	root := newRootCommand(&Console{})
	for _, s := range stories {
		verb, _, err := root.Find(strings.Fields(s.call))
		if err != nil {
			t.Fatal(err)
		}
		told[verb.CommandPath()] = true
	}
	var visit func(*cobra.Command)
	visit = func(command *cobra.Command) {
		if command.Hidden || told[command.CommandPath()] {
			return
		}
		for _, child := range command.Commands() {
			visit(child)
		}
		if !command.HasSubCommands() && command.Name() != "help" {
			t.Errorf("no story has %s", command.CommandPath())
		}
	}
	visit(root)
}
