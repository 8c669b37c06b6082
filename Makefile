# Everything that a person or CI does, in one place. A bare machine needs git, make, and Python 3.12+ or uv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo test test-all check bench fix setup clean

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(BIN)/.installed ## make .venv with the locked dependencies

$(BIN)/.installed: uv.lock pyproject.toml scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

demo: setup ## boot a cluster, follow a request through it, break it, clean up
	@$(BIN)/podwire demo

test: setup ## all tests that need no extra software
	@$(PYTEST) -m "not slow" -n 2 --dist loadfile

test-all: setup ## the longer suites as well
	@$(PYTEST) -n 2 --dist loadfile

check: setup ## ruff, mypy, import-linter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## aims and figures of this machine
	@$(BIN)/python -m tests.bench

fix: setup ## let ruff mend what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove what setup and tests made
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
