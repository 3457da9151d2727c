# People start here: `make help` lists the targets. Each sets up what it needs: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
PYTEST_FLAGS ?=
BENCHMARKS ?= gate cli peers scale sessions adopt watch fleet
BENCH_RESULTS ?= benchmarks/results
PYTHONS ?= python3.11 python3.12 python3.13

# Whatever pip installs or builds below is pinned, or a release elsewhere could turn a test red.
# `make PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= test` goes by the ranges of pyproject.toml, as users do.
export PIP_CONSTRAINT ?= $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT ?= $(CURDIR)/constraints.txt

.PHONY: help run test thorough boot rollout claude claude-next claude-docs page constraints lint coverage mutation faults soak hearing interleavings bench bench-docs wheel clean

help:  ## what there is to make, a line each
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: $(VENV)/.installed  ## the main job on the bundled example
	examples/run $(BIN)

test: $(VENV)/.tools  ## the tests, on two cores: four at a time, since many wait
	$(BIN)/python -m pytest -q -n 4 $(PYTEST_FLAGS)

thorough: $(VENV)/.tools  ## the tests, with all that takes longer than `make test` may
	$(BIN)/python -m pytest -q -n 4 -m "thorough or not thorough" $(PYTEST_FLAGS)

boot: $(VENV)/.tools  ## scenarios on a Debian that boots (root, systemd-container, debootstrap)
	$(BIN)/python -m pytest -q -n 2 $(PYTEST_FLAGS) tests/boot

rollout: $(VENV)/.rollout  ## the Ansible role, on five machines that boot (as make boot; ssh, iproute2)
	$(BIN)/python -m pytest -q -n 2 $(PYTEST_FLAGS) tests/rollout

claude: $(VENV)/.tools  ## the tests with the real Claude Code, pinned versions from npm, on two cores
	$(BIN)/python -m pytest -q -n 2 $(PYTEST_FLAGS) tests/claude

claude-next: $(VENV)/.tools  ## the same with npm's newest (CLIENT=NUMBER: that one), and what differs; not for CI
	$(BIN)/python -m pytest -q -n 2 $(PYTEST_FLAGS) --client $(or $(CLIENT),latest) tests/claude

page: $(VENV)/.tools  ## the page in a real browser (chromium, node, npm; PICTURES=DIR keeps what it looks like)
	$(BIN)/python -m pytest -q $(PYTEST_FLAGS) $(if $(PICTURES),--pictures $(PICTURES)) tests/page

claude-docs: $(VENV)/.tools  ## the tables of docs/claude-code.md and docs/broken-links.md, from tests/claude/facts.py
	$(BIN)/python -m tests.claude.tables

constraints:  ## constraints.txt anew, by what PYTHONS choose now (ranges: pyproject.toml)
	$(PYTHON) -m tests.pins $(PYTHONS)

lint: $(VENV)/.tools  ## types, style, layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/.tools  ## branch coverage of `make test`, 95 % at least
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n 4 $(PYTEST_FLAGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

mutation: $(VENV)/.mutation  ## every mutant of verdict.py and links.py (SAMPLE=N: every Nth)
	$(BIN)/python tests/mutation.py --every $(or $(SAMPLE),1)

faults: $(VENV)/.tools  ## adopt: a kill and six errors at every call that writes (gcc; SAMPLE=N: every Nth)
	$(BIN)/python -m tests.adopt.faults --every $(or $(SAMPLE),1)

soak: $(VENV)/.tools  ## watch: 50,000 random changes, kills, overflows, mounts (SAMPLE=N: N changes)
	$(BIN)/python -m tests.watch.soak --changes $(or $(SAMPLE),50000)

hearing: $(VENV)/.tools  ## watch: what it costs beside 50 sessions, and how long each broken input stays green
	$(BIN)/python -m benchmarks.hearing --json $(BENCH_RESULTS) $(BENCH_FLAGS)

interleavings: $(VENV)/.tools  ## launchers at the same time, with kills and troubles (ROUNDS=N, SEED=N)
	$(BIN)/python -m tests.interleavings --rounds $(or $(ROUNDS),200) --seed $(or $(SEED),0)

bench: $(VENV)/.bench  ## the measurements, side by side, into BENCH_RESULTS (half an hour, quiet)
	set -e; for name in $(BENCHMARKS); do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name --json $(BENCH_RESULTS) $(BENCH_FLAGS); done

bench-docs: $(VENV)/.bench  ## the tables and plots of docs/speed.md, from BENCH_RESULTS
	$(BIN)/python -m benchmarks.tables $(BENCH_RESULTS)
	$(BIN)/python -m benchmarks.plots $(BENCH_RESULTS) docs/plots

wheel: $(VENV)/.tools
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/.tools: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	touch $@

$(VENV)/.rollout: $(VENV)/.tools
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[rollout]'
	touch $@

$(VENV)/.mutation: $(VENV)/.tools
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[mutation]'
	touch $@
