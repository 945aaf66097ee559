//go:build linux

package hosts_test

import (
	"testing"

	"github.com/towpath-cd/towpath/internal/target/errandtest"
)

func TestACommandOfAPersonRunsOnAHost(t *testing.T) {
	f := newFleet(t, 1)
	f.files["greeting"] = "hello\n"
	f.deploys(42, 1)
	f.release.Env["production"]["GREETING"] = "it's $5"
	ids, _ := f.ids(1)
	errandtest.Way{Target: f.Driver, Epoch: f.epoch, Release: f.release, Instance: f.sees(ids[0]), Token: "geheimnis$1"}.Run(t)
}
