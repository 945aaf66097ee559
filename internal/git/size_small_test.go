//go:build !big

package git_test

// manyReferences are those of the repository that has very many: go test -tags big has ten times as many.
const manyReferences = 20_000
