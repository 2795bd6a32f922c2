# Needs Python 3.11 or newer and make; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.dvc-codec-ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint smoke-train

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  VENV=folder chooses the environment (now: $(VENV)), PYTHON=python3.12 its Python"

setup: $(STAMP) ## create the environment and install the project into it

demo: setup ## encode and decode the sample clip
	$(BIN)/python -m dvc_codec.cli.demo

SMOKE := build/smoke
smoke-train: setup ## every training stage, a few steps each, on the sample; code it with the result
	rm -rf $(SMOKE)
	$(BIN)/python -m data_prep.from_videos dvc_codec/sample $(SMOKE) --size 256x192 --frames 8 \
	  --gap 0 --test-share 0
	$(BIN)/python train.py run-stages configs/train --overlay configs/train/smoke.yaml \
	  --out $(SMOKE)/runs --export $(SMOKE)/smoke.safetensors --data.data=$(SMOKE)/train
	$(BIN)/python encode.py dvc_codec/sample/flower.mp4 $(SMOKE)/sample.dvc --frames 8 \
	  --model $(SMOKE)/smoke.safetensors
	$(BIN)/python decode.py $(SMOKE)/sample.dvc $(SMOKE)/sample.y4m \
	  --model $(SMOKE)/smoke.safetensors

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
