package main

import "testing"

func TestTotal(t *testing.T) {
	rope := article{"rope", 1250}
	for _, c := range []struct {
		pieces int
		want   string
	}{
		{0, "0.00"},
		{1, "12.50"},
		{9, "112.50"},
		{10, "112.50"}, // the tenth is free
		{11, "123.75"},
	} {
		if got := total(rope, c.pieces).String(); got != c.want {
			t.Errorf("%d pieces cost %s, want %s", c.pieces, got, c.want)
		}
	}
}
