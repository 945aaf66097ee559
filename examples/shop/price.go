package main

import "fmt"

// cents is an amount of money.
type cents int

// String writes an amount as people do.
func (c cents) String() string { return fmt.Sprintf("%d.%02d", c/100, c%100) }

// article is something to buy.
type article struct {
	name  string
	price cents
}

var articles = []article{{"rope", 1250}, {"lantern", 3400}, {"lock handle", 8999}}

// From bulk pieces of an article on, each costs a tenth less.
const (
	bulk     = 10
	discount = 10 // percent
)

// total is what pieces of an article cost, rounded down to the cent.
func total(a article, pieces int) cents {
	sum := a.price * cents(pieces)
	if pieces >= bulk {
		sum = sum * (100 - discount) / 100
	}
	return sum
}
