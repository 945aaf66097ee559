package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestACustomerWithoutABasketIsSentAway(t *testing.T) {
	s := shop{open: t.Context(), release: "42", baskets: newBaskets(1)}
	s.baskets.take()
	if answer := ask(t.Context(), s, "/work?ms=0"); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d", answer.Code)
	}
	s.baskets.giveBack()
	if answer := ask(t.Context(), s, "/work?ms=0"); answer.Code != http.StatusOK {
		t.Errorf("with a basket: got %d", answer.Code)
	}
}

func TestACustomerWhoLeavesGivesTheBasketBack(t *testing.T) {
	s := shop{open: t.Context(), release: "42", baskets: newBaskets(1)}
	left, leave := context.WithCancel(t.Context())
	leave()
	ask(left, s, "/work?ms=60000")
	if !s.baskets.take() {
		t.Error("the basket is gone")
	}
}

func ask(ctx context.Context, s shop, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.work(answer, httptest.NewRequestWithContext(ctx, "GET", path, nil))
	return answer
}
