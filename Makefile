# People start here. Each target sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
PYTEST_FLAGS ?=

.PHONY: run test lint coverage mutation bench wheel clean

run: $(VENV)/.installed  ## the main job on the bundled example
	examples/run $(BIN)

test: $(VENV)/.tools  ## the tests, on two cores
	$(BIN)/python -m pytest -q -n 2 $(PYTEST_FLAGS)

lint: $(VENV)/.tools  ## types, style, layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/.tools  ## branch coverage, 95 % at least
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n 2 $(PYTEST_FLAGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

mutation: $(VENV)/.mutation  ## every mutant of verdict.py and links.py (SAMPLE=N: every Nth)
	$(BIN)/python tests/mutation.py --every $(or $(SAMPLE),1)

bench: $(VENV)/.installed  ## the measurements, side by side
	$(BIN)/python benchmarks/scale.py

wheel: $(VENV)/.tools
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/.tools: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.mutation: $(VENV)/.tools
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[mutation]'
	touch $@
