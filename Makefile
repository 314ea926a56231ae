# Every task of this project. `make help` lists them. Each does its own set-up: on a fresh Debian machine
# nothing but Rust (https://rustup.rs) has to be there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
CACHE ?= $(HOME)/.cache
# One place for all builds, outside of the checkout: RocksDB's C++ takes minutes, once.
export CARGO_TARGET_DIR ?= $(CACHE)/conduit-target

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 16

.PHONY: setup
setup: ## Install the system packages that a build needs (asks for sudo only if one is missing)
	@tools/install-packages

.PHONY: setup-tests
setup-tests: setup ## Install what the tests need as well: client libraries for Python, Node and Rust (matrix-sdk: some minutes, once)
	@if [ -x tests/clients/setup ]; then tests/clients/setup; fi

.PHONY: run
run: setup ## Build and start a try-out server on http://127.0.0.1:6167 (ARGS="--config FILE" for your own)
	$(CARGO) run --locked -- $(ARGS)

.PHONY: build
build: setup ## Build for development
	$(CARGO) build --locked

.PHONY: release
release: setup ## Build for use: target folder's release/conduit
	$(CARGO) build --locked --release
	@echo "the program is $$CARGO_TARGET_DIR/release/conduit"

.PHONY: test
test: setup-tests ## Run all tests (one: make test-one NAME=a_message_is_sent)
	$(CARGO) test --locked --no-fail-fast

.PHONY: test-one
test-one: setup-tests ## Run the tests whose names contain NAME
	$(CARGO) test --locked -- --nocapture $(NAME)

.PHONY: bridges
bridges: setup ## Carry messages through real bridges and crashes (one: make bridges ARGS=heisenbridge)
	@tests/bridges/run $(ARGS)

.PHONY: schema
schema: build ## Try the specification's schemas on a running server with schemathesis, for ten minutes
	tests/schema/run $(CARGO_TARGET_DIR)/debug/conduit

.PHONY: endpoints
endpoints: setup ## Write docs/endpoints.md anew, after endpoints came or went
	UPDATE_ENDPOINTS=1 $(CARGO) test --locked --test endpoints

.PHONY: complement
complement: setup ## Run Complement, the integration suite (one test: ARGS="-run TestLogin")
	@complement/run $(ARGS)

.PHONY: interop
interop: setup ## Have conduit and a real Synapse do all that users do, both ways (some: ARGS="knock media")
	@tests/interop/run with_synapse $(ARGS)

.PHONY: netns
netns: setup ## Part the network between two, then five servers, kill some, and compare them (needs root)
	@tests/interop/run parted --servers 2 $(ARGS)
	@tests/interop/run parted --servers 5 $(ARGS)

.PHONY: soak
soak: setup ## A day of ten servers in half an hour: memory must not grow (shorter: ARGS="--minutes 2")
	@tests/interop/run soak $(ARGS)

.PHONY: bench
bench: setup ## Run all benches (one: make bench-one NAME=sync)
	$(CARGO) bench --locked

.PHONY: bench-one
bench-one: setup ## Run the bench file NAME in benches/
	$(CARGO) bench --locked --bench $(NAME)

.PHONY: bench-federation
bench-federation: release ## Events taken in a second, beside Synapse; and joining a room of 50,000 members
	@CONDUIT_PROGRAM=$$CARGO_TARGET_DIR/release/conduit tests/interop/run inbound
	@CONDUIT_PROGRAM=$$CARGO_TARGET_DIR/release/conduit tests/interop/run big_room

.PHONY: fuzz
fuzz: setup ## Run the fuzz targets, an hour each (ARGS="event" for one; SECONDS_EACH=60 for a minute)
	@tools/fuzz $(ARGS)

.PHONY: lint
lint: setup ## Check formatting and lints; warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt

.PHONY: example-config
example-config: setup ## Write conduit-example.toml anew from the declared options
	$(CARGO) run --locked --quiet -- example-config > conduit-example.toml.new
	mv conduit-example.toml.new conduit-example.toml

.PHONY: deny
deny: ## Check licences and advisories of dependencies (needs cargo-deny)
	$(CARGO) deny check

.PHONY: deb
deb: setup ## Build a Debian package (needs cargo-deb)
	$(CARGO) deb --locked

.PHONY: image
image: ## Build a container image
	docker build --file docker/Dockerfile --tag conduit .
