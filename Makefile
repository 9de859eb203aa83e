# Everything that is done with this workspace; `make` alone lists it.
# A target prepares what it needs: toolchain, Python environments, programs. What it cannot install it names.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.PHONY: help build image image-arm64 image-check kube demo test test-sim test-matrix test-cluster test-attack vectors syscalls bench bench-micro check fmt clippy doc deny tidy advisories fuzz clean

# Python environments with Spark (460 MB each) and cargo tools: outside the tree, so that a fresh clone finds them.
override SHUFFLE_CACHE := $(abspath $(or $(SHUFFLE_CACHE),$(HOME)/.cache/shuffle-daemon))
export SHUFFLE_CACHE
# Another folder of golden vectors may be given relative to this one; tests run elsewhere.
ifneq ($(SHUFFLE_VECTORS),)
override SHUFFLE_VECTORS := $(abspath $(SHUFFLE_VECTORS))
export SHUFFLE_VECTORS
endif

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# What is built is for this machine's kind, or for another, which CROSS is then, too.
ARCH := $(shell uname -m)
CROSS := $(filter-out $(shell uname -m),$(ARCH))
HOST := $(ARCH)-unknown-linux-gnu
VERSION := $(shell sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | head -1)
DAEMON := $(TARGET)/$(HOST)/release/shuffle-daemon
IMAGE := $(TARGET)/shuffle-daemon$(CROSS:%=-%).tar
LOADGEN := $(dir $(DAEMON))loadgen
# Static, since the image has no loader; without paths of this machine. These flags reach no build script, because the
# target is named. Kernels of arm64 have pages of 4, 16 or 64 KiB: jemalloc is built for the largest.
# Packed relocations, a megabyte less in memory, need a C library that knows them.
PACKED := $(shell getconf GNU_LIBC_VERSION | awk '$$2 >= 2.36 { print "-C link-arg=-Wl,-z,pack-relative-relocs" }')
RELEASE := RUSTFLAGS='-C target-feature=+crt-static $(PACKED) --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo' \
	$(if $(filter aarch64,$(ARCH)),JEMALLOC_SYS_WITH_LG_PAGE=16) \
	$(if $(CROSS),CARGO_TARGET_$(shell tr a-z- A-Z_ <<<$(HOST))_LINKER=$(ARCH)-linux-gnu-gcc) \
	cargo build --locked --release --target $(HOST)
# The tests run what is shipped, and do not build it again.
TEST := SHUFFLE_DAEMON=$(DAEMON) cargo test --workspace --no-fail-fast
SPARK := cd tests/spark && python3 -m sparktest
CLUSTER := PYTHONPATH=$(CURDIR)/tests/spark:$(CURDIR)/tests/cluster python3 -m clustertest
# What the image may weigh, bytes.
IMAGE_BYTES_MAX := 15000000

CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
# For each fuzz target: seconds or, if given, executions; bytes of an input at most; and whether memory is watched (the crate
# has no unsafe code).
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?=
FUZZ_MAX_LEN ?= 4096
FUZZ_SANITIZER ?= address
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard protocol/fuzz/fuzz_targets/*.rs)))
# More arguments for loadgen bench, such as ARGS='--only tiny-maps,spark --quick'.
ARGS ?=

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## Build the daemon, one static program, below target/
	@.ci/need rust cc $(CROSS)
	$(RELEASE) --package shuffle-daemon

image: build ## Make the image without a container daemon: target/shuffle-daemon.tar
	@.ci/need python
	python3 daemonset/image/build.py $(DAEMON) docker.io/library/shuffle-daemon:$(VERSION) $(IMAGE)
	@bytes=$$(stat --format=%s $(IMAGE)); \
	[[ $$bytes -le $(IMAGE_BYTES_MAX) ]] || { echo "the image has $$bytes bytes, more than $(IMAGE_BYTES_MAX)" >&2; exit 1; }

image-arm64: ## The same for arm64, on any machine: target/shuffle-daemon-aarch64.tar
	$(MAKE) image ARCH=aarch64

# The copy has another path and another time; what is built of it must not show that.
image-check: image ## Make the image again from a copy of the tree, and compare the bytes
	copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	git ls-files -z | xargs -0 cp --parents --target-directory="$$copy"; \
	CARGO_TARGET_DIR=$$copy/target $(MAKE) --directory="$$copy" image; \
	cmp $(IMAGE) "$$copy/target/$(notdir $(IMAGE))"; \
	echo 'the same bytes twice'

kube: ## Build etcd, Kubernetes and Helm from Go modules, once (7 to 14 minutes), into the cache
	@.ci/need go python
	$(CLUSTER).programs kube helm

demo: build ## See a Spark job lose all executors and get them back (under 2 minutes)
	@.ci/need java python
	cd tests && python3 -m demo $(DAEMON)

test: build kube ## Run all tests but the matrix and the cluster; TEST_ARGS=… goes to each program of tests
	@.ci/need java python
	$(SPARK).venv $$(python3 -c 'from sparktest import versions as v; print(v.newest(), v.newest_of(3))') >/dev/null
	$(TEST)$(if $(TEST_ARGS), -- $(TEST_ARGS))

test-matrix: build ## Run each Spark line from 3.4 to 4.3, and two at once (3 GB of environments)
	@.ci/need java python
	$(SPARK).venv all >/dev/null
	$(TEST) --features e2e/matrix --test matrix

test-sim: ## Simulate 100,000 schedules of Pods, disks and failures; SIM_SCHEDULES=N, SIM_SEED=N for one
	@.ci/need rust cc
	SIM_SCHEDULES=$(or $(SIM_SCHEDULES),100000) cargo test --locked --workspace --profile sim --test sim -- --nocapture

# Stories share one cluster and play one after another, so that a second one does not wait with its limit running.
test-cluster: image ## Run Spark on a real Kubernetes node with the chart (root, under 25 minutes); TEST_ARGS=NAME for one story
	@.ci/need java python
	SHUFFLE_IMAGE=$(TARGET)/shuffle-daemon.tar cargo test --workspace --features e2e/cluster --test cluster --no-fail-fast -- \
		--test-threads=1 --show-output $(TEST_ARGS)

test-attack: build ## A million failed logins over sockets, while an innocent application is served (minutes)
	ATTACK_LOGINS=1000000 $(TEST) --test e2e -- --nocapture a_flood_of_failed_logins_harms_nobody

vectors: build ## Check the golden vectors alone; SHUFFLE_VECTORS=DIR takes others
	$(TEST) --test wire -- vectors::
	$(TEST) --test e2e -- --nocapture transcripts:: invalid_messages

# strace stands before the daemon under its own name, so the test of the link has nothing to link to.
syscalls: build kube ## Compare the system calls of the daemon in tests with its own list (strace)
	@.ci/need rust cc
	.ci/syscalls $(DAEMON) cargo test --workspace --test e2e --test api --no-fail-fast -- --skip the_link_is_the_client

bench: build ## Measure beside Spark's Java service (under 15 minutes after the build); writes benches/RESULTS.md
	@.ci/need java python
	$(RELEASE) --package benches
	$(SPARK).venv >/dev/null
	env -u RUST_BACKTRACE $(LOADGEN) bench --daemon $(DAEMON) --command 'make bench' --results benches/RESULTS.md $(ARGS)

bench-micro: ## Run the micro-benchmarks (criterion)
	@.ci/need rust cc
	cargo bench --package benches

check: fmt clippy doc deny tidy ## Check format, lints, documents, dependencies, licences, house rules

fmt:
	@.ci/need rust
	cargo fmt --all --check
	cargo fmt --manifest-path protocol/fuzz/Cargo.toml --check

clippy:
	@.ci/need rust cc
	cargo clippy --locked --workspace --all-targets -- --deny warnings

doc:
	@.ci/need rust cc
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps

# Advisories need a database from the network: see `make advisories`.
deny:
	@.ci/need rust cc
	tools=$$(.ci/tool cargo-deny $(CARGO_DENY_VERSION)); "$$tools/cargo-deny" --locked check bans licenses sources

tidy:
	@.ci/need rust cc
	cargo test --workspace --test tidy

advisories: ## Look for known vulnerabilities in dependencies (fetches a database)
	@.ci/need rust cc
	tools=$$(.ci/tool cargo-deny $(CARGO_DENY_VERSION)); "$$tools/cargo-deny" check advisories

# New inputs go to a folder that is removed; a failing one stays in protocol/fuzz/artifacts.
fuzz: ## Run each fuzz target for FUZZ_SECONDS (60), or FUZZ_RUNS times; FUZZ_TARGETS='frame auth', FUZZ_SANITIZER=none
	@.ci/need rust nightly cc c++
	tools=$$(.ci/tool cargo-fuzz $(CARGO_FUZZ_VERSION)); found=$$(mktemp -d); trap 'rm -rf "$$found"' EXIT; \
	cd protocol/fuzz; \
	for target in $(FUZZ_TARGETS); do \
		mkdir "$$found/$$target"; \
		PATH=$$tools:$$PATH cargo +nightly fuzz run --sanitizer=$(FUZZ_SANITIZER) "$$target" "$$found/$$target" "corpus/$$target" -- \
			$(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS)) -max_len=$(FUZZ_MAX_LEN) -print_final_stats=1; \
	done

clean: ## Remove what was built; the cache stays, its place is printed
	cargo clean
	rm -rf protocol/fuzz/target
	@echo "kept: $(SHUFFLE_CACHE) (Python environments, Kubernetes, cargo tools)"
