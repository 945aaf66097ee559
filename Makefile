# The two to know: make test, make demo.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: bench build cross demo fmt generate generated gitea golangci kubernetes lint packages shop simulate test test-big test-short vet wine

export GOFLAGS ?= -buildvcs=false
TOOLS     := $(CURDIR)/tools/go.mod
GOLANGCI  := go tool -modfile=$(TOOLS) golangci-lint
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
# Decision 0136: tests without what a debugger reads, packages that wait long begun first, and short tests in memory where there is room.
LEAN      := -ldflags='-s -w'
SLOW      := $(addprefix ./internal/,worker keeper flow target/hosts git simulate)
SCRATCH   := $(shell .ci/scratch)
GENERATED := '*_templ.go' '*.schema.json' '*/shop.zip'

build: ; go build -trimpath -ldflags='-s -w' -o bin/towpath ./cmd/towpath
demo: ; go run ./cmd/towpath demo

test: packages shop simulate ; go test -race -count=1 $(LEAN) -timeout 45m $(SLOW) ./...
test-short: ; TMPDIR=$(SCRATCH) go test -short $(LEAN) -p 3 -parallel 8 -timeout 4m $(SLOW) $$(go list ./... | grep -v /e2e) # the stories of the whole binary take longer
test-big: packages shop gitea kubernetes wine ; go test -race -timeout 80m -tags big ./...
simulate: ; go test -count=1 -timeout 30m -run 'TestEvery|TestTheStories' ./internal/simulate # all stories: without -race, as they are ten times as fast
shop: ; cd examples/shop && go vet ./... && go test -timeout 2m ./...
packages: ; .ci/install
gitea: ; tools/gitea/build # a real forge for the tests: minutes, once
kubernetes: ; tools/kubernetes/build # a real cluster for the tests: minutes, once
wine: ; tools/wine/build # a Windows for the tests: a minute and 1.6 GB, once
bench: ; go run ./bench --page docs/benchmarks.md

lint: generated vet golangci cross
vet: ; go vet ./...
golangci: ; $(GOLANGCI) run ./... && cd examples/shop && $(GOLANGCI) run ./...
cross: ; for p in $(PLATFORMS); do echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go build -o /dev/null ./cmd/towpath; done

generate: ; go tool -modfile=$(TOOLS) templ generate && go generate ./...
generated: generate ; git diff --exit-code -- $(GENERATED) && ! git ls-files --others --exclude-standard -- $(GENERATED) | grep .
fmt: ; $(GOLANGCI) fmt ./...
