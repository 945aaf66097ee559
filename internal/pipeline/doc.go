// Package pipeline is leg 2: the pipeline file becomes a [towpath.Pipeline].
//
// A file goes through four hands. [read] makes bytes into a tree of nodes, each with its place (yaml.go). The grammar
// (grammar.go) is one table of keys: what each holds, what it means, its default, whether it is supported yet. Decoding
// (decode.go) checks the tree against that table, and the JSON Schema (schema.go) is printed from it. Building
// (build.go, step.go, environment.go) makes the nouns, fills in what depends on other parts of the file, and checks
// what only the whole can show. None of them stops at the first mistake: all are collected as [Problems].
package pipeline
