# Needs GNU make and Python >= 3.11 with venv; Graphviz comes inside the pygraphviz wheel.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
OUT := out

.DELETE_ON_ERROR:
.PHONY: setup demo test lint bench bench-pytensor format pictures clean help

setup: $(VENV)/.installed-core  ## create .venv and install the library

demo: setup  ## write circuit, unfolded graph, gradients and proof of the Elman network to out/
	$(BIN)/graphgrad report graphgrad/cells/elman.rec --out $(OUT)

test: lint  ## run every check: formatter, linter, types, layers, tests, doctests, examples
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(VENV)/.installed-dev  ## run the checks that execute nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-oracles  ## measure everything, hours; docs/benchmarks.md is written anew
	$(BIN)/python -m pytest tests/bench -o addopts="--import-mode=importlib --benchmark-only"
	$(BIN)/python -m tests.bench.first_calls
	$(BIN)/python -m tests.bench.grid --again --write

bench-pytensor: $(BIN)/python  ## install PyTensor, which needs its own Numba, for make bench
	$(BIN)/python -m venv $(OUT)/bench/pytensor
	$(OUT)/bench/pytensor/bin/python -m pip --disable-pip-version-check --quiet install \
	    -r tests/bench/requirements-pytensor.txt

format: $(VENV)/.installed-dev  ## format the code and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: setup  ## draw the pictures of the README again
	$(BIN)/python tools/pictures.py

clean:  ## remove what make made
	rm -rf $(VENV) $(OUT) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks \
	    .import_linter_cache

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "\"$(PYTHON)\" was not found. Name a Python >= 3.11: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "graphgrad needs Python 3.11 or newer, but \"$(PYTHON)\" is" \
	        "$$("$(PYTHON)" --version 2>&1). Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "\"$(PYTHON) -m venv\" failed. On Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; }

# pip runs again only when what is to be installed has changed.
$(VENV)/.installed-core: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed-core
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.installed-oracles: requirements-oracles.txt $(VENV)/.installed-dev
	$(PIP) install -r requirements-oracles.txt
	@touch $@
