package pipeline

import (
	"fmt"

	"github.com/towpath-cd/towpath"
)

// checkSteps doubts what is allowed but is probably not meant.
func (b *builder) checkSteps() {
	if b.order.behind == nil || b.failed() {
		return
	}
	for i, s := range b.out.Steps {
		switch s.Kind {
		case towpath.KindTest:
			b.checkTest(i, s)
		case towpath.KindApprove:
			b.checkApproval(i, s)
		case towpath.KindDeploy:
			b.checkDeploy(i, s)
		}
	}
}

// checkTest looks for a deployment that goes on beside a test which no deployment waits for. A test behind a
// deployment tests what was deployed, and nothing has to wait for it.
func (b *builder) checkTest(i int, test towpath.StepDefinition) {
	beside := ""
	for n, s := range b.out.Steps {
		switch {
		case s.Kind != towpath.KindDeploy:
		case b.order.behind[n].has(i) || b.order.behind[i].has(n):
			return
		default:
			beside = s.Name
		}
	}
	if beside != "" {
		b.doubt(b.steps[i].get("test").key, fmt.Sprintf("deploy %s does not wait for %s", beside, describe(test)),
			fmt.Sprintf("add %s to the needs of deploy %s", test.Name, beside))
	}
}

func (b *builder) checkApproval(i int, approve towpath.StepDefinition) {
	for n := range b.out.Steps {
		if b.order.behind[n].has(i) {
			return
		}
	}
	b.doubt(b.steps[i].get("approve").key, "nothing waits for "+describe(approve), "put what it allows below it, or into its needs")
}

func (b *builder) checkDeploy(i int, deploy towpath.StepDefinition) {
	if len(deploy.Ships) == 0 {
		b.doubt(b.steps[i].get("deploy").key, describe(deploy)+" ships nothing: no step it needs keeps artifacts",
			"add artifacts: to the step that builds it")
	}
}
