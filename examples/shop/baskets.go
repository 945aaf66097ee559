package main

// stock is how many baskets the shop has.
const stock = 40

// baskets are what customers need while they are served. There are only so many.
type baskets struct{ free chan struct{} }

func newBaskets(count int) baskets {
	b := baskets{free: make(chan struct{}, count)}
	for range count {
		b.giveBack()
	}
	return b
}

// take takes a basket, which has to be given back; it says whether there was one.
func (b baskets) take() bool {
	select {
	case <-b.free:
		return true
	default:
		return false
	}
}

func (b baskets) giveBack() { b.free <- struct{}{} }
