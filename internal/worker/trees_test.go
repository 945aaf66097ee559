package worker_test

import (
	"net/http"
	"testing"
)

type trees struct{}

func newTrees(testing.TB) *trees { return &trees{} }

func (*trees) routes(*http.ServeMux, string) {}
