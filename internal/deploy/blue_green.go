package deploy

// blueGreen brings the goal up beside what serves, moves all traffic at once, and keeps the old side ready for a while.
// While the goal is the live release, the same rules mend it: what is healthy takes traffic at once, what fails loses
// it, and another instance takes its place.
func blueGreen() strategy {
	return strategy{
		reach: []rule{repair, reachable, place, makeRoom, start, probe, test, promotion, sight, beginWatch, shift, singles, drain, watch},
		tidy:  []rule{drop, endStreams, settle, standBy, awaitSingles},
	}
}

// repair moves traffic among instances of the live release without waiting for all of them to be healthy.
func repair(s situation) []Step {
	if !s.isProven() || !s.isBalanced() || s.isBlind() {
		return nil
	}
	table := s.table()
	for _, i := range s.chosen {
		if isReady(i) && table[i.ID] == 0 && !s.isHeld(i) {
			table[i.ID] = FullWeight
		}
	}
	s.shedFrom(table)
	if s.isTable(table) {
		return nil
	}
	return one(Shift{Weights: table}, "of release %d only what is healthy shall take traffic", s.Environment.Goal.Number)
}

// promotion waits for a person where the strategy says so; meanwhile what nobody needs goes.
func promotion(s situation) []Step {
	d := s.Environment.Deployment
	if !s.isGated() || !s.Environment.Definition.Strategy.UntilPromoted || d.PromotedBy != "" {
		return nil
	}
	if steps := drop(s); len(steps) > 0 {
		return steps
	}
	return one(AwaitPromotion{Deployment: d.ID}, "a person lets the traffic move")
}

// test runs the strategy's script against the new side before any traffic does.
func test(s situation) []Step {
	script := s.Environment.Definition.Strategy.Test
	if script == "" || !s.isGated() || !s.Environment.Deployment.TestedAt.IsZero() {
		return nil
	}
	return one(Test{Instances: ids(s.chosen)}, "release %d is tested before it takes traffic", s.Environment.Goal.Number)
}
