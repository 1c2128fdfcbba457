# `make setup` needs python3 (3.11 or newer) and the package index; everything else follows from it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
WORKERS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1
export PYTHON

.PHONY: help setup engine abci-vectors demo test bench lint fmt lock docs clean distclean test-extras vectors coverage replay crash case

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# The lock file names every package with its hash; only a change of it installs again.
$(LOCKED): requirements/dev.txt
	@python="$$(tools/find-python)" || exit 1; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		echo "setup: making $(VENV) with $$python"; \
		"$$python" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "setup: installing the locked requirements (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt || { \
		echo "error: the locked requirements could not be installed"; echo; \
		echo "hint: this step downloads packages; offline, fill the pip cache first or set PIP_FIND_LINKS to a folder of wheels"; \
		exit 1; } >&2
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@echo "setup: installing Cairn itself, editable"
	@$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $@

setup: $(INSTALLED) ## Make .venv from the lock file and install Cairn into it

# CometBFT for networks of several nodes: built by Go from its module, pinned by version and checksum.
COMET_MODULE := github.com/cometbft/cometbft
COMET_VERSION := 0.40.0
COMET_SUM := h1:0+zc7FlcnonFfMwzhyDCd5vK/fHZqz0RfRyTCxZsFPU=
COMET_GO := 1.25
ENGINE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cairn/engine/cometbft-$(COMET_VERSION)

engine: ## Build CometBFT, which orders the blocks of a network (needs Go; about two minutes)
	@COMET_MODULE=$(COMET_MODULE) COMET_VERSION=$(COMET_VERSION) COMET_SUM=$(COMET_SUM) COMET_GO=$(COMET_GO) \
		tools/build-engine "$(ENGINE)"

abci-vectors: ## Rewrite vectors/abci.json with CometBFT's own encodings (needs Go)
	@COMET_MODULE=$(COMET_MODULE) COMET_VERSION=$(COMET_VERSION) tools/write-abci-vectors

demo: setup ## Run the demonstration in build/demo
	@mkdir -p build
	$(BIN)/cairn demo --dir build/demo

test: setup ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) tests

coverage: setup ## Run all tests and report branch coverage of consensus code
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include='src/cairn/primitives/*,src/cairn/ledger/*,src/cairn/modules/*'

bench: setup ## Measure; the figures go to build/bench.json
	@mkdir -p build
	$(BIN)/python -m bench --output build/bench.json

case: setup ## Measure on published data: make case NAME=fraud_handbook DATA=FOLDER
	@test -n "$(NAME)" || { echo "error: which case? make case NAME=fraud_handbook DATA=FOLDER (docs/cases.md lists them)" >&2; exit 1; }
	@mkdir -p build/cases
	$(BIN)/python -m bench.cases $(NAME) --data "$(DATA)"

lint: setup ## Check style, formatting, types and import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-logo

fmt: setup ## Format, and repair what ruff can repair
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

vectors: setup ## Rewrite the golden vectors that the project makes itself
	CAIRN_VECTORS=write $(BIN)/python -m pytest -q -m vectors tests
	@echo "vectors: rewritten; every difference is a change of protocol"

docs: setup ## Write the reference pages from the code; check links, commands and claims
	$(BIN)/python -m tools.make_docs
	$(BIN)/python -m pytest -q tests/test_documentation.py tests/test_docs.py

replay: setup ## Replay a ledger with every other Python found (pyenv, PATH) and compare the roots
	$(BIN)/python -m tools.replay_everywhere

crash: setup ## Kill a node a thousand times, at every write point and at random (some minutes)
	$(BIN)/python -m tools.crash_cycles --cycles 1000

test-extras: setup ## Say which optional extras have tests of their own
	@$(BIN)/python -m pytest -q tests/test_packaging.py
	@echo "test-extras: the extras learning and xgboost are part of the lock file, so make test has tested them; there are no heavier extras yet"

lock: ## Resolve the requirements again (newer versions: make lock LOCK_OPTIONS=--upgrade)
	@python="$$(tools/find-python)" || exit 1; scratch="$$(mktemp -d)"; trap 'rm -rf "$$scratch"' EXIT; \
	set -e; echo "lock: installing uv in a scratch environment"; \
	"$$python" -m venv "$$scratch"; "$$scratch/bin/python" -m pip install --quiet uv; \
	options="--quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url"; \
	echo "lock: resolving"; \
	"$$scratch/bin/uv" pip compile $$options $(LOCK_OPTIONS) pyproject.toml -o requirements/core.txt; \
	"$$scratch/bin/uv" pip compile $$options $(LOCK_OPTIONS) pyproject.toml --extra learning --extra xgboost --group dev -o requirements/dev.txt

clean: ## Remove what was built, but not .venv
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## Remove .venv too
	rm -rf $(VENV)
