package pipeline

import (
	"time"

	"github.com/towpath-cd/towpath"
)

func triggerShape() *shape {
	return mapping(
		field{key: "push", doc: "a branch moved", shape: either(yesNo(), mapping(
			field{key: "branches", doc: "globs of branches; by default the default branch", shape: several(globFormat())},
			field{key: "paths", doc: "globs of files, one of which has to have changed; by default any", shape: several(globFormat())},
		))},
		field{
			key: "poll", doc: "how often to look for new revisions where no webhook tells of them, or off", fallback: "2m",
			shape: either(&shape{kind: kindDuration, low: time.Second, high: day, words: []word{{text: "off"}}}, yesNo()),
		},
		field{key: "manual", doc: "people and programs may ask for a run", fallback: "true", shape: either(yesNo(), mapping(
			field{key: "inputs", doc: "what is asked for beforehand", shape: table(variableFormat(), inputShape())},
		))},
		field{key: "tag", doc: "a tag appeared or moved: any, or those that fit a glob", shape: either(yesNo(), text(globFormat()), list(text(globFormat())))},
		field{key: "pull_request", doc: "a pull request was opened, or has new commits", shape: either(yesNo(), mapping(
			field{key: "branches", doc: "globs of branches that it goes to; by default the default branch", shape: several(globFormat())},
			field{key: "paths", doc: "globs of files, one of which it has to change; by default any", shape: several(globFormat())},
		))},
		field{key: "schedule", doc: "the clock says so", shape: either(text(cronFormat()), scheduleShape(),
			list(either(text(cronFormat()), scheduleShape())))},
		field{key: "pipeline", doc: "another pipeline passed on its project's default branch", shape: several(slugFormat("a pipeline's name"))},
	)
}

// cronFormat is for editors: what it does not tell is found by schedule, which can point at the field that is wrong.
func cronFormat() *format {
	return &format{what: `a time such as "30 2 * * *"`, pattern: `^ *[^ ]+( +[^ ]+){4} *$`, check: func(string) (string, string) { return "", "" }}
}

func scheduleShape() *shape {
	return mapping(
		field{key: "cron", doc: "minute, hour, day of the month, month, day of the week", required: true, shape: text(cronFormat())},
		field{key: "zone", doc: "time zone, such as Europe/Vienna; by default UTC", shape: text(nil)},
	)
}

func inputShape() *shape {
	return mapping(
		field{key: "type", doc: "what it is", fallback: string(towpath.InputText), shape: words(
			string(towpath.InputText), string(towpath.InputNumber), string(towpath.InputChoice), string(towpath.InputYesNo))},
		field{key: "choices", doc: "of a choice", shape: list(text(nil))},
		field{key: "default", doc: "where nothing is said; without it something has to be", shape: either(
			&shape{kind: kindText, empty: true}, number(-1<<53, 1<<53), yesNo())},
	)
}
