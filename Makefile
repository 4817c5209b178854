# The way in. `make help` lists what there is; CMake presets (CMakePresets.json) do the work.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PHONY: help run build test check check-all bench fuzz format clean packages-build \
        packages-test node-modules release-tests

# A compiler of Boost or libtorrent headers takes up to 1.5 GB: fewer at once where memory is short.
JOBS ?= $(shell awk -v cores="$$(nproc)" '/^MemTotal/ { fit = int($$2 / 1500000); \
        print fit < 1 ? 1 : fit < cores ? fit : cores }' /proc/meminfo)
FUZZ_SECONDS ?= 60

RELEASE := build/release
KOLLATOR := $(RELEASE)/src/app/kollator
CTEST := ctest --output-on-failure --no-tests=error --parallel $(JOBS)

help: ## this list
	@echo "Kollator. Targets:"
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: build ## install what is missing, build, and start a front and a worker: drop a file in
	@exec $(KOLLATOR) dev

# Tests stay off in a fresh tree, so that neither GoogleTest nor Node is needed; a tree that
# `make test` made is used as it is. Ninja configures again by itself when a build file changed.
build: packages-build ## the release build of the executable, build/release/src/app/kollator
	@[ -f $(RELEASE)/build.ninja ] || cmake --preset release -DKOLLATOR_TESTS=OFF
	@cmake --build $(RELEASE) --target kollator --parallel $(JOBS)

# Some deadlines are those of users. Where the machine does much else one may be missed: a test that
# fails is run once more, and the log has both; `make check` has no second attempt.
test: release-tests ## every test, on the release build
	@tests/support/rgw/fetch.sh >/dev/null
	@rm -f $(RELEASE)/junit.xml
	@cd $(RELEASE) && $(CTEST) --repeat until-pass:2 --output-junit junit.xml

check: packages-build packages-test node-modules ## lint, unit tests and fuzz corpora: minutes
	@cmake --preset dev
	@cmake --build build/dev --parallel $(JOBS)
	@cd build/dev && $(CTEST) --label-regex '^(lint|unit|sim|fuzz-replay)$$'

check-all: check ## and the sanitizers, interoperability, and a minute for each fuzzer
	@tests/support/rgw/fetch.sh >/dev/null
	@cmake --preset asan
	@cmake --build build/asan --parallel $(JOBS)
	@cd build/asan && KOLLATOR_INTEROP_MEGABYTES=100 $(CTEST) --label-exclude '^(lint|e2e)$$'
	@cmake --preset tsan
	@cmake --build build/tsan --parallel $(JOBS)
	@cd build/tsan && TSAN_OPTIONS=suppressions=$(CURDIR)/tests/support/tsan.supp $(CTEST) --label-regex '^(unit|sim|integration)$$'
	@$(MAKE) fuzz

bench: build ## the tables of docs/performance.md, measured here
	@tools/install-packages.sh bench
	@$(MAKE) node-modules
	@tests/support/rgw/fetch.sh >/dev/null
	@cmake --preset release -DKOLLATOR_BENCH=ON -DKOLLATOR_TESTS=ON
	@cmake --build $(RELEASE) --target store_bench peer_load impairment_relay \
	    --parallel $(JOBS)
	@for script in bench/*_bench.mjs; do \
	    KOLLATOR_BIN=$(CURDIR)/$(KOLLATOR) node_modules/.bin/node "$$script"; \
	done

fuzz: packages-build ## each fuzzer for FUZZ_SECONDS (60)
	@tools/install-packages.sh fuzz
	@cmake --preset fuzz
	@cmake --build build/fuzz --parallel $(JOBS)
	@fuzz/run.sh build/fuzz $(FUZZ_SECONDS)

format: ## clang-format on all C++
	@tools/install-packages.sh test
	@git ls-files -co --exclude-standard '*.cc' '*.h' | xargs -r clang-format -i

clean: ## remove what was built; downloads for the tests, and ./data, stay
	@find build -mindepth 1 -maxdepth 1 ! -name test-cache -exec rm -rf {} + 2>/dev/null || true

packages-build:
	@tools/install-packages.sh build

packages-test:
	@tools/install-packages.sh test

node-modules:
	@node tools/node-modules-current.mjs || npm ci

release-tests: packages-build packages-test node-modules
	@cmake --preset release -DKOLLATOR_TESTS=ON
	@cmake --build $(RELEASE) --parallel $(JOBS)
