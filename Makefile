# Everything a fresh machine needs: Python 3.11 or later, make, and a package registry for pip.
PYTHON ?= python3
SUDO := $(shell test $$(id -u) -eq 0 || echo sudo)
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test test-all test-lowest test-browser docs dist test-dist lint format clean

setup: $(STAMP)

# One environment for everything; made again only when what it is made from changes.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reinject needs Python 3.11 or later; say which with: make PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/reinject demo --out demo --overwrite

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Slow tests too: more kills, more laws of samplers and estimators.
test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or not slow"

# The lowest versions that pyproject.toml allows, in an environment of their own; TORCH says which torch.
TORCH ?= torch==2.13.0
LOWEST := .venv-lowest
test-lowest:
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet "$(TORCH)"
	$(PYTHON) tests/lowest.py torch > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable . \
		pytest pytest-xdist hypothesis beartype prdc duckdb polars
	$(LOWEST)/bin/python -m pytest -n 2 $(FAST)

# Tests that need no extra and take seconds each.
FAST := $(addprefix tests/test_,$(addsuffix .py,algorithm1 archive auto bundle cli config data densities diagnostics energy \
	filters images jacobian kernels labelling modes objectives outputs progress reconstruction remote report schedules score \
	starts synthesis training verdict verify walks)) tests/evaluation

# Chromium from the system's packages (asks for root where it is missing), driven by Playwright.
test-browser: $(STAMP)
	command -v chromium || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/python -m pytest tests/browser

# The documentation, into site/; a warning is a failure.
docs: $(STAMP)
	$(BIN)/python docs/architecture.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The sdist and the wheel, into dist/, by tools in an environment of their own.
DIST := .venv-dist
dist:
	test -x $(DIST)/bin/python || $(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python -m pip install --quiet build twine
	rm -rf dist
	$(DIST)/bin/python -m build --outdir dist .
	$(DIST)/bin/python -m twine check --strict dist/*

# The wheel without extras in an empty environment, where the whole demo runs.
EMPTY := .venv-empty
test-dist: dist
	$(PYTHON) -m venv --clear $(EMPTY)
	$(EMPTY)/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	$(EMPTY)/bin/reinject --help
	$(EMPTY)/bin/python -c 'from importlib.resources import files as f; assert f("reinject").joinpath("py.typed").is_file()'
	$(EMPTY)/bin/reinject demo --out $(EMPTY)/demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/words.py --src

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-lowest .venv-dist .venv-empty demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
