# One command per intention, the same by hand and in CI.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := 2.13.0+cpu
ARGS ?=
MINUTES ?= 30
RUN ?= .vizsla/quickstart

.DEFAULT_GOAL := help
.PHONY: help install quickstart test check e2e bench serve soak clean

help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with everything pinned by constraints.txt

# The CPU build of torch has an index of its own; the first try serves machines that mirror it.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (make PYTHON=/path/to/python3.11 ...)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about a minute after the downloads)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$(TORCH) 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --extra-index-url https://download.pytorch.org/whl/cpu torch==$(TORCH)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' 2> >(grep -v "^WARNING" >&2)
	@touch $@

quickstart: $(STAMP) ## From nothing to a running server on MovieLens-100K (ARGS=--exit stops it at the end)
	@$(BIN)/vizsla quickstart $(ARGS)

serve: $(STAMP) ## Serve what the quickstart made (ARGS="BUNDLE --embedded" for another)
	@$(BIN)/vizsla serve $(or $(ARGS),.vizsla/quickstart)

test: $(STAMP) ## Unit, property, conformance and integration tests and doctests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

e2e: $(STAMP) ## The real server from the built wheel, over HTTP (Ray included)
	@$(BIN)/python -m pytest tests -m "e2e or slow or ray" $(ARGS)

check: $(STAMP) ## Formatting, lint, types, layers, size
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/unit/test_size_budget.py

bench: $(STAMP) ## A benchmark, for instance ARGS="spine --preset ml-100k --json out.json"
	@$(BIN)/vizsla bench $(ARGS)

soak: $(STAMP) ## Searches and item changes under kill -9 every minute (MINUTES=30 RUN=.vizsla/quickstart; one long life: ARGS="--kill-every 1800")
	@$(BIN)/python -m loadtest.soak $(RUN) --minutes $(MINUTES) $(ARGS)

clean: ## Remove caches (not .venv, not .vizsla)
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
