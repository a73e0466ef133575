# Two targets matter: `make demo` and `make test`. Both do their own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_DENY_VERSION := 0.20.2
TOOLS := $(CURDIR)/.tools
BIN := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/countersign

.PHONY: help demo test bench lint build contracts-tools interop-tools fmt clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: build contracts-tools ## Tell the whole story on this machine: a payout, executed and verified
	@$(BIN) demo

test: build contracts-tools interop-tools ## Run every test: Rust, Rego, PostgreSQL, contracts, interop, end to end
	@tests/run.sh

bench: contracts-tools ## Measure this machine (release build), with SQLite and with PostgreSQL
	@cargo build --release --locked -p countersign
	@tests/bench.sh

build:
	@cargo build --locked -p countersign

contracts-tools: contracts/node_modules/.installed

contracts/node_modules/.installed: contracts/package-lock.json
	@echo "installing forge, anvil and solc from npm"
	@cd contracts && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

interop-tools: tests/interop/node_modules/.installed

tests/interop/node_modules/.installed: tests/interop/package-lock.json
	@cd tests/interop && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

lint: $(TOOLS)/bin/cargo-deny ## Formatting, lints, docs, licences and bans
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	@$(TOOLS)/bin/cargo-deny --locked --offline --log-level error check licenses bans sources

$(TOOLS)/bin/cargo-deny:
	@cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)

fmt: ## Format everything
	@cargo fmt --all
	@cd contracts && ./tool.sh forge fmt

clean: ## Remove what builds and demos leave
	@cargo clean
	@rm -rf contracts/node_modules contracts/out contracts/cache tests/interop/node_modules .countersign
