# The words of this project; CI calls the same ones.
#
#   make demo     set up, then the main job: raw pictures -> shards -> trained, tracked and reported model
#   make test     set up, then the tests
#   make check    lint, types and floors
#   make bench    side-by-side measurements, tables and benchmarks/results/*.json
#   make cluster-demo   two hosts on this machine; one of them is lost in the middle of a training
#   make setup    the set-up alone (.venv)         make lock    resolve the pinned dependencies anew
#   make clean    delete what the pipeline made    make distclean   the virtual environment as well

PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# What we start does not call home.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export RAY_USAGE_STATS_ENABLED := 0
export MLFLOW_DISABLE_TELEMETRY := true
export NO_ALBUMENTATIONS_UPDATE := 1
export DVC_NO_ANALYTICS := 1

.PHONY: demo cluster-demo test check format bench setup lock clean distclean

demo: setup
	@python -m wavemix.cli check
	dvc repro
	@python -m pipelines.summary

cluster-demo: setup
	@python -m infra.two_hosts

test: setup
	@# Two at a time, since most of the minutes go into waiting for processes to start; the long files not last.
	pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: setup
	ruff check --fix .
	ruff format .

bench: setup
	@# Those that train for hours are left out: python -m benchmarks.parameter_efficiency, python -m benchmarks.faults
	for module in $(filter-out benchmarks/parameter_efficiency.py benchmarks/faults.py,$(wildcard benchmarks/[a-z]*.py)); do python -m benchmarks.$$(basename $$module .py); done

setup: .venv/installed
	@# DVC wants a git repository unless it is told that there is none (a plain copy of the project).
	@if git rev-parse --git-dir >/dev/null 2>&1; then dvc config --local --quiet --unset core.no_scm 2>/dev/null || true; \
	 else dvc config --local --quiet core.no_scm true; fi

.venv/installed: pyproject.toml constraints.txt infra/install.py
	$(PYTHON) -m venv .venv
	python infra/install.py
	touch $@

lock:
	test -d .venv || $(PYTHON) -m venv .venv
	python infra/install.py --lock

clean:
	rm -rf data/shards runs results reports dvc.lock mlflow.db mlruns mlartifacts .dvc/cache .dvc/tmp .pytest_cache .mypy_cache .ruff_cache

distclean: clean
	rm -rf .venv
