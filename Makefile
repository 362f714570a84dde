# Targets with a ## comment are listed by `make help`.

GO       ?= go
# Tools are built from the module proxy at these versions, into bin/tools.
TOOLS    := $(CURDIR)/bin/tools
GOLANGCI_VERSION := v2.15.0
LISTEN   ?= 127.0.0.1:8080
OPS      ?= 127.0.0.1:8081
FUZZTIME ?= 20s
SOAK     ?= 20m

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: console ## build bin/stint, the console included
	$(GO) build -trimpath -ldflags '-s -w' -o bin/stint ./cmd/stint

# The console is built into the program; without it, Go alone builds a program that says so.
CONSOLE := internal/console/dist/index.html
WEB     := web/node_modules/.package-lock.json

.PHONY: console
console: $(CONSOLE) ## build the web console (Node.js 20.19 or later)

$(CONSOLE): $(WEB) api/openapi.yaml $(shell find web -path web/node_modules -prune -o -type f -print)
	cd web && npm run --silent build
	@touch $@

# npm leaves this file when it is done.
$(WEB): web/package-lock.json
	cd web && npm ci --ignore-scripts
	@touch $@

.PHONY: run
run: build ## serve on .stint/ and run an example as a tracked task (LISTEN=, OPS=)
	@scripts/run.sh $(LISTEN) $(OPS)

.PHONY: deps
deps: # what the tests and the console need beside Go
	@scripts/test-deps.sh

# The race detector needs a C compiler, the program does not. It makes tests several
# times slower, and here watches the packages whose goroutines share the most.
RACED := ./client ./internal/aggregation ./internal/app ./internal/auth ./internal/courier ./internal/engine ./internal/execrun

.PHONY: test
test: deps console ## run all tests; installs what they need beside Go
	cd web && npm run --silent test
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 20m $(RACED)
	$(GO) test -count=1 -timeout 20m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(RACED))")
	cd test/examples && $(GO) test -count=1 ./...

.PHONY: test-race
test-race: deps console ## run all tests with the race detector (about half an hour)
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 40m ./...

.PHONY: test-quick
test-quick: ## run the tests without the race detector, crash tests and foreign clients
	$(GO) test -short ./...

.PHONY: soak
soak: ## hurt a cluster of three nodes at random for a while (SOAK=20m; STINT_CLUSTER_SEED= replays)
	STINT_CLUSTER_TIME=$(SOAK) $(GO) test -v -count=1 -timeout 0 -run '^TestSchedule$$' ./test/cluster

.PHONY: fuzz
fuzz: ## fuzz every parser (FUZZTIME=)
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## measure store and handlers at 10 thousand and 1 million tasks
	$(GO) test -run '^$$' -bench . -benchtime 2s -timeout 60m ./bench

.PHONY: bench-once
bench-once: ## run every benchmark once, small, so that they cannot rot
	$(GO) test -run '^$$' -bench . -benchtime 1x -short ./...

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint $(WEB) ## format the code
	$(TOOLS)/golangci-lint fmt
	cd web && npm run --silent format

.PHONY: lint
lint: $(TOOLS)/golangci-lint lint-web ## check style, imports and the rules between packages
	$(TOOLS)/golangci-lint run
	$(TOOLS)/golangci-lint fmt --diff
	cd test/examples && $(TOOLS)/golangci-lint run && $(TOOLS)/golangci-lint fmt --diff

.PHONY: lint-web
lint-web: $(WEB) # and that the console's types are those of the API
	cd web && npm run --silent lint
	cd web && npm run --silent types:check

.PHONY: types
types: $(WEB) ## write the console's types from api/openapi.yaml
	cd web && npm run --silent types

.PHONY: tidy
tidy: ## check that go.mod names what is used
	$(GO) mod tidy -diff
	cd test/examples && $(GO) mod tidy -diff

.PHONY: check
check: deps tidy lint build test bench-once ## all that must hold before a change lands

.PHONY: clean
clean: ## remove what was built (not .stint/)
	rm -rf bin web/node_modules
	find internal/console/dist -mindepth 1 -not -name .gitkeep -delete

$(TOOLS)/golangci-lint: Makefile
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@
