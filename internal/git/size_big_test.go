//go:build big

package git_test

// manyReferences are those of the repository that has very many.
const manyReferences = 200_000
