# The verbs of this project; people and CI use the same ones. `make help` lists them.

CARGO ?= cargo
PORT ?= 6379
ARGS ?=
# How far `make fuzz` goes: cases of every property test that does not set its own number, and seeds of every
# comparison with Redis. `make test` runs the same tests with small bounds.
CASES ?= 20000
SEEDS ?= 100

# One invocation builds through Cargo's own parallelism; make must not start verbs side by side.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run build test tools lint unit loom fuzz commands bench compare compare-sync compare-types flamegraph clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## build and start a node on PORT (6379), one shard per core; ARGS='--option value'
	$(CARGO) run --release -p ringfort-node --bin ringfort -- --port $(PORT) $(ARGS)

build: ## optimised build of the node: target/release/ringfort
	$(CARGO) build --release -p ringfort-node

test: tools lint unit ## everything CI checks: tools, format, lints, tests

tools: ## install what the tests drive (Debian's redis-server, redis-tools, redis-py)
	scripts/install-test-tools

lint: ## format check, and clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# The benches run once each as tests too, so that they and the answers they check do not rot.
unit: ## all tests: unit, property, model, integration, benches once each
	$(CARGO) test --workspace --no-fail-fast
	$(CARGO) test -p ringfort-bench --benches

loom: ## only the model-checked tests: the meeting of cores, the replication log (part of unit)
	$(CARGO) test -p ringfort-net -p ringfort-replication --lib model

fuzz: tools ## the property tests with CASES cases each, the comparisons with Redis with SEEDS seeds
	PROPTEST_CASES=$(CASES) $(CARGO) test --workspace --lib
	RINGFORT_SEEDS=$(SEEDS) $(CARGO) test -p ringfort-node --test 'differential_*' --test dump_restore

commands: ## write the README's table of commands anew from the command table
	RINGFORT_WRITE_README=1 $(CARGO) test -p ringfort-core --test readme_commands

bench: ## criterion benches of the parts; ARGS='filter'
	$(CARGO) bench -p ringfort-bench -- $(ARGS)

compare: build ## measure against the peers found, results under perf/results; ARGS='--quick'
	$(CARGO) run --release -p ringfort-perf -- compare $(ARGS)

compare-sync: build ## measure full syncs and live replicas beside the peers; ARGS='--quick'
	$(CARGO) run --release -p ringfort-perf -- compare-sync $(ARGS)

compare-types: build ## measure commands on collections and their memory beside the peers; ARGS='--quick'
	$(CARGO) run --release -p ringfort-perf -- compare-types $(ARGS)

# Frame pointers are for the profiler alone, in a build of its own: they cost the node a register.
flamegraph: ## profile a node under load into perf/flamegraph-*.svg; ARGS='--verb set --pipeline 1'
	RUSTFLAGS="$(RUSTFLAGS) -C force-frame-pointers=yes" $(CARGO) build --release -p ringfort-node --target-dir target/flamegraph
	$(CARGO) run --release -p ringfort-perf -- flamegraph --ringfort target/flamegraph/release/ringfort $(ARGS)

clean: ## remove what was built
	$(CARGO) clean
