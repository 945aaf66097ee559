package worker

import (
	"testing"
	"time"
)

// printed is how long it takes to print so much, in pieces, on a clock that only waiting moves.
func printed(bytes int, isBeside bool) time.Duration {
	const piece = 64 << 10
	began := time.Unix(1_000_000, 0)
	now := began
	p := &pace{
		isBeside: func() bool { return isBeside },
		now:      func() time.Time { return now },
		wait:     func(d time.Duration) { now = now.Add(d) },
	}
	for range bytes / piece {
		p.spend(piece)
	}
	return now.Sub(began)
}

func TestWhoPrintsWithoutEndWaitsWhereOthersRun(t *testing.T) {
	for _, c := range []struct {
		bytes    int
		isBeside bool
		want     time.Duration
	}{
		{besideBurst, true, 0},
		{besideBurst + 10*besideRate, true, 10 * time.Second},
		{100 * besideRate, false, 0},
	} {
		if took := printed(c.bytes, c.isBeside); (took - c.want).Abs() > 10*time.Millisecond {
			t.Errorf("%d bytes, others beside it: %t: waited %s, expected %s", c.bytes, c.isBeside, took, c.want)
		}
	}
}

func TestWhoPrintsLittleAtATimeNeverWaits(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p := &pace{
		isBeside: func() bool { return true },
		now:      func() time.Time { return now },
		wait:     func(d time.Duration) { t.Errorf("waited %s", d) },
	}
	for range 100 {
		p.spend(besideRate / 2)
		now = now.Add(time.Second / 2)
	}
}
