package demo

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The fourth commit is worth showing only while the shop's tests do not see its mistake, and the fifth while its test does.
func TestTheMistakePassesAllTestsButTheOneThatMendsIt(t *testing.T) {
	folder := t.TempDir()
	if err := unpackShop(folder); err != nil {
		t.Fatal(err)
	}
	shop := &repository{clone: folder}
	change := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change(shop.replace("shop.go", lends, forgets))
	change(shop.replace("towpath.yaml", drained, drained+watches))
	if said, err := testsOf(t, folder); err != nil {
		t.Errorf("the tests see the mistake: %v\n%s", err, said)
	}
	change(shop.add("return_test.go", mendedTest))
	if said, err := testsOf(t, folder); err == nil || !strings.Contains(said, "TestEveryBasketComesBack") {
		t.Errorf("the new test does not see the mistake: %v\n%s", err, said)
	}
	change(shop.replace("shop.go", forgets, lends))
	if said, err := testsOf(t, folder); err != nil {
		t.Errorf("the mistake is mended: %v\n%s", err, said)
	}
	if asItWas := content(t, example, "shop.go"); content(t, folder, "shop.go") != asItWas {
		t.Error("the mended shop is another than before")
	}
}

func testsOf(t *testing.T, folder string) (said string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "test", "./...")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := command.CombinedOutput()
	return string(out), err
}
