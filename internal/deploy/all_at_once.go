package deploy

// allAtOnce stops what runs before it starts the goal: for what cannot run beside itself, and where nothing moves
// traffic. Nothing serves in between. Files are put in place before that, to keep it short.
func allAtOnce() strategy {
	return strategy{
		reach: []rule{reachable, place, sightOfOthers, empty, drain, endAllStreams, forgetOthers, stopOthers, endSingles, start, probe, sight, beginWatch, shift, singles, watch},
		tidy:  []rule{drop, settle, awaitSingles},
	}
}

// takeDown leaves nothing: after a first deployment that failed there is nothing to go back to.
func takeDown() strategy {
	return strategy{reach: []rule{sightOfOthers, empty, drain, endAllStreams, endSingles, drop, settle, sight}}
}

// empty takes the traffic from what will be stopped, which no stranger is.
func empty(s situation) []Step {
	table := s.table()
	for _, i := range s.others {
		if !s.isHeld(i) && !isForeign(i) && !s.isTrusted(i) {
			s.withdraw(table, i)
		}
	}
	if s.isTable(table) {
		return nil
	}
	return one(Shift{Weights: table}, "what is to be stopped gets no new requests")
}

// endAllStreams lets the streams of what will be stopped end.
func endAllStreams(s situation) []Step { return s.endStreamsOf(s.others) }

// forgetOthers and stopOthers clear the way for the goal's instances.
func forgetOthers(s situation) []Step { return s.forget(s.others) }

func stopOthers(s situation) []Step { return s.stop(s.others) }
