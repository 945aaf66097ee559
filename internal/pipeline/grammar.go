package pipeline

import (
	"sync"

	"github.com/towpath-cd/towpath"
)

// Limits on how much a file may ask for.
const (
	maxSteps        = 1000
	maxEnvironments = 200
	maxInstances    = 1000
	maxApprovals    = 100
)

// grammar is the table of the whole file. It is made once, because it never changes.
var grammar = sync.OnceValue(func() *shape {
	return mapping(
		field{key: "pipeline", aka: []string{"name"}, doc: "name of the pipeline; without it, a file in .towpath/ is named by its own name", shape: text(slugFormat("a pipeline's name"))},
		field{key: "on", aka: []string{"trigger", "triggers"}, doc: "which changes become runs", shape: triggerShape()},
		field{key: "concurrency", doc: "what a newer change does to an older run of the same branch", fallback: "supersede", shape: choice(
			word{text: string(towpath.ConcurrencySupersede)}, word{text: string(towpath.ConcurrencyQueue)}, word{text: string(towpath.ConcurrencyParallel)})},
		field{key: "alerts", doc: "who is told of what", shape: alertShape()},
		field{key: "steps", aka: []string{"jobs", "stages"}, doc: "what is done, in its order", required: true, shape: list(stepShape())},
		field{key: "environments", aka: []string{"env", "envs"}, doc: "where releases run", shape: table(slugFormat("an environment's name"), environmentShape())},
	)
})

func alertShape() *shape {
	who := several(matching("someone to tell", `^[^\s]+$`, `write author, a group, an address or a channel such as "#releases"`))
	return mapping(
		field{key: string(towpath.AlertBroke), doc: "a run failed, and the one before it had passed", fallback: "author", shape: who},
		field{key: string(towpath.AlertStillBroke), doc: "it failed again", fallback: "author", shape: who},
		field{key: string(towpath.AlertFixed), doc: "it passes again", fallback: "author", shape: who},
		field{key: string(towpath.AlertApproval), doc: "a decision is wanted: who is told besides those who decide", shape: who},
		field{key: string(towpath.AlertDeployed), doc: "a release is live", fallback: "author", shape: who},
		field{key: string(towpath.AlertReturned), doc: "an environment went back by itself", fallback: "author", shape: who},
		field{key: string(towpath.AlertHalted), doc: "going back failed as well", fallback: "author", shape: who},
	)
}

// workerShape is linux/amd64, or linux, or labels, or all of them.
func workerShape() *shape {
	label := labelFormat()
	return either(
		text(platformFormat(workerPattern, "a kind of worker")),
		list(text(label)),
		mapping(
			field{key: "os", doc: "operating system, such as linux", shape: text(systemFormat())},
			field{key: "arch", doc: "architecture, such as amd64", shape: text(architectureFormat())},
			field{key: "labels", doc: "labels that it has to have", shape: several(label)},
		))
}

func variablesShape() *shape {
	return table(envFormat(), &shape{kind: kindText, empty: true})
}
