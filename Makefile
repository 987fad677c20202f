# The targets of paddock. `make` alone lists them.
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help run ensemble build test race edge edge-roles compat differential kill faults mixed failover sim soak fuzz bench bench-compare lint vuln ci

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## run a server on 2181 with its data in ./data
	./bin/paddock server

ensemble: build ## three servers on 2181 to 2183, data in ./data; Ctrl-C ends them. N=2 brings server 2 back alone
	scripts/ensemble.sh $(N)

build: ## build bin/paddock, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/paddock ./cmd/paddock

test: ## every test that needs nothing but Go
	$(GO) vet ./...
	$(GO) test ./...

race: ## the tests under the race detector, with the costly checks on
	$(GO) test -race -tags invariants ./auth/... ./session/... ./slab/... ./snap/... ./tree/... ./vfs/... ./wal/... ./watch/... ./wire/... ./net/... ./server/... ./config/... ./admin/... ./zab/... ./cmd/...

edge: build ## the 135 edge-case facts, against paddock and Apache's server (ROLE=leader, follower, observer: of an ensemble)
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_ROLE=$(ROLE) $(GO) test -count=1 ./test/edge
	test/apache/get.sh
	PADDOCK_TARGET=apache PADDOCK_ROLE=$(ROLE) $(GO) test -count=1 ./test/edge

edge-roles: build ## the same facts at the leader, a follower and the observer of an ensemble of ours
	for role in leader follower observer; do PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_ROLE=$$role $(GO) test -count=1 ./test/edge || exit 1; done

compat: build ## nine real clients and their recipes, with a kill and a restart each (installs them)
	test/compat/run.sh

differential: build ## random operation streams, compared with Apache's server field by field
	test/apache/get.sh
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_DIFF_OPS=$(DIFF_OPS) $(GO) test -count=1 -v -timeout 20m -run 'TestSameAnswers' ./test/differential
DIFF_OPS ?= 20000

kill: build ## kill -9 under load, with a ledger and Porcupine
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_KILL_CYCLES=$(KILL_CYCLES) $(GO) test -count=1 -v -timeout 20m ./test/kill
KILL_CYCLES ?= 50

faults: build ## kill, pause and cut an ensemble under load for FAULTS_FOR, SEED=n replays one (KINDS=JJG: Apache's among them)
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_ENSEMBLE_FOR=$(FAULTS_FOR) PADDOCK_ENSEMBLE_SEED=$(SEED) PADDOCK_ENSEMBLE_KINDS=$(KINDS) $(GO) test -count=1 -v -timeout 60m ./test/ensemble
FAULTS_FOR ?= 5m
KINDS ?= GGG

mixed: build ## ensembles of Apache's servers and ours: who leads, rolling replacement, DIFF, TRUNC, SNAP (MIXED=full: more)
	test/apache/get.sh
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_MIXED=$(MIXED) $(GO) test -count=1 -v -timeout 60m ./test/mixed
MIXED ?= ci

failover: build ## how long nobody writes when the leader ends: ours and Apache's in turn, FAILOVER_ROUNDS of each
	test/apache/get.sh
	PADDOCK_BIN=$(CURDIR)/bin/paddock PADDOCK_FAILOVER_ROUNDS=$(FAILOVER_ROUNDS) PADDOCK_FAILOVER_KINDS=GGG,JJJ $(GO) test -count=1 -v -timeout 60m -run TestFailover ./test/ensemble
FAILOVER_ROUNDS ?= 20

sim: ## the simulator: make sim replays the fixed seeds, SEED=n one (TRACE=1 prints it), SEEDS=n more, ENSEMBLES=n and QUORUM_SEEDS=n of ensembles of whole servers and of the agreement alone
	PADDOCK_SIM_SEED=$(SEED) PADDOCK_SIM_SEEDS=$(SEEDS) PADDOCK_SIM_ENSEMBLES=$(ENSEMBLES) PADDOCK_SIM_TRACE=$(TRACE) $(GO) test -count=1 -v -timeout 60m $$($(GO) list ./sim/... | grep -v sim/quorum)
	PADDOCK_SIM_SEED=$(SEED) PADDOCK_SIM_SEEDS=$(QUORUM_SEEDS) PADDOCK_SIM_TRACE=$(TRACE) $(GO) test -count=1 -v -timeout 60m ./sim/quorum
QUORUM_SEEDS ?= $(SEEDS)
ENSEMBLES ?= $(SEEDS)

soak: ## all of these with new seeds, for DURATION (1h, 20m); a line for docs/reliability-ledger.csv
	scripts/soak.sh $(DURATION)
DURATION ?= 1h

fuzz: ## every fuzz target for FUZZ_TIME each
	fuzz/run.sh $(FUZZ_TIME)
FUZZ_TIME ?= 30s

bench: build ## load a running server: make bench BENCH='--help'
	./bin/paddock bench $(BENCH)

bench-compare: build ## the table of docs/benchmarks.md: Apache's server and ours in turn
	test/apache/get.sh
	$(GO) run ./bench/compare $(COMPARE)

lint: ## gofmt and vet; the shape of the house is a test
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...

vuln: ## known vulnerabilities in what we import
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

ci: lint test race kill fuzz ## what CI runs, but for the clients and the comparison with Apache
