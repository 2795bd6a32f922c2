# Needs Python 3.11 or newer and make; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.dvc-codec-ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  VENV=folder chooses the environment (now: $(VENV)), PYTHON=python3.12 its Python"

setup: $(STAMP) ## create the environment and install the project into it

demo: setup ## encode and decode the sample clip
	$(BIN)/python -m dvc_codec.cli.demo

test: lint ## lint, types, import contracts, all tests
	$(BIN)/python -m pytest

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch first and alone: left to the resolver, another build of it may come along.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed, this is " + sys.version'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,eval]'
	touch $@
