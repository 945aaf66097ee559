package pipeline

import (
	"time"

	"github.com/towpath-cd/towpath"
)

func stepShape() *shape {
	name := text(nameFormat())
	script := scriptFields()
	build := append([]field{
		{key: "build", doc: "makes artifacts; names the step", shape: name, required: true},
		{key: "run", doc: "the script; it stops at the first command that fails", shape: text(nil), required: true, aka: []string{"script", "command", "commands"}},
		{key: "packer", doc: "builds a machine image", later: true, shape: mapping(
			field{key: "template", doc: "packer's template", required: true, shape: text(keptPathFormat())},
			field{key: "vars", doc: "its variables", shape: table(variableFormat(), text(nil))},
		)},
	}, script...)
	test := append([]field{
		{key: "test", doc: "proves something; names the step", shape: name, required: true},
		{key: "run", doc: "the script; it stops at the first command that fails", shape: text(nil), required: true, aka: []string{"script", "command", "commands"}},
	}, script...)
	run := append([]field{
		{key: "run", doc: "any other script; names the step", shape: name, required: true},
		{key: "script", doc: "the script; it stops at the first command that fails", shape: text(nil), required: true},
	}, script...)
	approve := append([]field{{key: "approve", doc: "waits for people; names the step", shape: name, required: true}}, approveFields()...)
	deploy := append([]field{
		{key: "deploy", doc: "the environment that gets the release; names the step", shape: text(slugFormat("an environment's name")), required: true},
		{key: "uses", doc: "steps whose artifacts make the release; by default all it needs, directly or not", shape: several(nameFormat())},
	}, orderFields()...)
	return &shape{kind: kindVariants, variants: []variant{
		{"build", build}, {"test", test}, {"run", run}, {"approve", approve}, {"deploy", deploy},
	}}
}

func orderFields() []field {
	return []field{
		{key: "needs", aka: []string{"depends_on", "depends", "after", "requires"}, doc: "steps that have to end before; by default every step above that nothing else above needs", shape: several(nameFormat())},
		{key: "when", aka: []string{"if", "only", "condition"}, doc: "an expression over the change; always() and failed() say after which outcomes", shape: text(nil)},
	}
}

func scriptFields() []field {
	return append(orderFields(),
		field{key: "shell", doc: "the command that runs the script, such as bash -euo pipefail; by default the worker's", shape: text(nil)},
		field{key: "worker", aka: []string{"runs-on", "runner", "agent", "node"}, doc: "which workers may run it", shape: workerShape()},
		field{key: "env", aka: []string{"environment", "variables"}, doc: "variables", shape: variablesShape()},
		field{key: "secrets", doc: "names of secrets that the server grants; {name: …, as: file} is seen as a file", shape: secretsShape()},
		field{key: "uses", doc: "steps whose artifacts stand in the workspace; by default all it needs, directly or not", shape: several(nameFormat())},
		field{key: "artifacts", doc: "paths that are kept", shape: several(keptPathFormat())},
		field{key: "platform", doc: "any, where the artifacts run everywhere; by default the worker's own", shape: words("any")},
		field{key: "timeout", doc: "how long an attempt may take", fallback: "1h", shape: duration(time.Second, 7*day)},
		field{key: "retry", doc: "when another attempt follows one that did not pass", shape: either(mapping(
			field{key: "lost", doc: "how many lost workers it survives; 3 for build and test, 0 for run", shape: number(0, 10)},
			field{key: "times", doc: "how many failures it survives, of which a timeout is one; none where it is not said", shape: number(0, 10)},
			field{key: "codes", doc: "only failures with one of these exit codes; by default any", shape: list(number(1, 1<<31-1))},
		), number(0, 10))},
		field{key: "clean", doc: "begins with an empty HOME", fallback: "false", shape: yesNo()},
		field{key: "inside", aka: []string{"container", "image", "docker"}, doc: "the container that it runs in, by its image; by default the worker's own shell", shape: insideShape()},
		field{key: "services", doc: "what runs beside the step", shape: servicesShape()},
		field{key: "network", doc: "none: it reaches nothing but itself and its services", fallback: "host", shape: words("host", towpath.NetworkNone)},
		field{key: "matrix", aka: []string{"strategy", "axes"}, doc: "runs the step once for each combination of values; exclude leaves combinations out, include adds some", shape: matrixShape()},
		field{key: "cache", doc: "folders kept under a key, for later steps", shape: cacheShape()},
		field{key: "reports", doc: "test reports, as globs of files in JUnit's format", shape: reportsShape()},
		field{key: "checkout", doc: "what of the repository stands in the workspace", shape: mapping(
			field{key: "submodules", doc: "the files of submodules as well", fallback: "false", shape: yesNo()},
			field{key: "lfs", doc: "the content of large files as well, by git-lfs", fallback: "false", shape: yesNo()},
			field{key: "depth", aka: []string{"fetch-depth"}, doc: "how many commits of history git sees; 0 is all", fallback: "0", shape: number(0, 100_000)},
		)},
	)
}

// matrixShape is keys with their values; exclude and include, which are no keys of that kind, hold combinations.
func matrixShape() *shape {
	whole := number(-1<<31, 1<<31-1)
	return table(variableFormat(), list(either(text(nil), whole, table(variableFormat(), either(text(nil), whole)))))
}

func approveFields() []field {
	who := matching("a group or a person", `^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$`, "write the name of a group, or a list of people")
	return append(orderFields(),
		field{key: "by", aka: []string{"approvers", "reviewers", "users", "groups"}, doc: "the group or the people who decide", required: true, shape: several(who)},
		field{key: "count", doc: "how many have to agree", fallback: "1", shape: number(1, maxApprovals)},
		field{key: "within", doc: "then it expires, and the run stops", fallback: "7d", shape: duration(time.Minute, 365*day)},
		field{key: "author", doc: "the change's author may decide", fallback: "false", shape: yesNo()},
		field{key: "message", doc: "what people are told besides the change and the plan", shape: text(nil)},
		field{key: "remind", doc: "after how long those who have not decided are reminded", later: true, shape: duration(time.Minute, 365*day)},
		field{key: "escalate", doc: "after how long who else is asked", later: true, shape: mapping(
			field{key: "after", doc: "how long", required: true, shape: duration(time.Minute, 365*day)},
			field{key: "to", doc: "who", required: true, shape: several(who)},
		)},
	)
}
